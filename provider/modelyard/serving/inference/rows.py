"""Between tensors and the rows that graphs take: named columns or one matrix in, columns out."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.serving.inference.datatypes import BYTES
from modelyard.serving.inference.errors import InferenceRefused, TensorInvalid
from modelyard.serving.inference.tensors import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OUTPUT", "body_of", "rows_of", "tensors_of"]

OUTPUT = "output"
"""What an output is called that has no name of its own."""
_EXACT = (np.dtype(bool), np.dtype(np.int64), np.dtype(np.float64))
"""What lists of Python's own values become again."""


def rows_of(tensors: Sequence[Tensor], features: Collection[str] = ()) -> Any:
    """Return the rows in the tensors of a request: a matrix as it is, columns as mappings by name.

    Parameters
    ----------
    tensors
        One tensor of rows by columns; or columns, named, each of N or N by 1 elements.
    features
        The names that the graph's model knows: a lone tensor of that name is a column, not a matrix.

    Returns
    -------
    rows
        An array of rows by columns, or a list of mappings.

    Raises
    ------
    TensorInvalid
        The tensors differ in their number of rows, or have more dimensions than a table.

    Examples
    --------
    >>> rows_of([Tensor.of("x", [[1], [2]]), Tensor.of("t", ["a", "b"])])
    [{'x': 1, 't': 'a'}, {'x': 2, 't': 'b'}]
    >>> rows_of([Tensor.of("any", np.ones((2, 3)))]).shape
    (2, 3)
    """
    first = tensors[0]
    if len(tensors) == 1 and first.name not in features and first.array.ndim > 1:
        return first.array if first.datatype != BYTES else _texts(first.array).tolist()
    columns: dict[str, list[Any]] = {}
    count = first.shape[0] if first.array.ndim else 1
    for each in tensors:
        columns[each.name] = _column(each, count)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _column(tensor: Tensor, count: int) -> list[Any]:
    array = tensor.array
    rows = array.shape[0] if array.ndim else 1
    if rows != count:
        raise TensorInvalid(tensor.name, f"it has {rows} rows, the first tensor {count}", mend="Send equal columns.")
    if tensor.datatype == BYTES:
        array = _texts(array)
    if array.ndim > 1 and array.size == rows:
        array = array.reshape(rows)
    listed = array.tolist()
    return listed if array.ndim else [listed]


def _texts(array: "NDArray[Any]") -> "NDArray[Any]":
    """Return text where bytes are UTF-8; images and the like stay bytes."""
    flat = array.ravel()
    if not any(isinstance(each, bytes) for each in flat):
        return array
    texts = np.empty(flat.size, dtype=object)
    for index, each in enumerate(flat):
        try:
            texts[index] = each.decode() if isinstance(each, bytes) else each
        except UnicodeDecodeError:
            texts[index] = each
    return texts.reshape(array.shape)


def body_of(rows: Any) -> list[Any]:
    """Return rows as plain bodies, one for each event."""
    return rows.tolist() if hasattr(rows, "tolist") else list(rows)


def tensors_of(replies: Any, datatypes: Mapping[str, str] | None = None) -> tuple[Tensor, ...]:
    """Return the tensors of a graph's replies, one reply for each row.

    Mappings become a column for each key, N by 1, in the order of the first reply; numbers, texts and truth values one
    tensor of N; lists of equal length one tensor of rows by columns. What is none of these travels as JSON text.

    Parameters
    ----------
    replies
        One for each row; an array is taken as it is.
    datatypes
        What the model's signature says of its outputs, by name.

    Raises
    ------
    InferenceRefused
        The replies have different keys.

    Examples
    --------
    >>> [(each.name, each.datatype, each.array.tolist()) for each in tensors_of([{"label": 1}, {"label": 0}])]
    [('label', 'INT64', [[1], [0]])]
    """
    if isinstance(replies, np.ndarray) and replies.dtype.kind != "O":
        return (Tensor.of(OUTPUT, replies),)
    if isinstance(replies, AnswerColumns) and len(replies):
        return tuple(_output(name, column, (datatypes or {}).get(name, "")) for name, column in replies.columns.items())
    listed = replies.tolist() if hasattr(replies, "tolist") else list(replies)
    if listed and all(isinstance(each, Mapping) for each in listed):
        return _columns(listed, datatypes or {})
    return (_tensor(OUTPUT, listed, ""),)


def _columns(replies: Sequence[Mapping[str, Any]], datatypes: Mapping[str, str]) -> tuple[Tensor, ...]:
    names = list(replies[0])
    if any(each.keys() != replies[0].keys() for each in replies):
        other = next(each for each in replies if each.keys() != replies[0].keys())
        raise InferenceRefused(
            f"the graph's replies have different fields: {', '.join(map(str, names))}; {', '.join(map(str, other))}",
            mend="Ask row by row, or give the replies equal fields.",
        )
    return tuple(_output(str(name), [each[name] for each in replies], datatypes.get(str(name), "")) for name in names)


def _output(name: str, values: Any, datatype: str) -> Tensor:
    """Return the tensor of one field of all replies: a list, or an array, which says the same as its list."""
    dtype = getattr(values, "dtype", None)
    if dtype is not None and dtype in _EXACT:  # NumPy takes None for float64
        tensor = Tensor.of(name, values)
    else:
        tensor = _tensor(name, values if dtype is None else values.tolist(), datatype)
    return tensor._replace(array=tensor.array.reshape(-1, 1)) if tensor.array.ndim == 1 else tensor


def _tensor(name: str, values: list[Any], datatype: str) -> Tensor:
    if values and all(isinstance(each, str | bytes) for each in values):
        return Tensor(name, BYTES, _objects(values))
    if not values:
        return Tensor(name, datatype or "FP64", np.zeros(0))
    try:
        array = np.array([float("nan") if each is None else each for each in values])
        if array.dtype.kind in "biuf":
            return Tensor.of(name, array)
        if array.dtype.kind in "US" and array.ndim > 1:
            return Tensor(name, BYTES, array.astype(object))
    except ValueError:
        pass
    return Tensor(name, BYTES, _objects([_told(each) for each in values]))


def _told(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _objects(values: Sequence[Any]) -> "NDArray[Any]":
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
