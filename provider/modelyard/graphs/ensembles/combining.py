"""What the ready-made ensembles have in common: rows in answers, and values in rows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import isfinite
from typing import Any, ClassVar

from modelyard.graphs.group_errors import AnswerWrong
from modelyard.graphs.groups import EnsembleStrategy

__all__ = ["Combining", "is_rows", "number_of", "plain", "value_of"]


class Combining(EnsembleStrategy, ABC):
    """Combines one row, or row by row where the members answer with several.

    An answer is a value, or a mapping with the value in `field`, as models give it; a list or array of them is one
    answer per row, and the ensemble then answers with a list.

    Parameters
    ----------
    field
        Where a mapping has the value, and where the reply has it.
    """

    takes_columns: ClassVar[bool] = True

    def __init__(self, field: str = "label") -> None:
        if not isinstance(field, str) or not field:
            raise ValueError(f"field is the name of a field, not {field!r}")
        self.field = field

    def combine(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the answer to one row, or a list of them."""
        for answer in answers.values():
            if is_rows(answer):
                return self.by_rows(answers, failures)
        return self.one(answers, failures)

    @abstractmethod
    def one(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the answer to one row."""

    def by_rows(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> list[Any]:
        """Return one answer for each row.

        Raises
        ------
        AnswerWrong
            A member has another number of rows than the first one.
        """
        columns: dict[str, list[Any]] = {}
        first, count = "", 0
        for member, answer in answers.items():
            if not is_rows(answer):
                raise AnswerWrong(member, f"it answered with one value, and {first or 'others'} with rows")
            columns[member] = answer.tolist() if hasattr(answer, "tolist") else list(answer)
            if not first:
                first, count = member, len(columns[member])
            elif len(columns[member]) != count:
                raise AnswerWrong(member, f"it answered {len(columns[member])} rows, and {first} answered {count}")
        return [self.one(dict(zip(columns, row, strict=True)), failures) for row in zip(*columns.values(), strict=True)]


def is_rows(answer: Any) -> bool:
    """Whether an answer is one per row.

    Examples
    --------
    >>> is_rows([1, 2]), is_rows({"label": 1}), is_rows("late")
    (True, False, False)
    """
    return isinstance(answer, list | tuple) or getattr(answer, "ndim", 0) > 0


def value_of(member: str, answer: Any, field: str) -> Any:
    """Return the value in an answer.

    Raises
    ------
    AnswerWrong
        It is a mapping without the field.
    """
    if not isinstance(answer, Mapping):
        return answer
    try:
        return answer[field]
    except KeyError:
        has = ", ".join(map(str, answer)) or "nothing"
        raise AnswerWrong(member, f"its answer has no field {field!r}, it has: {has}") from None


def plain(value: Any) -> Any:
    """Return a NumPy scalar as Python's own."""
    return value.item() if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0 else value


def number_of(member: str, value: Any) -> float:
    """Return a value that must be a finite number.

    Raises
    ------
    AnswerWrong
        It is none.

    Examples
    --------
    >>> number_of("a", 3)
    3.0
    """
    kind = value.__class__
    if kind is not float and kind is not int:
        value = plain(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise AnswerWrong(member, f"a mean or median takes numbers, it answered {value!r:.80}")
    try:
        number = float(value)
    except OverflowError:  # whole numbers have no end
        raise AnswerWrong(member, "it answered a whole number that is beyond all floating-point numbers") from None
    if not isfinite(number):
        raise AnswerWrong(member, f"it answered {value!r}, which is no finite number")
    return number
