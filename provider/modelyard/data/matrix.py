"""The one way from columns to the array that a model is fitted on and predicts from.

Training, evaluation and batch scoring all come through here, so that the same row gives the same array everywhere.
Arrow is needed only for Arrow data; lists and arrays need NumPy alone.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelyard.data.errors import ColumnMissing, ColumnTypeWrong

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["to_array", "to_matrix"]


def to_matrix(
    data: Any, columns: Sequence[str], dtypes: Sequence[str] = (), *, source: str = "the data"
) -> "NDArray[Any]":
    """Return the named columns as an array of rows by columns.

    It is float64 if all columns are numbers or booleans: nothing is nan there. Otherwise it is an array of objects:
    text is ``str``, numbers and booleans are Python's own, and nothing is None.

    Parameters
    ----------
    data
        An Arrow table or record batch, a pandas frame, a mapping of columns, or rows as an array or lists.
    columns
        The names, in the order that the model knows.
    dtypes
        The types that the columns had when the model was fitted, as Arrow names; in an array of objects a whole
        number then is an ``int`` or a ``float`` as it was there. Empty: as they are now.
    source
        How errors call the data.

    Raises
    ------
    ColumnMissing
        A column is not there.
    ColumnTypeWrong
        A column is neither number, boolean nor text.

    Examples
    --------
    >>> import pyarrow as pa
    >>> to_matrix(pa.table({"b": [None, 2], "a": [True, False], "c": ["x", None]}), ["a", "b"])
    array([[ 1., nan],
           [ 0.,  2.]])
    >>> to_matrix([[1, "x"], [2, None]], ["a", "c"])
    array([[1, 'x'],
           [2, None]], dtype=object)
    """
    if hasattr(data, "schema") and hasattr(data, "column"):
        return _from_arrow(data, columns, dtypes, source)
    if hasattr(data, "iloc"):
        return _from_frame(data, columns, dtypes, source)
    if isinstance(data, Mapping):
        import pyarrow as pa

        return _from_arrow(pa.table(dict(data)), columns, dtypes, source)
    return _from_rows(data, columns, source)


def to_array(column: "pa.ChunkedArray | pa.Array") -> "NDArray[Any]":
    """Return one column: float64 with nan for nulls where there are any, its own type where not, objects for text.

    Examples
    --------
    >>> import pyarrow as pa
    >>> to_array(pa.chunked_array([[1, 2]])), to_array(pa.array([True, None])), to_array(pa.array(["x", None]))
    (array([1, 2]), array([True, None], dtype=object), array(['x', None], dtype=object))
    """
    plain = _decoded(column)
    array: NDArray[Any] = plain.to_numpy(zero_copy_only=False)
    return array


def _from_arrow(data: Any, columns: Sequence[str], dtypes: Sequence[str], source: str) -> "NDArray[Any]":
    import numpy as np

    from modelyard.data.schemas import check_columns, kind_of

    check_columns(data.schema, columns, source)
    kinds = []
    for column in columns:
        type_ = data.schema.field(column).type
        kinds.append(kind_of(type_))
        if kinds[-1] == "other":
            raise ColumnTypeWrong(source, column, str(type_), "a number, a boolean or text")
    if "text" not in kinds:
        matrix = np.empty((data.num_rows, len(columns)), dtype=np.float64)
        for index, column in enumerate(columns):
            matrix[:, index] = _floats(data.column(column))
        return matrix
    objects = np.empty((data.num_rows, len(columns)), dtype=object)
    known = dtypes if len(dtypes) == len(columns) else [""] * len(columns)
    for index, (column, dtype) in enumerate(zip(columns, known, strict=True)):
        objects[:, index] = _objects(data.column(column), dtype)
    return objects


def _decoded(column: Any) -> Any:
    """Return the column without a dictionary, as one array where it has one chunk."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def _floats(column: Any) -> "NDArray[np.float64]":
    import numpy as np
    import pyarrow as pa

    plain = _decoded(column)
    if not pa.types.is_floating(plain.type):
        plain = plain.cast(pa.float64(), safe=False)
    array: NDArray[np.float64] = plain.to_numpy(zero_copy_only=False)
    return array


def _objects(column: Any, dtype: str) -> Any:
    import pyarrow as pa

    from modelyard.data.schemas import kind_of

    plain = _decoded(column)
    if kind_of(plain.type) == "text":
        return plain.to_numpy(zero_copy_only=False)
    if pa.types.is_decimal(plain.type):
        plain = plain.cast(pa.float64())
    if dtype:
        plain = _as_fitted(plain, dtype)
    return _objects_of(plain)


def _as_fitted(column: Any, dtype: str) -> Any:
    """Return numbers as whole or floating, as the model saw them; fractions stay fractions."""
    import pyarrow as pa

    if pa.types.is_boolean(column.type) or pa.types.is_null(column.type):
        return column
    whole = dtype.lower().startswith(("int", "uint", "long"))
    if not whole:
        return column.cast(pa.float64(), safe=False) if dtype.lower().startswith(("float", "double")) else column
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column


def _objects_of(column: Any) -> Any:
    """Return numbers and booleans as Python's own; by way of NumPy, which takes a tenth of the time of a list."""
    import numpy as np
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return np.full(len(column), None, dtype=object)
    if not column.null_count:
        return column.to_numpy(zero_copy_only=False).astype(object)
    array = column.fill_null(False if pa.types.is_boolean(column.type) else 0).to_numpy(zero_copy_only=False)
    array = array.astype(object)
    array[column.is_null().to_numpy(zero_copy_only=False)] = None
    return array


def _from_frame(frame: Any, columns: Sequence[str], dtypes: Sequence[str], source: str) -> "NDArray[Any]":
    import pyarrow as pa

    known = [str(name) for name in frame.columns]
    for column in columns:
        if column not in known:
            raise ColumnMissing(source, column, known)
    table = pa.Table.from_pandas(frame[list(columns)], preserve_index=False)
    return _from_arrow(table, columns, dtypes, source)


def _from_rows(rows: Any, columns: Sequence[str], source: str) -> "NDArray[Any]":
    import numpy as np

    if not isinstance(rows, np.ndarray):
        values = [list(row) for row in rows]
        plain = all(value is None or isinstance(value, int | float) for row in values for value in row)
        rows = np.array(values, dtype=np.float64 if plain else object)
        rows = rows.reshape(len(values), -1 if values else len(columns))
    if rows.ndim != 2 or (rows.shape[1] != len(columns) and len(rows)):
        raise ColumnTypeWrong(source, ", ".join(columns), f"of shape {rows.shape}", f"rows by {len(columns)} columns")
    array: NDArray[Any] = rows if rows.dtype == object else rows.astype(np.float64, copy=False)
    return array.reshape(len(array), len(columns))
