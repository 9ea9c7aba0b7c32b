"""Tells, once, of a step that answers a batch with another number of answers than rows."""

import logging
from collections.abc import Callable
from typing import Any

__all__ = ["RowCount", "counted"]

_LOG = logging.getLogger("modelyard.graphs")


class RowCount:
    """Compares rows with answers for one step.

    Such a batch is asked again row by row, with right answers: what is lost is speed, which nobody would notice.

    Parameters
    ----------
    graph, step
        What the warning names.
    """

    def __init__(self, graph: str, step: str) -> None:
        self._graph, self._step, self._told = graph, step, False

    def check(self, rows: Any, answers: Any) -> None:
        """Warn in the log if there are not as many answers as rows; the first time only."""
        if self._told or not hasattr(answers, "__len__") or getattr(answers, "ndim", 1) == 0:
            return
        if len(answers) != len(rows):
            self._told = True
            _LOG.warning(
                "graph %s, step %s: it gave %d answers to a batch of %d rows; such batches are asked row by row",
                self._graph,
                self._step,
                len(answers),
                len(rows),
            )


def counted(batch: Callable[[Any], Any], graph: str, step: str) -> Callable[[Any], Any]:
    """Return what calls `batch` and looks at the number of its answers.

    Examples
    --------
    >>> counted(lambda rows: [2 * row for row in rows], "g", "double")([1, 2])
    [2, 4]
    """
    count = RowCount(graph, step)

    def call(bodies: Any) -> Any:
        rows = range(len(bodies))  # a step may change what it is given
        answers = batch(bodies)
        count.check(rows, answers)
        return answers

    return call
