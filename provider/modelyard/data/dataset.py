"""Datasets: Parquet or CSV at any address, read as Arrow batches in bounded memory."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from modelyard.data.csv_files import COMPRESSIONS, CsvSource
from modelyard.data.digests import digest_of_digests, file_digest
from modelyard.data.errors import (
    ColumnTypeWrong,
    DatasetEmpty,
    DatasetNotFound,
    DatasetUnfinished,
    DatasetUnreadable,
    LibraryMissing,
)
from modelyard.data.locations import Location, locate, storage_errors
from modelyard.data.manifest import Manifest, read_manifest
from modelyard.data.parquet_files import ParquetSource
from modelyard.data.pieces import Chunk, DataFile, aligned
from modelyard.data.schemas import Kind, check_columns, schema_types
from modelyard.data.sources import DatasetSource

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "open_dataset"]

BATCH_ROWS = 65_536
HASHED_BYTES = 256 << 20
"""Remote files above this size are known by name, size and the storage's own tag instead of their bytes."""


def open_dataset(uri: str) -> "Dataset":
    r"""Return the dataset at `uri`; its files are found now and read later.

    Parameters
    ----------
    uri
        A path, or any URI that fsspec knows, of a Parquet or CSV file (``.csv``, ``.tsv``, also ``.gz``, ``.bz2``,
        ``.zst``), of a folder of such files of one kind, or of a folder with a manifest: then only the files that
        the manifest lists belong to the dataset.

    Raises
    ------
    DatasetNotFound
        There is nothing.
    DatasetUnfinished
        A folder's writer has not finished.
    DatasetEmpty
        A folder has no data files.
    DatasetUnreadable
        The files are neither Parquet nor CSV, or of both kinds.
    StorageDenied, StorageUnavailable
        The storage refuses, or does not answer.

    Examples
    --------
    >>> import fsspec
    >>> fsspec.filesystem("memory").pipe_file("/planes.csv", b"tail,seats\nN1,180\nN2,\n")
    >>> planes = open_dataset("memory://planes.csv")
    >>> planes.num_rows, planes.schema.field("seats").type
    (2, DataType(int64))
    """
    location = locate(uri)
    if location.is_folder():
        manifest = read_manifest(location)
        names = _listed(location, manifest) if manifest else _found(location)
        return Dataset(location, names, manifest)
    if not location.exists():
        raise DatasetNotFound(location.uri, name=location.name, neighbours=_neighbours(location))
    if _suffix(location.name) is None:
        raise DatasetUnreadable(location.uri, f"{location.name!r} is neither Parquet nor CSV by its name")
    return Dataset(location, ("",))


def _neighbours(location: Location) -> list[str]:
    if location.local is None or not location.local.parent.is_dir():
        return []
    return sorted(path.name for path in location.local.parent.iterdir())


def _suffix(name: str) -> str | None:
    """Return the kind of file that a name promises: ``parquet``, ``csv`` or nothing."""
    plain = name.lower()
    for suffix in COMPRESSIONS:
        if plain.endswith((f".csv{suffix}", f".tsv{suffix}")):
            return "csv"
    if plain.endswith((".csv", ".tsv")):
        return "csv"
    return "parquet" if plain.endswith((".parquet", ".pq")) else None


def _listed(folder: Location, manifest: Manifest) -> tuple[str, ...]:
    there = folder.files()
    for shard in manifest.files:
        if shard.file not in there:
            reason = f"the manifest lists {shard.file}, which is not there"
            raise DatasetUnreadable(folder.uri, reason, "Write the dataset again.")
    return tuple(shard.file for shard in manifest.files)


def _found(folder: Location) -> tuple[str, ...]:
    there = folder.files()
    visible = [name for name in there if not any(part.startswith(("_", ".")) for part in name.split("/"))]
    if any(name.startswith("_progress-") for name in there):
        raise DatasetUnfinished(folder.uri)
    kinds = {_suffix(name) for name in visible} - {None}
    names = tuple(name for name in visible if _suffix(name))
    if not names:
        raise DatasetEmpty(folder.uri, "files")
    if len(kinds) > 1:
        raise DatasetUnreadable(folder.uri, "the folder holds Parquet and CSV files", "Keep them in two folders.")
    partitioned = next((part for name in names for part in name.split("/")[:-1] if "=" in part), None)
    if partitioned:
        reason = f"the folder is partitioned by its folders' names ({partitioned}), which are not read as columns"
        raise DatasetUnreadable(folder.uri, reason, "Give one of the folders, or write the columns into the files.")
    return names


class Dataset:
    """Rows in the order of the files' names and of the rows in each; made by `open_dataset`.

    Parameters
    ----------
    location
        Where it lies.
    names
        Its files, relative to the location; one empty name if the location is the file.
    manifest
        The folder's manifest, if it has one.
    """

    def __init__(self, location: Location, names: Sequence[str], manifest: Manifest | None = None) -> None:
        self.location = location
        self._names = tuple(names)
        self.manifest = manifest

    def __repr__(self) -> str:
        return f"<dataset {self.uri}>"

    @property
    def uri(self) -> str:
        """The address, without credentials."""
        return self.location.uri

    @cached_property
    def _files(self) -> dict[str, DataFile]:
        files: dict[str, DataFile] = {}
        for name in self._names:
            place = self.location.child(name) if name else self.location
            source = CsvSource if _suffix(place.name) == "csv" else ParquetSource
            files[name or place.name] = source(place)
        return files

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns and their types, wide enough for every file.

        Raises
        ------
        DatasetUnreadable
            A file is damaged, or has other columns than the first.
        ColumnTypeWrong
            A column is of different types that have no common one.
        """
        first, *others = ((name, file.schema) for name, file in self._files.items())
        merged = first[1]
        for name, schema in others:
            if set(schema.names) != set(merged.names):
                difference = ", ".join(sorted(set(schema.names) ^ set(merged.names)))
                reason = f"the files {first[0]} and {name} differ in the columns {difference}"
                raise DatasetUnreadable(self.uri, reason, "Give files of the same columns.")
            merged = self._merged(merged, schema, name)
        return merged

    def _merged(self, left: pa.Schema, right: pa.Schema, name: str) -> pa.Schema:
        try:
            return pa.unify_schemas([left, right], promote_options="permissive")
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            for field in left:
                other = right.field(field.name).type
                try:
                    pa.unify_schemas(
                        [pa.schema([field]), pa.schema([(field.name, other)])], promote_options="permissive"
                    )
                except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
                    raise ColumnTypeWrong(
                        self.uri, field.name, f"{field.type} in one file and {other} in {name}", "of one type"
                    ) from error
            raise

    @cached_property
    def num_rows(self) -> int:
        """How many rows it has."""
        return sum(file.rows for file in self._files.values())

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in the first file's order."""
        return list(self.schema.names)

    @property
    def textual(self) -> bool:
        """Whether the files are text (CSV), where each cell may be of a type of its own."""
        return any(isinstance(file, CsvSource) for file in self._files.values())

    @property
    def notes(self) -> dict[str, Any]:
        """What the writer says about the dataset: the JSON object ``modelyard.notes`` in the first file's metadata."""
        return next((file.notes for file in self._files.values()), {})

    def nulls(self, column: str) -> int | None:
        """Return how many rows have no value in `column`, if that is known without reading them."""
        found = 0
        for file in self._files.values():
            nulls = file.nulls(column)
            if nulls is None:
                return None
            found += nulls
        return found

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        rows: int = BATCH_ROWS,
        start: int = 0,
        every: int = 0,
        kinds: Mapping[str, Kind] | None = None,
    ) -> Iterator[Chunk]:
        """Yield consecutive rows with their numbers; rows that cannot be read are told, not raised.

        Parameters
        ----------
        columns
            What to read, in this order; all if None.
        rows
            How many rows a chunk covers; the last of each file may cover fewer.
        start
            The number of the first row, from 0.
        every
            No chunk crosses a multiple of this number of rows; 0: no such border.
        kinds
            What the cells of some columns must be; a CSV row with another cell there is refused. Columns without an
            entry have the type of `schema`.

        Raises
        ------
        ColumnMissing
            A column is not there.
        StorageUnavailable, DatasetUnreadable
            The storage or the file fails while it is read.
        """
        names = list(self.schema.names if columns is None else columns)
        check_columns(self.schema, names, self.uri)
        wanted = kinds or {}
        target = pa.schema([self.schema.field(name) for name in names])
        offset = 0
        for name, file in self._files.items():
            skip = max(start - offset, 0)
            if skip < file.rows:
                pieces = file.pieces(names, [wanted.get(each) for each in names], rows, skip)
                for piece in aligned(pieces, skip, rows, every, offset):
                    first = offset + skip
                    batch = self._cast(piece.batch, target, wanted)
                    yield Chunk(name, first, piece.rows, batch, piece.numbers, piece.refusals)
                    skip += piece.rows
            offset += file.rows

    def _cast(self, batch: pa.RecordBatch, target: pa.Schema, wanted: Mapping[str, Kind]) -> pa.RecordBatch:
        fields = [batch.schema.field(field.name) if field.name in wanted else field for field in target]
        schema = pa.schema(fields)
        return batch if batch.schema.equals(schema) else batch.cast(schema)

    def batches(self, columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield all rows in batches, in memory that does not grow with the dataset.

        Parameters
        ----------
        columns
            What to read, in this order; all if None.
        batch_rows
            How many rows a batch has; the last of each file may have fewer.

        Raises
        ------
        ColumnMissing
            A column is not there.
        DatasetUnreadable
            A line of a CSV file has too few or too many cells.
        """
        for chunk in self.chunks(columns, rows=batch_rows):
            for refusal in chunk.refusals:
                reason = f"row {refusal.row + 1} of {chunk.source}: {refusal.reason}"
                raise DatasetUnreadable(self.uri, reason, "Mend the row.")
            yield chunk.batch

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows of some columns (all if None) as one table in memory."""
        names = list(self.schema.names if columns is None else columns)
        check_columns(self.schema, names, self.uri)
        schema = pa.schema([self.schema.field(name) for name in names])
        return pa.Table.from_batches(self.batches(names), schema)

    def frame(self, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """Return all rows of some columns (all if None) as a pandas frame.

        Raises
        ------
        LibraryMissing
            pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise LibraryMissing("pandas", "a data frame") from error
        frame: pd.DataFrame = self.table(columns).to_pandas()
        return frame

    @property
    def _entries(self) -> dict[str, dict[str, Any]]:
        """What the storage knows of each file."""
        if self._names == ("",):
            with storage_errors(self.uri):
                self.location.fs.invalidate_cache()
                return {self.location.name: self.location.fs.info(self.location.path)}
        there = self.location.files()
        return {name: there.get(name, {}) for name in self._names}

    def fingerprint(self) -> str:
        """Return a digest of the files' names, sizes, times and tags: cheap, and other as soon as a file is written."""
        return digest_of_digests({name: _tag(entry) for name, entry in self._entries.items()})

    def content_hash(self) -> str:
        """Return the digest of the content.

        It is the SHA-256 of a single file's bytes; for a folder `digest_of_digests` of its files' by name. Remote
        files of more than 256 MiB count with their name, size, time and the storage's tag instead of their bytes.
        """
        digests = {}
        for name, entry in self._entries.items():
            place = self.location.child(name) if self._names != ("",) else self.location
            with storage_errors(place.uri):
                digests[name] = _digest(place, entry)
        return next(iter(digests.values())) if self._names == ("",) else digest_of_digests(digests)

    def source(self) -> DatasetSource:
        """Return address, rows, schema and digest: what a run records of the data it used."""
        return DatasetSource(self.uri, self.num_rows, schema_types(self.schema), self.content_hash())


def _tag(entry: Mapping[str, Any]) -> str:
    names = (
        "size",
        "ETag",
        "etag",
        "md5Hash",
        "content_md5",
        "mtime",
        "LastModified",
        "last_modified",
        "created",
        "ino",
    )
    known = {name: str(entry[name]) for name in names if entry.get(name) is not None}
    return hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest()


def _digest(place: Location, entry: Mapping[str, Any]) -> str:
    if place.local is not None:
        return file_digest(place.local)
    if int(entry.get("size") or 0) > HASHED_BYTES:
        return digest_of_digests({place.name: _tag(entry)})
    with place.fs.open(place.path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
