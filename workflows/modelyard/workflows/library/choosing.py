"""What the ready workflows compute between their steps."""

from collections.abc import Sequence
from typing import Any

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = ["MetricMissing", "best_trial", "prediction_summary"]


class MetricMissing(ModelyardError):
    """Raised when no trial has the metric to choose by."""

    kind = ErrorKind.INVALID

    def __init__(self, metric: str, known: list[str]) -> None:
        super().__init__(f"no trial has the metric {metric!r}", where="metric", mend=near_name(metric, known))


def best_trial(
    trials: Sequence[dict[str, Any]], metrics: Sequence[dict[str, float]], metric: str, greater_is_better: bool
) -> dict[str, Any]:
    """Return the best of some trials; the earlier of two equal ones.

    Parameters
    ----------
    trials
        The parameters of each trial.
    metrics
        The metrics of each trial, in the same order; a trial without the metric cannot win.
    metric
        The metric to choose by.
    greater_is_better
        Whether the greatest value wins, rather than the smallest.

    Returns
    -------
    dict
        ``parameters``, ``value`` of the metric, ``trial`` (counted from 0) and ``values`` of all trials.

    Raises
    ------
    MetricMissing
        No trial has the metric.

    Examples
    --------
    >>> best_trial([{"depth": 3}, {"depth": 5}], [{"auc": 0.7}, {"auc": 0.8}], "auc", True)
    {'parameters': {'depth': 5}, 'value': 0.8, 'trial': 1, 'values': [0.7, 0.8]}
    """
    values = [each.get(metric) for each in metrics]
    known = [(value, index) for index, value in enumerate(values) if value is not None]
    if not known:
        raise MetricMissing(metric, sorted({name for each in metrics for name in each}))
    sign = -1 if greater_is_better else 1
    value, index = min(known, key=lambda each: (sign * each[0], each[1]))
    return {"parameters": trials[index], "value": value, "trial": index, "values": values}


def prediction_summary(rows: Sequence[int], rejected: Sequence[int], destinations: Sequence[str]) -> dict[str, Any]:
    """Return the sums over the partitions that were scored.

    Examples
    --------
    >>> prediction_summary([10, 20], [0, 1], ["out/a", "out/b"])
    {'rows': 30, 'rejected': 1, 'partitions': 2, 'destinations': ['out/a', 'out/b']}
    """
    return {
        "rows": sum(rows),
        "rejected": sum(rejected),
        "partitions": len(destinations),
        "destinations": list(destinations),
    }
