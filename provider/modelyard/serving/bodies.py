"""What a request's body holds, by its content type: one event, or the rows of a table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from modelyard.serving.errors import CellInvalid, MediaTypeUnsupported, RequestMalformed
from modelyard.serving.table_bounds import TableBounds
from modelyard.serving.tables import TABLES, read_table
from modelyard.serving.unreadable import UNREADABLE

__all__ = ["JSON", "Body", "read_body"]

JSON = "application/json"
BOUNDS = TableBounds(100_000, 8 * 16 * 1024 * 1024)
"""What tables may hold if nobody says otherwise."""


class Body(NamedTuple):
    """What was read.

    Parameters
    ----------
    value
        One event's body; or the rows, one body for each event.
    rows
        Whether it is rows.
    errors
        What is wrong with some of the rows, by their index.
    """

    value: Any
    rows: bool = False
    errors: Mapping[int, CellInvalid] = {}


def read_body(
    raw: bytes,
    media_type: str,
    content_type: str = "",
    *,
    bounds: TableBounds = BOUNDS,
    columns: Mapping[str, str] = MappingProxyType({}),
) -> Body:
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
    bounds
        The most that a table may hold.
    columns
        Column → its datatype in the Open Inference Protocol, for CSV; of others it is the one that all cells fit.

    Raises
    ------
    MediaTypeUnsupported
        Nobody reads this type here.
    RequestMalformed
        The body is not what its type says.
    RowsExceeded, TableTooLarge
        It holds more than the bounds.
    LibraryMissing
        Reading the type needs a library that is not installed here.

    Examples
    --------
    >>> read_body(b"hour,carrier\n19,UA\n7,AA\n", "text/csv").value
    [{'hour': 19, 'carrier': 'UA'}, {'hour': 7, 'carrier': 'AA'}]
    """
    if not media_type or media_type == JSON or media_type.endswith("+json"):
        return Body(_json(raw))
    if media_type in TABLES:
        rows, errors = read_table(raw, media_type, bounds, columns)
        return Body(rows, rows=True, errors=errors)
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
