"""Parquet files, read in bounded memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelyard.data.errors import DatasetUnreadable
from modelyard.data.locations import Location, storage_errors
from modelyard.data.pieces import Piece
from modelyard.data.schemas import Kind

__all__ = ["ParquetSource"]

NOTES = b"modelyard.notes"
"""The key in a file's metadata under which its writer may say something about it: a JSON object."""

LOCAL_BUFFER = 1 << 20
REMOTE_BUFFER = 8 << 20
"""Bytes read at a time from each column of a row group: without it a group is read whole, however large."""


class ParquetSource:
    """One Parquet file of a dataset."""

    def __init__(self, location: Location) -> None:
        self._location = location

    @cached_property
    def _metadata(self) -> pq.FileMetaData:
        with storage_errors(self._location.uri), self._opened() as file:
            return file.metadata

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns and their types."""
        with storage_errors(self._location.uri):
            schema = self._metadata.schema.to_arrow_schema().remove_metadata()
        if len(set(schema.names)) < len(schema.names):
            raise DatasetUnreadable(self._location.uri, "a column's name occurs twice", "Rename one of the columns.")
        return schema

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return int(self._metadata.num_rows)

    @property
    def notes(self) -> dict[str, Any]:
        """What the file says about itself, in its metadata; nothing where that is no JSON object."""
        text = (self._metadata.metadata or {}).get(NOTES)
        try:
            return msgspec.json.decode(text, type=dict[str, Any]) if text else {}
        except msgspec.DecodeError:
            return {}

    def nulls(self, column: str) -> int | None:
        """Return how many rows have no value in `column`, if the file's statistics say so."""
        found = 0
        position = self._positions.get(column)
        if position is None:
            return None
        for group in range(self._metadata.num_row_groups):
            statistics = self._metadata.row_group(group).column(position).statistics
            if statistics is None or not statistics.has_null_count:
                return None
            found += int(statistics.null_count)
        return found

    @cached_property
    def _positions(self) -> dict[str, int]:
        """The number of each column that is not nested."""
        return {self._metadata.schema.column(index).path: index for index in range(self._metadata.num_columns)}

    def pieces(self, columns: Sequence[str], kinds: Sequence[Kind | None], rows: int, skip: int) -> Iterator[Piece]:
        """Yield the rows from number `skip` on, about `rows` at a time."""
        del kinds  # a Parquet file's cells are all of their column's type
        groups, first = self._groups_from(skip)
        with storage_errors(self._location.uri), self._opened() as file:
            for batch in file.iter_batches(batch_size=rows, row_groups=groups, columns=list(columns)):
                start, first = first, first + batch.num_rows
                if first <= skip:
                    continue
                whole = Piece(batch.select(list(columns)), np.arange(start, first, dtype=np.int64))
                yield whole.since(skip) if start < skip else whole

    def _groups_from(self, skip: int) -> tuple[list[int], int]:
        """Return the row groups that hold the row `skip` and those after it, and the first one's first row."""
        first = 0
        for group in range(self._metadata.num_row_groups):
            rows = self._metadata.row_group(group).num_rows
            if first + rows > skip:
                return list(range(group, self._metadata.num_row_groups)), first
            first += rows
        return [], first

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        location = self._location
        # pre_buffer reads whole row groups ahead, and more of them the longer the file is.
        if location.local is not None:
            with pq.ParquetFile(location.local, pre_buffer=False, buffer_size=LOCAL_BUFFER) as file:
                yield file
            return
        with (
            location.fs.open(location.path, "rb") as stream,
            pq.ParquetFile(stream, pre_buffer=False, buffer_size=REMOTE_BUFFER) as file,
        ):
            yield file
