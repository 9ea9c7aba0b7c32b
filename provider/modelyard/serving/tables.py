"""Tables that requests bring and responses take, row by row: CSV, Parquet, Arrow."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from modelyard.graphs.errors import LibraryMissing
from modelyard.serving.csv_tables import CsvRows, read_csv
from modelyard.serving.errors import RequestMalformed
from modelyard.serving.row_columns import check_names
from modelyard.serving.table_bounds import TableBounds
from modelyard.serving.table_sizes import check_arrow, check_parquet, check_values

__all__ = ["ARROW_FILE", "ARROW_STREAM", "CSV", "PARQUET", "TABLES", "read_table", "write_table"]

CSV = "text/csv"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
TABLES = (CSV, ARROW_STREAM, ARROW_FILE, PARQUET)
"""Types whose rows are events of their own."""


def read_table(raw: bytes, media_type: str, bounds: TableBounds, columns: Mapping[str, str]) -> CsvRows:
    """Return the rows of a table, and what is wrong with those of which a cell is not what its column holds.

    Parameters
    ----------
    raw
        The body.
    media_type
        One of `TABLES`.
    bounds
        The most that it may hold; looked at before it is unpacked.
    columns
        Column → its datatype, for types that do not say so themselves.

    Raises
    ------
    RowsExceeded, TableTooLarge
        It is beyond the bounds.
    RequestMalformed
        It is no table of that type.
    LibraryMissing
        Reading it needs pyarrow, which is not installed here.
    """
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise LibraryMissing("pyarrow", f"a body of type {media_type}", "ml") from error
    try:
        return _read(pa.py_buffer(raw), media_type, bounds, columns)
    except (pa.ArrowException, ValueError, OverflowError, OSError) as error:
        form = {CSV: "CSV", PARQUET: "Parquet"}.get(media_type, "Arrow")
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise RequestMalformed(told, form=form, mend="Send a whole table with its header.") from None


def _read(raw: Any, media_type: str, bounds: TableBounds, columns: Mapping[str, str]) -> CsvRows:
    import pyarrow as pa

    if media_type == CSV:
        return read_csv(raw, columns, bounds)
    if media_type == PARQUET:
        table = _read_parquet(raw, bounds)
    else:
        check_arrow(raw, bounds, file=media_type == ARROW_FILE)
        source = pa.BufferReader(raw)
        table = (pa.ipc.open_file if media_type == ARROW_FILE else pa.ipc.open_stream)(source).read_all()
    check_names(table.column_names)
    check_values(table, bounds)
    return table.to_pylist(), {}  # where names and times are looked at


def _read_parquet(raw: Any, bounds: TableBounds) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    metadata = parquet.read_metadata(pa.BufferReader(raw))
    check_parquet(metadata, bounds)
    schema = metadata.schema
    # texts that many rows share stay one text until it is known how many there would be
    shared = [
        schema.column(index).path for index in range(len(schema)) if schema.column(index).physical_type == "BYTE_ARRAY"
    ]
    return parquet.ParquetFile(pa.BufferReader(raw), metadata=metadata, read_dictionary=shared).read()


def write_table(replies: list[Any], media_type: str) -> bytes:
    r"""Return replies as a table; those that are no mappings become a column ``output``.

    Parameters
    ----------
    replies
        One for each row.
    media_type
        One of `TABLES`.

    Raises
    ------
    TypeError
        The replies do not fit into columns.

    Examples
    --------
    >>> write_table([{"label": 1}, {"label": 0}], CSV)
    b'"label"\n1\n0\n'
    """
    import pyarrow as pa

    rows = [each if isinstance(each, Mapping) else {"output": each} for each in replies]
    try:
        table = pa.Table.from_pylist(rows)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TypeError(f"the replies are no table: {str(error).splitlines()[0]}") from None
    sink = BytesIO()
    if media_type == CSV:
        from pyarrow import csv

        csv.write_csv(table, sink)
    elif media_type == PARQUET:
        from pyarrow import parquet

        parquet.write_table(table, sink)
    else:
        make = pa.ipc.new_stream if media_type == ARROW_STREAM else pa.ipc.new_file
        with make(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()
