"""Answers to many rows as arrays: a sequence of mappings that makes a mapping only for the row that is looked at."""

from collections.abc import Iterator, Mapping, Sequence
from operator import index
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AnswerColumns"]


class AnswerColumns(Sequence[dict[str, Any]]):
    """The answers ``{"label": …, "probability": …}`` to many rows, kept as one array for each field.

    It is read like the list of these mappings, and equal to it: length, iteration, index, slice, comparison. A mapping
    is made when it is asked for, with Python's own numbers and texts in it, so that changing one changes nothing here.

    Parameters
    ----------
    columns
        Field → one value for each row; of an array with more dimensions a row's value is a list.

    Raises
    ------
    ValueError
        There is no column, or they are of different lengths.

    Examples
    --------
    >>> import numpy as np
    >>> answers = AnswerColumns({"label": np.array([1, 0]), "probability": np.array([0.75, 0.25])})
    >>> answers[0], len(answers), answers.columns["label"]
    ({'label': 1, 'probability': 0.75}, 2, array([1, 0]))
    >>> answers == [{"label": 1, "probability": 0.75}, {"label": 0, "probability": 0.25}]
    True
    """

    __slots__ = ("columns",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, columns: Mapping[str, "NDArray[Any]"]) -> None:
        if len({len(column) for column in columns.values()}) != 1:
            told = {name: len(column) for name, column in columns.items()}
            raise ValueError(f"the columns are of one length, not {told}")
        self.columns = dict(columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @overload
    def __getitem__(self, row: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, row: slice) -> "AnswerColumns": ...
    def __getitem__(self, row: int | slice) -> "dict[str, Any] | AnswerColumns":
        if isinstance(row, slice):
            return AnswerColumns({name: column[row] for name, column in self.columns.items()})
        count, row = len(self), index(row)
        at = row + count if row < 0 else row
        if not 0 <= at < count:
            raise IndexError(f"there are {count} answers, none has the index {row}")
        return {name: column[at : at + 1].tolist()[0] for name, column in self.columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.tolist())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AnswerColumns):
            return self.columns.keys() == other.columns.keys() and self.tolist() == other.tolist()
        return self.tolist() == other if isinstance(other, list) else NotImplemented

    def __repr__(self) -> str:
        return repr(self.tolist())

    def tolist(self) -> list[dict[str, Any]]:
        """Return the answers row by row, as NumPy's arrays do."""
        names, values = list(self.columns), [column.tolist() for column in self.columns.values()]
        if len(names) == 1:
            (name,) = names
            return [{name: value} for value in values[0]]
        if len(names) == 2:
            first, second = names
            return [{first: one, second: other} for one, other in zip(*values, strict=True)]
        return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
