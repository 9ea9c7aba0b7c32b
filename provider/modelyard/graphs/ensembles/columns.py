"""The members' answers to a batch as NumPy arrays, one row for each body."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.group_errors import AnswerWrong

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["are_mappings", "numbers_column", "objects_of", "values_column"]


def are_mappings(answers: Any) -> bool:
    """Whether a batch of answers is one of mappings."""
    if isinstance(answers, AnswerColumns):
        return True
    return isinstance(answers, list) and bool(answers) and isinstance(answers[0], Mapping)


def values_column(member: str, answers: Any, field: str) -> Any:
    """Return the values in a batch of answers, as a list or a one-dimensional array.

    Raises
    ------
    AnswerWrong
        The answers are not of one kind; the rows one by one will show which one is wrong.
    """
    if isinstance(answers, AnswerColumns):
        if field not in answers.columns:
            raise AnswerWrong(member, f"its answers have no field {field!r}")
        answers = answers.columns[field]
    if hasattr(answers, "ndim"):
        if answers.ndim != 1:
            raise AnswerWrong(member, "it answered with more than one value for each row")
        return answers
    if not are_mappings(answers):
        return answers
    try:
        return [answer[field] for answer in answers]
    except (KeyError, TypeError):
        raise AnswerWrong(member, f"not all of its answers have a field {field!r}") from None


def objects_of(values: Sequence[Any]) -> "NDArray[Any]":
    """Return an array that holds the values themselves, whatever they are.

    Examples
    --------
    >>> objects_of(["late", 1, True]).tolist()
    ['late', 1, True]
    """
    import numpy as np

    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def numbers_column(member: str, answers: Any, field: str) -> "NDArray[np.float64]":
    """Return the numbers in a batch of answers.

    Raises
    ------
    AnswerWrong
        Not all are finite numbers; the rows one by one will show which one is wrong.
    """
    import numpy as np

    values = values_column(member, answers, field)
    if not hasattr(values, "dtype"):
        if not {type(value) for value in values} <= {int, float, np.float64, np.int64, np.float32, np.int32}:
            raise AnswerWrong(member, "not all of its answers are numbers")
        try:
            values = np.array([float(value) for value in values], dtype=np.float64)
        except OverflowError:
            raise AnswerWrong(member, "not all of its answers are floating-point numbers") from None
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise AnswerWrong(member, "not all of its answers are finite numbers")
    return np.asarray(values, dtype=np.float64)
