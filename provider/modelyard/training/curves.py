"""The points of the curves and histograms of a report, few enough to draw and to send."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from modelyard.training.outcomes import Classified, Regressed
from modelyard.training.ranking import Ranking, rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Calibration", "Curve", "calibration", "precision_recall_curve", "residual_bins", "roc_curve"]

_POINTS = 200


class Curve(NamedTuple):
    """A line by its points."""

    x: "NDArray[np.float64]"
    y: "NDArray[np.float64]"


class Calibration(NamedTuple):
    """Mean prediction against what came true, in bins with the same number of rows.

    Parameters
    ----------
    predicted, observed
        Per bin: the mean probability, and the share of positives.
    edges, counts
        A histogram of the probabilities over equal widths.
    positives
        The positives in each bar of that histogram.
    """

    predicted: "NDArray[np.float64]"
    observed: "NDArray[np.float64]"
    edges: "NDArray[np.float64]"
    counts: "NDArray[np.int64]"
    positives: "NDArray[np.int64]"


def roc_curve(outcomes: Classified, positive: int = 1) -> Curve | None:
    """Return false against true positive rate; None where the rows are of one kind."""
    ranked = _ranked(outcomes, positive)
    return _thinned(*ranked.roc()) if ranked is not None and ranked.defined else None


def precision_recall_curve(outcomes: Classified, positive: int = 1) -> Curve | None:
    """Return recall against precision; None where the rows are of one kind."""
    ranked = _ranked(outcomes, positive)
    if ranked is None or not ranked.defined:
        return None
    precision, recall = ranked.precision_recall()
    return _thinned(recall, precision)


def _ranked(outcomes: Classified, positive: int) -> Ranking | None:
    if outcomes.probabilities is None:
        return None
    return rank(outcomes.truth == positive, outcomes.probabilities[:, positive])


def _thinned(x: "NDArray[np.float64]", y: "NDArray[np.float64]") -> Curve:
    """Keep points that are evenly spread along x, and both ends."""
    if len(x) <= _POINTS:
        return Curve(x, y)
    chosen = np.unique(np.searchsorted(x, np.linspace(x[0], x[-1], _POINTS)).clip(0, len(x) - 1))
    chosen = np.union1d(chosen, [0, len(x) - 1])
    return Curve(x[chosen], y[chosen])


def calibration(outcomes: Classified, bins: int = 10, bars: int = 20) -> Calibration | None:
    """Return how far the probabilities of the positive class can be taken at their word.

    Parameters
    ----------
    outcomes
        Rows with two classes.
    bins
        Points of the calibration line.
    bars
        Bars of the histogram.
    """
    if outcomes.probabilities is None or len(outcomes) == 0:
        return None
    probability, true = outcomes.positive, outcomes.truth == 1
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    counts, edges = np.histogram(probability, bins=bars, range=(0.0, 1.0))
    return Calibration(
        predicted=np.array([probability[part].mean() for part in parts]),
        observed=np.array([true[part].mean() for part in parts]),
        edges=edges,
        counts=counts,
        positives=np.histogram(probability[true], bins=edges)[0],
    )


def residual_bins(outcomes: Regressed, bars: int = 40) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
    """Return edges and counts of the errors, predicted minus true; the outermost bars hold the tails.

    Parameters
    ----------
    outcomes
        Rows of a regression.
    bars
        Bars of the histogram.
    """
    error = outcomes.predicted - outcomes.truth
    reach = float(np.quantile(np.abs(error), 0.99)) or 1.0
    counts, edges = np.histogram(np.clip(error, -reach, reach), bins=bars, range=(-reach, reach))
    return edges, counts
