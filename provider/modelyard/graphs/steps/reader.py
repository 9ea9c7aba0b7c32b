"""Reads rows from files: one event for each row, or for each so many of them."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import msgspec

from modelyard.data.errors import DatasetNotFound, DatasetUnreadable
from modelyard.data.locations import Location, locate, storage_errors
from modelyard.graphs.bodies import part_of
from modelyard.graphs.steps.checking import Checked
from modelyard.graphs.steps.errors import FileRefused

__all__ = ["Reader"]

_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")


class Reader:
    r"""Reads a dataset and gives its rows one after the other, in memory that does not grow with it.

    The file is either fixed, or named by each event, below a folder that it cannot leave. JSON lines (``.jsonl``,
    ``.ndjson``), CSV (``.csv``, ``.tsv``) and Parquet are known by their names, compressed or not; a folder holds
    files of one kind.

    Parameters
    ----------
    uri
        The file or folder: a path, or any URI that fsspec knows.
    folder, field
        Instead: the body's field (dotted) holds the file's path below the folder.
    columns
        Which fields of the rows are read; all of them if nothing is said.
    size
        How many rows make one event, as a list; 0 makes each row an event of its own.

    Raises
    ------
    PathMissing
        The body has no such field (422).
    FileRefused
        The path leads out of the folder (403).
    DatasetNotFound, DatasetUnreadable, StorageUnavailable
        There is no such file, it is damaged, or the storage does not answer (404, 422, 503).

    Examples
    --------
    >>> import fsspec
    >>> from modelyard.graphs import Graph
    >>> fsspec.filesystem("memory").pipe_file("/in/planes.jsonl", b'{"tail": "N1", "seats": 180}\n{"tail": "N2"}\n')
    >>> graph = Graph("rows")
    >>> step = graph.to(Reader, folder="memory://in", field="file").to(len, name="fields").respond()
    >>> graph.test({"file": "planes.jsonl"})
    [2, 1]
    """

    def __init__(
        self, *, uri: str = "", folder: str = "", field: str = "", columns: Sequence[str] | None = None, size: int = 0
    ) -> None:
        checked = Checked("Reader")
        if bool(uri) == bool(folder):
            raise checked.refuse("uri", "must be given, or folder and field instead of it", uri)
        if bool(folder) != bool(field):
            raise checked.refuse("field", "goes with folder", field)
        self._uri = checked.text("uri", uri) if uri else checked.text("folder", folder)
        self._place = locate(self._uri)
        self._field = checked.text("field", field, empty=True)
        self._columns = None if columns is None else checked.names("columns", columns)
        self._size = checked.whole("size", size, least=0)

    def do(self, body: Any) -> Iterator[Any]:
        """Yield the rows, or lists of rows, of the file."""
        place, uri = self._named(part_of(body, self._field)) if self._field else (self._place, self._uri)
        with closing(self._rows(place, uri)) as rows:
            if not self._size:
                yield from rows
                return
            while piece := list(islice(rows, self._size)):
                yield piece

    def _named(self, name: Any) -> tuple[Location, str]:
        place = self._place
        parts = PurePosixPath(name).parts if isinstance(name, str) and name else ()
        if not parts or parts[0] == "/" or ".." in parts or "://" in name or "\\" in name or "\0" in name:
            raise FileRefused(name, place.uri)
        found = place.child("/".join(parts))
        # a link inside the folder may lead out of it
        if place.local and found.local and not found.local.resolve().is_relative_to(place.local.resolve()):
            raise FileRefused(name, place.uri)
        return found, f"{self._uri.rstrip('/')}/{'/'.join(parts)}"

    def _rows(self, place: Location, uri: str) -> Generator[dict[str, Any], None, None]:
        if place.is_folder():
            lines = [place.child(name) for name in place.files() if name.endswith(_LINES) and not name.startswith(".")]
        else:
            lines = [place] if place.name.endswith(_LINES) else []
        if lines:
            for each in lines:
                yield from self._lines(each)
            return
        from modelyard.data.dataset import open_dataset

        for batch in open_dataset(uri).batches(self._columns):
            yield from batch.to_pylist()

    def _lines(self, place: Location) -> Iterator[dict[str, Any]]:
        if not place.exists():
            raise DatasetNotFound(place.uri)
        with storage_errors(place.uri), place.fs.open(place.path, "rb", compression="infer") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                try:
                    row = msgspec.json.decode(line, type=dict[str, Any])
                except msgspec.DecodeError as error:
                    reason = f"line {number} is no JSON object ({error})"
                    raise DatasetUnreadable(place.uri, reason, "Mend the line.") from None
                yield row if self._columns is None else {name: row.get(name) for name in self._columns}
