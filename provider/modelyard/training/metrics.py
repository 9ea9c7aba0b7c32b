"""The metrics of each task; one that is not defined on the rows is left out, never made up."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from modelyard.training.outcomes import Classified, Outcomes, Regressed
from modelyard.training.ranking import rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["METRICS", "MetricFacts", "confusion", "facts_of", "main_metric", "metrics_of"]

_TINY = float(np.finfo(np.float64).eps)
"""Keeps the log loss of a probability of zero finite."""


class MetricFacts(NamedTuple):
    """What people need to know about a metric.

    Parameters
    ----------
    title
        Its name in tables.
    greater_is_better
        The good direction; None if it has none.
    meaning
        One sentence in plain words.
    """

    title: str
    greater_is_better: bool | None
    meaning: str


METRICS: Mapping[str, MetricFacts] = {
    "roc_auc": MetricFacts("ROC AUC", True, "how often a positive row scores above a negative one"),
    "average_precision": MetricFacts("Average precision", True, "area under the precision-recall curve"),
    "accuracy": MetricFacts("Accuracy", True, "share of rows that are right"),
    "balanced_accuracy": MetricFacts("Balanced accuracy", True, "share that is right, each class weighing the same"),
    "precision": MetricFacts("Precision", True, "of the rows called positive, the share that are"),
    "recall": MetricFacts("Recall", True, "of the positive rows, the share that is found"),
    "f1": MetricFacts("F1", True, "harmonic mean of precision and recall"),
    "log_loss": MetricFacts("Log loss", False, "how surprised the probabilities are by the truth"),
    "brier": MetricFacts("Brier score", False, "mean squared distance of the probabilities from the truth"),
    "mae": MetricFacts("MAE", False, "mean absolute error"),
    "rmse": MetricFacts("RMSE", False, "root of the mean squared error"),
    "median_ae": MetricFacts("Median AE", False, "half of the rows err by less"),
    "mape": MetricFacts("MAPE", False, "mean error relative to the truth, rows whose truth is zero left out"),
    "r2": MetricFacts("R²", True, "share of the variance that is explained"),
}


def facts_of(name: str) -> MetricFacts:
    """Return the facts of a metric; a project's own metric has no known direction.

    Examples
    --------
    >>> facts_of("brier").greater_is_better, facts_of("cost_per_row").title
    (False, 'cost_per_row')
    """
    return METRICS.get(name, MetricFacts(name, None, "a metric of the project"))


def main_metric(outcomes: Outcomes) -> str:
    """Return the name of the metric that heads the report and decides its verdict."""
    if isinstance(outcomes, Regressed):
        return "mae"
    return "roc_auc" if outcomes.probabilities is not None else "balanced_accuracy"


def metrics_of(outcomes: Outcomes) -> dict[str, float]:
    """Return the metrics of the task.

    Two classes: precision, recall and F1 are those of the positive class. More classes: those and the areas are the
    plain mean over the classes that occur. The Brier score of more than two classes is the sum over the classes.

    Returns
    -------
    dict
        Metric name to value. A metric that these rows leave undefined (an AUC where all rows are of one class, R²
        of a constant) is missing.

    Examples
    --------
    >>> metrics_of(Regressed(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])))["r2"]
    0.5
    """
    if len(outcomes) == 0:
        return {}
    values = _regression(outcomes) if isinstance(outcomes, Regressed) else _classification(outcomes)
    return {name: values[name] for name in METRICS if name in values and np.isfinite(values[name])}


def _classification(outcomes: Classified) -> dict[str, float]:
    counts = confusion(outcomes)
    right, said, there = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    occurs = (said + there) > 0
    precision = _ratio(right, said)
    recall = _ratio(right, there)
    f1 = _ratio(2 * right, said + there)
    chosen = slice(1, 2) if outcomes.binary else occurs
    values = {
        "accuracy": float(right.sum() / counts.sum()),
        "balanced_accuracy": float(recall[there > 0].mean()),
        "precision": float(precision[chosen].mean()),
        "recall": float(recall[chosen].mean()),
        "f1": float(f1[chosen].mean()),
    }
    if outcomes.probabilities is not None:
        values.update(_of_probabilities(outcomes, outcomes.probabilities))
    return values


def confusion(outcomes: Classified) -> "NDArray[np.int64]":
    """Return the counts of true class (rows) by predicted class (columns)."""
    width = len(outcomes.classes)
    return np.bincount(outcomes.truth * width + outcomes.predicted, minlength=width * width).reshape(width, width)


def _ratio(part: "NDArray[np.int64]", whole: "NDArray[np.int64]") -> "NDArray[np.float64]":
    """Divide, with 0 for 0 / 0: nothing found is no success."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _of_probabilities(outcomes: Classified, probabilities: "NDArray[np.float64]") -> dict[str, float]:
    truth, width = outcomes.truth, len(outcomes.classes)
    own = probabilities[np.arange(len(truth)), truth]
    chosen = [1] if outcomes.binary else [each for each in range(width) if np.any(truth == each)]
    ranked = [rank(truth == each, probabilities[:, each]) for each in chosen]
    squared = np.square(probabilities).sum(axis=1) - 2 * own + 1
    return {
        "roc_auc": float(np.mean([each.area_under_roc() for each in ranked])),
        "average_precision": float(np.mean([each.average_precision() for each in ranked])),
        "log_loss": float(np.mean(-np.log(np.clip(own, _TINY, 1.0))) + 0.0),
        "brier": float(squared.mean() / (2 if outcomes.binary else 1)),
    }


def _regression(outcomes: Regressed) -> dict[str, float]:
    error = outcomes.predicted - outcomes.truth
    size = np.abs(error)
    nonzero = outcomes.truth != 0
    spread = float(np.square(outcomes.truth - outcomes.truth.mean()).sum())
    return {
        "mae": float(size.mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "median_ae": float(np.median(size)),
        "mape": float((size[nonzero] / np.abs(outcomes.truth[nonzero])).mean()) if nonzero.any() else float("nan"),
        "r2": 1 - float(np.square(error).sum()) / spread if spread > 0 else float("nan"),
    }
