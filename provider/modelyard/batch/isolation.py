"""Finds the rows at which a model fails, by trying smaller and smaller parts of what it refused."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelyard.errors import ErrorKind, ModelyardError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Answer", "Failure", "Isolated", "isolate"]

Answer = Any
"""What the model says about some rows."""


class Failure(NamedTuple):
    """A row that the model refuses."""

    row: int
    reason: str


class Isolated(NamedTuple):
    """What became of the rows.

    Parameters
    ----------
    answers
        What the model said, with the indices of the rows that it said it about.
    failures
        The rows at which it failed.
    """

    answers: list[tuple["NDArray[np.intp]", Answer]]
    failures: list[Failure]


def isolate(predict: Callable[["NDArray[Any]"], Answer], matrix: "NDArray[Any]", most: int) -> Isolated:
    """Return what the model says about all rows but those at which it raises.

    All rows are tried at once. If that fails, those with nan or infinity are tried apart from the others, because
    they are the likeliest cause; then halves, down to single rows.

    Parameters
    ----------
    predict
        The model.
    matrix
        Rows by features.
    most
        Stop looking as soon as more than this many rows have failed.

    Raises
    ------
    ModelyardError
        The model cannot work at all: memory is full, a library is missing.

    Examples
    --------
    >>> def reciprocal(matrix):
    ...     return [1 / int(value) for value in matrix[:, 0]]
    >>> found = isolate(reciprocal, np.array([[1.0], [2.0], [0.0], [4.0]]), most=4)
    >>> found.failures
    [Failure(row=2, reason='ZeroDivisionError: division by zero')]
    >>> sorted((int(row), answer) for rows, said in found.answers for row, answer in zip(rows, said))
    [(0, 1.0), (1, 0.5), (3, 0.25)]
    """
    found = Isolated([], [])
    waiting = [np.arange(len(matrix))] if len(matrix) else []
    while waiting and len(found.failures) <= most:
        rows = waiting.pop()
        whole = len(rows) == len(matrix)
        try:
            found.answers.append((rows, predict(matrix if whole else matrix[rows])))
        except Exception as error:
            if _hopeless(error):
                raise
            if len(rows) == 1:
                found.failures.append(Failure(int(rows[0]), _reason(error)))
            else:
                waiting += _parts(matrix, rows)
    return found


def _hopeless(error: Exception) -> bool:
    """Whether no part of the rows would fare better."""
    if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
        return True
    return isinstance(error, ModelyardError) and error.error_kind is not ErrorKind.USER_CODE


def _reason(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, ModelyardError) and error.__cause__ else error
    text = " ".join(str(cause).split())
    return f"{type(cause).__name__}: {text[:300]}" if text else type(cause).__name__


def _parts(matrix: "NDArray[Any]", rows: "NDArray[np.intp]") -> list["NDArray[np.intp]"]:
    """Return the rows in two parts; the one to be tried first is the last."""
    odd = _odd(matrix[rows])
    if odd.any() and not odd.all():
        return [rows[odd], rows[~odd]]
    middle = len(rows) // 2
    return [rows[middle:], rows[:middle]]


def _odd(matrix: "NDArray[Any]") -> "NDArray[np.bool_]":
    """Return which rows have a value that is missing or infinite."""
    if matrix.dtype != object:
        return np.asarray(~np.isfinite(matrix).all(axis=1))
    missing = [
        any(value is None or (isinstance(value, float) and not np.isfinite(value)) for value in row) for row in matrix
    ]
    return np.array(missing, dtype=np.bool_)
