"""Compares candidate and baseline on the same rows, and says how sure the difference is."""

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from modelyard.training.metrics import facts_of, main_metric, metrics_of
from modelyard.training.outcomes import Classified, Outcomes
from modelyard.training.ranking import rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Comparison", "Verdict", "compare"]

Verdict = Literal["better", "worse", "even"]

_RESAMPLES = 200
_MOST_ROWS = 20_000
"""Larger datasets are resampled at this size, and the interval is scaled: exact enough, and quick at any size."""


class Comparison(NamedTuple):
    """The difference in the main metric between candidate and baseline.

    Parameters
    ----------
    metric
        The main metric's name.
    candidate, baseline
        Its values.
    margin
        Half the width of the 95 % interval of the difference, by a paired bootstrap over the rows.
    verdict
        ``better`` or ``worse`` if the interval leaves out zero, else ``even``.
    """

    metric: str
    candidate: float
    baseline: float
    margin: float
    verdict: Verdict

    @property
    def difference(self) -> float:
        """Candidate minus baseline."""
        return self.candidate - self.baseline


def compare(candidate: Outcomes, baseline: Outcomes) -> Comparison | None:
    """Compare two models on the same rows; None where the main metric is not defined.

    Parameters
    ----------
    candidate, baseline
        The same rows in the same order, said by either model.
    """
    metric = main_metric(candidate)
    if main_metric(baseline) != metric:  # one of the two has no probabilities
        metric = "balanced_accuracy"
    values = [metrics_of(each).get(metric) for each in (candidate, baseline)]
    if values[0] is None or values[1] is None:
        return None
    margin = _margin(candidate, baseline, metric)
    gain = values[0] - values[1] if facts_of(metric).greater_is_better else values[1] - values[0]
    verdict: Verdict = "even" if abs(gain) <= margin else "better" if gain > 0 else "worse"
    return Comparison(metric, values[0], values[1], margin, verdict)


def _margin(candidate: Outcomes, baseline: Outcomes, metric: str) -> float:
    random = np.random.default_rng(0)
    rows = len(candidate)
    size = min(rows, _MOST_ROWS // _rankings(candidate))
    differences = []
    for _ in range(_RESAMPLES):
        sample = random.integers(0, rows, size)
        difference = _value(candidate, metric, sample) - _value(baseline, metric, sample)
        if np.isfinite(difference):
            differences.append(difference)
    if len(differences) < 2:
        return float("inf")
    return float(1.96 * np.std(differences) * np.sqrt(size / rows))


def _rankings(outcomes: Outcomes) -> int:
    return len(outcomes.classes) if isinstance(outcomes, Classified) and not outcomes.binary else 1


def _value(outcomes: Outcomes, metric: str, sample: "NDArray[np.int64]") -> float:
    if metric == "roc_auc" and isinstance(outcomes, Classified) and outcomes.binary:
        return rank(outcomes.truth[sample] == 1, outcomes.positive[sample]).area_under_roc()
    return metrics_of(outcomes.take(sample)).get(metric, float("nan"))
