"""What an evaluation leaves for other pages than its own: the confusion matrix and the ROC curve, as JSON."""

import msgspec
import numpy as np

from modelyard.training.metrics import confusion
from modelyard.training.outcomes import Classified, Outcomes
from modelyard.training.ranking import rank

__all__ = ["CURVES", "curves_document"]

CURVES = ".curves.json"
"""What stands for ``.html`` in the name of the file beside the report."""

_POINTS = 50


def curves_document(outcomes: Outcomes) -> bytes | None:
    """Return the confusion matrix, and with two classes the ROC curve, as JSON; None for a regression.

    The curve is three lists of the same length: false positive rate, true positive rate, and the probability from which
    a row counts as positive there.

    Examples
    --------
    >>> truth, said = np.array([0, 1, 1]), np.array([0, 0, 1])
    >>> chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> curves_document(Classified(truth, said, chances, ("no", "yes")))[:60]
    b'{"classes":["no","yes"],"confusion":[[1,0],[1,1]],"roc":[[0.'
    """
    if not isinstance(outcomes, Classified):
        return None
    found = {
        "classes": [str(each) for each in outcomes.classes],
        "confusion": confusion(outcomes).tolist(),
        "roc": _roc(outcomes) if outcomes.binary and outcomes.probabilities is not None else None,
    }
    return msgspec.json.encode(found)


def _roc(outcomes: Classified) -> list[list[float]] | None:
    ranked = rank(outcomes.truth == 1, outcomes.positive)
    if not ranked.defined:
        return None
    chosen = np.unique(np.linspace(0, len(ranked.scores) - 1, _POINTS).astype(int))
    scores, positives, negatives = (each[chosen] for each in ranked)
    false_rate, true_rate = negatives / negatives[-1], positives / positives[-1]
    return [[0.0, *false_rate.tolist()], [0.0, *true_rate.tolist()], [1.0, *scores.tolist()]]
