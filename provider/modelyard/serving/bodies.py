"""What a request's body holds, by its content type: one event, or the rows of a table."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

import msgspec

from modelyard.graphs.errors import LibraryMissing
from modelyard.serving.errors import MediaTypeUnsupported, RequestMalformed, RowsExceeded
from modelyard.serving.unreadable import UNREADABLE

__all__ = ["ARROW_FILE", "ARROW_STREAM", "CSV", "JSON", "PARQUET", "TABLES", "Body", "read_body", "write_table"]

JSON = "application/json"
CSV = "text/csv"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
TABLES = (CSV, ARROW_STREAM, ARROW_FILE, PARQUET)
"""Types whose rows are events of their own."""


class Body(NamedTuple):
    """What was read.

    Parameters
    ----------
    value
        One event's body; or the rows, one body for each event.
    rows
        Whether it is rows.
    """

    value: Any
    rows: bool = False


def read_body(raw: bytes, media_type: str, content_type: str = "", *, limit: int = 100_000) -> Body:
    r"""Return what a request's body holds.

    JSON is one event, CSV (with a header line), Arrow and Parquet are rows. A form is one event, a mapping of its
    fields; a file in it is a mapping of ``filename``, ``content_type`` and ``body``. Plain text is text, images and
    ``application/octet-stream`` are bytes.

    Parameters
    ----------
    raw
        The body.
    media_type
        The content type without parameters, in lower case; empty means JSON.
    content_type
        The header as it came; a form's boundary is in it.
    limit
        The most rows.

    Raises
    ------
    MediaTypeUnsupported
        Nobody reads this type here.
    RequestMalformed
        The body is not what its type says.
    RowsExceeded
        It has more rows than the limit.
    LibraryMissing
        Reading the type needs a library that is not installed here.

    Examples
    --------
    >>> read_body(b"hour,carrier\n19,UA\n7,AA\n", CSV)
    Body(value=[{'hour': 19, 'carrier': 'UA'}, {'hour': 7, 'carrier': 'AA'}], rows=True)
    """
    if not media_type or media_type == JSON or media_type.endswith("+json"):
        return Body(_json(raw))
    if media_type in TABLES:
        return Body(_table(raw, media_type, limit), rows=True)
    if media_type == "multipart/form-data":
        return Body(_form(raw, content_type))
    if media_type == "text/plain":
        return Body(_text(raw))
    if media_type == "application/octet-stream" or media_type.startswith(("image/", "audio/", "video/")):
        return Body(raw)
    known = ", ".join((JSON, *TABLES, "multipart/form-data", "text/plain", "image/*", "application/octet-stream"))
    raise MediaTypeUnsupported(media_type, f"Send application/json (curl: --json). Read here: {known}.")


def _json(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw) if raw else None
    except UNREADABLE as error:
        raise RequestMalformed(str(error)) from None


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise RequestMalformed(str(error), form="UTF-8 text", mend="Send bytes as application/octet-stream.") from None


def _table(raw: bytes, media_type: str, limit: int) -> list[dict[str, Any]]:
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise LibraryMissing("pyarrow", f"a body of type {media_type}", "ml") from error
    try:
        table = _read_table(pa.BufferReader(raw), media_type, limit)
        rows: list[dict[str, Any]] = table.to_pylist()  # where names and times are looked at
    except (pa.ArrowException, ValueError, OverflowError, OSError) as error:
        form = {CSV: "CSV", PARQUET: "Parquet"}.get(media_type, "Arrow")
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise RequestMalformed(told, form=form, mend="Send a whole table with its header.") from None
    return rows


def _read_table(source: Any, media_type: str, limit: int) -> Any:
    """Return a table of at most so many rows: a few compressed bytes may hold more rows than there is memory for."""
    import pyarrow as pa

    if media_type == CSV:
        from pyarrow import csv

        table = csv.read_csv(source)
        _check_rows(len(table), limit)
        return table
    if media_type == PARQUET:
        from pyarrow import parquet

        opened = parquet.ParquetFile(source)
        _check_rows(opened.metadata.num_rows, limit)
        return opened.read()
    stream = pa.ipc.open_stream(source) if media_type == ARROW_STREAM else pa.ipc.open_file(source)
    batches, rows = [], 0
    for batch in stream if media_type == ARROW_STREAM else map(stream.get_batch, range(stream.num_record_batches)):
        rows += len(batch)
        _check_rows(rows, limit)
        batches.append(batch)
    return pa.Table.from_batches(batches, stream.schema)


def _check_rows(rows: int, limit: int) -> None:
    if rows > limit:
        raise RowsExceeded(rows, limit)


def _form(raw: bytes, content_type: str) -> dict[str, Any]:
    from python_multipart import exceptions, multipart

    fields: dict[str, Any] = {}

    def take_field(field: Any) -> None:
        fields[field.field_name.decode()] = (field.value or b"").decode()

    def take_file(file: Any) -> None:
        file.file_object.seek(0)
        fields[(file.field_name or b"file").decode()] = {
            "filename": (file.file_name or b"").decode("utf-8", "replace"),
            "content_type": (file.content_type or "application/octet-stream"),
            "body": file.file_object.read(),
        }
        file.close()

    try:
        headers = {"Content-Type": content_type.encode(), "Content-Length": str(len(raw)).encode()}
        # the whole body is in memory already: no file goes to disk
        parser = multipart.create_form_parser(
            headers, take_field, take_file, config={"MAX_MEMORY_FILE_SIZE": len(raw) + 1}
        )
        parser.write(raw)
        parser.finalize()
    except (exceptions.FormParserError, UnicodeDecodeError) as error:
        raise RequestMalformed(str(error), form="a form", mend="Send multipart/form-data with its boundary.") from None
    return fields


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
