"""Tables as comma-separated values: columns get the types that are known of them, and bad cells are found."""

from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.serving.errors import CellInvalid
from modelyard.serving.row_columns import check_names
from modelyard.serving.table_bounds import TableBounds

__all__ = ["CsvRows", "read_csv"]

_NAMES = {"BOOL": "truth values", "BYTES": "texts"}
CsvRows = tuple[list[dict[str, Any]], dict[int, CellInvalid]]
"""The rows, and why some of them are none."""


def read_csv(raw: Any, columns: Mapping[str, str], bounds: TableBounds) -> CsvRows:
    r"""Return the rows of a table with a header line, and what is wrong with some of them.

    Columns that are not known get the type that all of their cells fit.

    Parameters
    ----------
    raw
        The table, a ``pyarrow.Buffer``.
    columns
        Column → its datatype in the Open Inference Protocol.
    bounds
        The most that it may hold.

    Raises
    ------
    RowsExceeded
        It has more rows.
    pyarrow.ArrowInvalid
        It is no such table.
    ValueError
        Two columns have one name, or a text is not UTF-8.

    Examples
    --------
    >>> import pyarrow
    >>> raw = pyarrow.py_buffer(b"hour,at\n19,JFK\nlate,LGA\n")
    >>> rows, errors = read_csv(raw, {"hour": "INT64"}, TableBounds(10, 1000))
    >>> rows[0], str(errors[1])
    ({'hour': 19, 'at': 'JFK'}, "row 1: the column 'hour' has numbers (INT64), not 'late'. Put one there, or nothing.")
    """
    import pyarrow as pa
    from pyarrow import csv

    types = {name: kind for name, each in columns.items() if (kind := _type(each)) is not None}
    try:
        table = csv.read_csv(pa.BufferReader(raw), convert_options=csv.ConvertOptions(column_types=types))
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise
        return _cell_by_cell(raw, columns, types, bounds)
    bounds.check_rows(len(table))
    check_names(table.column_names)
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise ValueError(f"the column {field.name!r} is not UTF-8 text")
    return table.to_pylist(), {}


def _cell_by_cell(raw: Any, columns: Mapping[str, str], types: Mapping[str, Any], bounds: TableBounds) -> CsvRows:
    import pyarrow as pa
    import pyarrow.compute
    from pyarrow import csv

    compute: Any = pyarrow.compute  # its functions are made at run time: no type checker knows them

    options = csv.ConvertOptions(column_types=dict.fromkeys(types, pa.string()))
    table = csv.read_csv(pa.BufferReader(raw), convert_options=options)
    bounds.check_rows(len(table))
    check_names(table.column_names)
    rows: list[dict[str, Any]] = table.to_pylist()
    errors: dict[int, CellInvalid] = {}
    empty = pa.array(options.null_values)
    for name in table.column_names:
        kind = types.get(name, pa.string())
        if pa.types.is_string(kind):
            continue
        texts = compute.utf8_trim_whitespace(table.column(name).combine_chunks())
        cells = compute.if_else(compute.is_in(texts, empty), None, texts)
        for index, value in enumerate(_values(cells, kind)):
            text = rows[index][name]
            rows[index][name] = value
            if value is None and cells[index].is_valid:
                errors.setdefault(
                    index, CellInvalid(index, name, _NAMES.get(columns[name], "numbers"), columns[name], text)
                )
    return rows, errors


def _values(cells: Any, kind: Any) -> Iterator[Any]:
    """Yield what cells are as values of a type; None where they are none, or empty."""
    import pyarrow as pa

    try:
        yield from cells.cast(kind).to_pylist()
    except pa.ArrowInvalid:
        if len(cells) > 1:
            middle = len(cells) // 2
            yield from _values(cells[:middle], kind)
            yield from _values(cells[middle:], kind)
        else:
            yield _whole(cells[0].as_py()) if pa.types.is_integer(kind) else None


def _whole(text: str) -> int | None:
    """Return the integer that a text such as ``19.0`` says: so are columns with empty cells written by many."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else None


def _type(datatype: str) -> Any:
    import pyarrow as pa

    if datatype == "BYTES":
        return pa.string()
    if datatype == "BOOL":
        return pa.bool_()
    if datatype.startswith(("FP", "BF")):
        return pa.float64()
    return getattr(pa, datatype.lower())() if datatype.startswith(("INT", "UINT")) else None
