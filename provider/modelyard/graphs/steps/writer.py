"""Writes rows to files that appear whole or not at all, by number and by time."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from threading import Lock, Timer
from typing import Any
from uuid import uuid4

import msgspec

from modelyard.data.locations import locate, storage_errors
from modelyard.data.storage import writing
from modelyard.graphs.errors import LibraryMissing
from modelyard.graphs.event import Event
from modelyard.graphs.isolation import isolated
from modelyard.graphs.steps.checking import Checked
from modelyard.graphs.steps.errors import FieldUnfit, StepClosed

__all__ = ["Writer"]

_LOG = logging.getLogger("modelyard.graphs")

_OF_EVENT: dict[str, Callable[[Event], Any]] = {
    "id": lambda event: event.id,
    "key": lambda event: event.key,
    "path": lambda event: event.path,
    "timestamp": lambda event: event.timestamp,
}
_HELD = 10
"""So many files' worth of rows are held while the storage does not take them."""


class Writer:
    """Writes each body, a row or a list of rows, and passes it on.

    Rows are gathered in the worker process, and written as a new file of the folder when there are enough of them,
    when the oldest has waited long enough, and when the graph closes. A file appears whole or not at all. Rows that
    are still gathered are lost if the process is killed. A storage that fails is tried again with the next file; the
    event that filled the file gets the error, and its row is kept.

    Parameters
    ----------
    folder
        Where the files go: a path, or any URI that fsspec knows. `Reader` and datasets read it.
    format
        ``jsonl`` (any JSON values), ``csv`` or ``parquet`` (numbers, texts, truth values, moments).
    rows
        How many rows make a file.
    seconds
        How long a row waits at most until it is written; 0 waits for the number alone.
    columns
        The fields that are written, with ``csv`` and ``parquet``; by default those of the first row. A row with
        another field is refused; one that lacks a field has nothing there.
    event
        Column → what of the event goes into it: ``id``, ``key``, ``path`` or ``timestamp``.

    Raises
    ------
    FieldUnfit
        A value or field does not fit the file (422).
    StorageFull, StorageDenied, StorageUnavailable
        The storage does not take the file (429, 403, 503).

    Examples
    --------
    >>> from modelyard.data import open_dataset
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("kept")
    >>> step = graph.to(Writer, folder="memory://kept", format="parquet", rows=2, event={"path": "path"}).respond()
    >>> for late in (True, False):
    ...     reply = graph.test({"late": late})
    >>> open_dataset("memory://kept").table().to_pylist()
    [{'late': True, 'path': '/'}, {'late': False, 'path': '/'}]
    """

    state = "worker"

    def __init__(
        self,
        *,
        folder: str,
        format: str = "jsonl",  # noqa: A002 (what everybody calls it)
        rows: int = 10_000,
        seconds: float = 60.0,
        columns: list[str] | None = None,
        event: Mapping[str, str] | None = None,
    ) -> None:
        checked = Checked("Writer")
        self._place = locate(checked.text("folder", folder))
        self._format = checked.word("format", format, ("jsonl", "csv", "parquet"))
        if self._format != "jsonl":
            _arrow()
        self._most = checked.whole("rows", rows, least=1)
        self._seconds = checked.number("seconds", seconds, least=0)
        self._cells = _Cells(None if columns is None else checked.names("columns", columns))
        known = checked.mapping("event", event or {})
        self._event = {name: checked.word(f"event.{name}", part, tuple(_OF_EVENT)) for name, part in known.items()}
        if not self._event:
            vars(self)["do"] = self._do
        self._kept: list[Any] = []
        self._timer: Timer | None = None
        self._lock, self._writing = Lock(), Lock()
        self._worker, self._number = uuid4().hex[:8], 0
        self._closed = False

    def do_event(self, event: Event) -> Any:
        """Take the body's rows, with what belongs to the event, and return the body."""
        own = {name: _OF_EVENT[part](event) for name, part in self._event.items()}
        self._take(event.body, own)
        return event.body

    def _do(self, body: Any) -> Any:
        self._take(body, {})
        return body

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._closed = True
        self.flush()

    def flush(self) -> None:
        """Write what is gathered; nothing happens where nothing is.

        Raises
        ------
        StorageFull, StorageDenied, StorageUnavailable
            The storage does not take it; it stays gathered.
        """
        with self._writing:
            with self._lock:
                rows, self._kept = self._kept, []
                timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            if not rows:
                return
            try:
                self._write(rows)
            except BaseException:
                with self._lock:
                    self._kept[:0] = rows
                    self._start_timer()
                raise

    def _take(self, body: Any, own: Mapping[str, Any]) -> None:
        given = body if isinstance(body, list) else [body]
        encoded = [self._encoded(_joined(row, own) if isinstance(row, Mapping) else row) for row in given]
        with self._lock:
            if self._closed:
                raise StepClosed("Writer")
            crowded = len(self._kept) >= _HELD * self._most
        if crowded:
            self.flush()
        with self._lock:
            self._kept += encoded
            self._start_timer()
            full = len(self._kept) >= self._most
        if full:
            self.flush()

    def _encoded(self, row: Any) -> Any:
        if self._format != "jsonl":
            return self._cells.checked(row)
        if not isinstance(row, Mapping):
            raise FieldUnfit("", "a row must be a mapping of fields", row)
        try:
            return msgspec.json.encode(row)
        except TypeError as error:
            raise FieldUnfit("", f"cannot be written as JSON ({error})", row) from None

    def _start_timer(self) -> None:
        if self._seconds and self._timer is None and self._kept and not self._closed:
            self._timer = Timer(self._seconds, self._flush_in_time)
            self._timer.daemon = True
            self._timer.start()

    def _flush_in_time(self) -> None:
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001 (there is no event that could get it; the rows are kept)
            _LOG.error("%s: %s", self._place.uri, error)

    def _write(self, rows: list[Any]) -> None:
        name = f"part-{datetime.now(UTC):%Y%m%dT%H%M%S}-{self._worker}-{self._number:06d}.{self._format}"
        place = self._place.child(name)
        with storage_errors(place.uri, writing=True), writing(place) as stream:
            if self._format == "jsonl":
                stream.write(b"\n".join(rows) + b"\n")
            else:
                _write_table(rows, self._cells.columns, self._format, stream)
        self._number += 1


def _joined(row: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    for name in own:
        if name in row:
            raise FieldUnfit(name, "is a field of the row already: the event's needs another name", row[name])
    return {**row, **own}


class _Cells:
    """The columns of an output, as they turn out: one bad value must not spoil a file of good ones."""

    def __init__(self, columns: list[str] | None) -> None:
        self.columns: list[str] = columns or []
        self._kinds: dict[str, str] = {}
        self._lock = Lock()

    def checked(self, row: Any) -> dict[str, Any]:
        """Return a row's own copy of its cells."""
        if not isinstance(row, Mapping):
            raise FieldUnfit("", "a row must be a mapping of fields", row)
        with self._lock:  # of two first rows in two threads only one says which columns there are
            columns = self._fitting(row)
        return {name: isolated(row.get(name)) for name in columns}

    def _fitting(self, row: Mapping[str, Any]) -> list[str]:
        columns = self.columns or list(row)
        for name in row:
            if name not in columns:
                raise FieldUnfit(str(name), f"is no column of this output ({', '.join(columns)})", row[name])
        kinds = {name: _kind(name, row[name]) for name in columns if row.get(name) is not None}
        for name, kind in kinds.items():
            if self._kinds.get(name, kind) != kind:
                raise FieldUnfit(name, f"must be a {self._kinds[name]}, as in the rows before", row[name])
        self.columns = columns
        self._kinds.update(kinds)
        return columns


def _kind(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "truth value"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise FieldUnfit(name, "must fit into 64 bits", value)
        return "number"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, datetime):
        return "moment with a zone" if value.tzinfo else "moment"
    if isinstance(value, date):
        return "date"
    raise FieldUnfit(name, "must be a number, text, truth value or moment (jsonl takes more)", value)


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise LibraryMissing("pyarrow", "writing tables", "steps") from None
    return pyarrow


def _write_table(rows: list[dict[str, Any]], columns: list[str], kind: str, stream: Any) -> None:
    pa = _arrow()
    arrays = {}
    for name in columns:
        values = [row.get(name) for row in rows]
        mixed = any(isinstance(value, float) for value in values)
        # Arrow takes no list of whole numbers and fractions where one of the former needs more than 53 bits
        arrays[name] = pa.array([float(value) if mixed and value is not None else value for value in values])
    table = pa.table(arrays)
    if kind == "csv":
        from pyarrow import csv

        csv.write_csv(table, stream)
    else:
        from pyarrow import parquet

        parquet.write_table(table, stream)
