"""From the text of CSV cells to values: which type a column has, and which cells are not of it."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from modelyard.data.schemas import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

pc: Any = pyarrow.compute  # its functions are made at run time: no type checker knows them

__all__ = ["NULLS", "TypeGuess", "parsed", "typed"]

NULLS = ["", "NA", "N/A", "#N/A", "NULL", "null", "NaN", "nan", "None"]
"""What stands for no value where it is not quoted, in columns of text, too."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?|nan", re.IGNORECASE)
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class TypeGuess:
    """Finds the narrowest type that fits every cell of a column: boolean, int64, double or string.

    Examples
    --------
    >>> guess = TypeGuess()
    >>> for cells in (["1", None], ["2.5"]):
    ...     guess.look(pa.array(cells))
    >>> guess.type
    DataType(double)
    """

    def __init__(self) -> None:
        self.type: pa.DataType = pa.null()
        self.nulls = 0

    def look(self, cells: pa.StringArray) -> None:
        """Take the text of more cells into account."""
        self.nulls += cells.null_count
        if self.type == pa.string():
            return
        values = pc.drop_null(_bare(cells))
        if len(values):
            self.type = self._widened(values)

    def _widened(self, values: pa.StringArray) -> pa.DataType:
        if self.type in (pa.null(), pa.bool_()):
            if pc.all(pc.is_in(pc.utf8_lower(values), pa.array(["true", "false"]))).as_py():
                return pa.bool_()
            if self.type == pa.bool_():
                return pa.string()
        # Arrow takes 0x1F for a number; in a table it is a name.
        if pc.any(pc.match_substring(values, "x", ignore_case=True)).as_py():
            return pa.string()
        if self.type != pa.float64() and _fits(values, pa.int64()):
            return pa.int64()
        long = pc.any(pc.match_substring_regex(values, r"^[+-]?\d{19,}$")).as_py()
        return pa.float64() if not long and _fits(values, pa.float64()) else pa.string()


def typed(cells: pa.StringArray, type_: pa.DataType) -> pa.Array:
    """Return the values of cells that are all of `type_`.

    Raises
    ------
    pyarrow.ArrowInvalid
        One is not.
    """
    if type_ == pa.string():
        return cells
    if type_ == pa.null():
        return pa.nulls(len(cells))
    try:
        return pc.cast(cells, type_)
    except pa.ArrowInvalid:
        return pc.cast(_bare(cells), type_)


def parsed(cells: pa.StringArray, kind: Kind) -> tuple[pa.Array, "NDArray[np.bool_]"]:
    """Return the values of cells that should be of `kind`, and where they are not.

    Examples
    --------
    >>> values, wrong = parsed(pa.array([" 1", "x", None]), "number")
    >>> values.to_pylist(), wrong.tolist()
    ([1.0, None, None], [False, True, False])
    """
    type_ = {"number": pa.float64(), "boolean": pa.bool_()}.get(kind, pa.string())
    try:
        return typed(cells, type_), np.zeros(len(cells), dtype=np.bool_)
    except pa.ArrowInvalid:
        texts = _bare(cells).to_pylist()
    read = _truth if kind == "boolean" else _number
    values = [None if text is None else read(text) for text in texts]
    wrong = np.array([value is None and text is not None for value, text in zip(values, texts, strict=True)])
    return pa.array(values, type=type_), wrong


def _fits(values: pa.StringArray, type_: pa.DataType) -> bool:
    try:
        pc.cast(values, type_)
    except pa.ArrowInvalid:
        return False
    return True


def _bare(cells: pa.StringArray) -> Any:
    """Return cells without surrounding space, and none where nothing is left."""
    bare = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.equal(bare, ""), pa.scalar(None, bare.type), bare)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _truth(text: str) -> bool | None:
    return _TRUTH.get(text.lower())
