"""Shards: the files of a dataset under construction, their names, and the records of those that are finished."""

import json
import math
import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from modelyard.data.locations import Location, storage_errors
from modelyard.data.manifest import Shard
from modelyard.data.pieces import Refusal
from modelyard.data.storage import put, size_of, writing

__all__ = [
    "OURS",
    "QUARANTINE_SCHEMA",
    "OpenShard",
    "ShardRecord",
    "part_name",
    "progress_folder",
    "quarantine_folder",
    "quarantine_name",
    "record_name",
    "run_of",
]

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("row", pa.int64()),
        pa.field("column", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("content", pa.string()),
    ]
)
"""Where a refused row comes from, what is wrong with it, and the row itself as JSON."""
HELD_REFUSALS = 5_000

OURS = re.compile(
    r"_manifest\.json|(?:_quarantine-(?P<q>[0-9a-f]+)/)?part-(?P<p>[0-9a-f]+)-\d+\.parquet|_progress-(?P<r>[0-9a-f]+)/.+"
    r"|(?:_quarantine-[0-9a-f]+/)?\.part-(?P<t>[0-9a-f]+)-\d+\.parquet\.[0-9a-f]+\.tmp|\..+"
)
"""What a writer leaves in its folder, finished or not; hidden files do not matter."""


def run_of(name: str) -> str:
    """Return which run a file of a folder belongs to; empty if it is none of a run's.

    Examples
    --------
    >>> run_of("part-00ab-00001.parquet"), run_of("_progress-00ab/00001.json"), run_of("_manifest.json")
    ('00ab', '00ab', '')
    """
    found = OURS.fullmatch(name)
    return next((run for run in found.groups() if run), "") if found else ""


def part_name(run: str, index: int) -> str:
    """Return the name of a shard's file."""
    return f"part-{run}-{index:05d}.parquet"


def quarantine_folder(run: str) -> str:
    """Return the name of the folder for refused rows."""
    return f"_quarantine-{run}"


def quarantine_name(run: str, index: int) -> str:
    """Return the name of the file with a shard's refused rows."""
    return f"{quarantine_folder(run)}/{part_name(run, index)}"


def progress_folder(run: str) -> str:
    """Return the name of the folder with the records of finished shards."""
    return f"_progress-{run}"


def record_name(run: str, index: int) -> str:
    """Return the name of the record of a finished shard."""
    return f"{progress_folder(run)}/{index:05d}.json"


class ShardRecord(msgspec.Struct, frozen=True):
    """What is known of a finished shard: with it, a run that was killed goes on behind it.

    Parameters
    ----------
    index
        Its number, from 0.
    part
        The file with its rows; None if all were refused.
    quarantine
        The file with the refused rows; None if there are none.
    counts
        What the writer counted on the way.
    """

    index: int
    part: Shard | None
    quarantine: Shard | None
    counts: dict[str, int] = {}

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return self.part.rows if self.part else 0

    @property
    def refused(self) -> int:
        """How many rows were refused."""
        return self.quarantine.rows if self.quarantine else 0


class _ParquetFile:
    """A Parquet file that is begun with its first batch."""

    def __init__(self, place: Location) -> None:
        self.place = place
        self.rows = 0
        self._open = ExitStack()
        self._writer: pq.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        with storage_errors(self.place.uri, writing=True):
            if self._writer is None:
                stream = self._open.enter_context(writing(self.place))
                self._writer = pq.ParquetWriter(stream, batch.schema)
            self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def finish(self, name: str) -> Shard | None:
        """Make the file appear, if it has rows."""
        if self._writer is None:
            return None
        with storage_errors(self.place.uri, writing=True):
            self._writer.close()
            self._open.close()
        self._writer = None
        return Shard(name, self.rows, size_of(self.place))

    def give_up(self, *raised: Any) -> None:
        """Leave nothing."""
        if self._writer is not None:
            with suppress(Exception):
                self._writer.close()
            with suppress(Exception):
                self._open.__exit__(*raised)
            self._writer = None


class OpenShard:
    """A shard that is being written; it is finished, recorded and kept when its block ends well.

    Parameters
    ----------
    folder
        Where the dataset is written.
    run
        What writes it.
    index
        The shard's number.
    done
        Is told the record of the finished shard.
    """

    def __init__(self, folder: Location, run: str, index: int, done: Callable[[ShardRecord], None]) -> None:
        self._folder, self._run, self._index, self._done = folder, run, index, done
        self._part = _ParquetFile(folder.child(part_name(run, index)))
        self._quarantine = _ParquetFile(folder.child(quarantine_name(run, index)))
        self._held: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}
        self.refused = 0

    def __enter__(self) -> "OpenShard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._leave(kind, error, trace)
            return
        try:
            self._flush()
            part = self._part.finish(part_name(self._run, self._index))
            quarantine = self._quarantine.finish(quarantine_name(self._run, self._index))
            record = ShardRecord(self._index, part, quarantine, self.counts)
            put(self._folder.child(record_name(self._run, self._index)), msgspec.json.encode(record))
        except BaseException as failure:
            self._leave(type(failure), failure, failure.__traceback__)
            raise
        self._done(record)

    def _leave(self, *raised: Any) -> None:
        self._part.give_up(*raised)
        with suppress(Exception):
            self._flush()
            self._quarantine.finish(quarantine_name(self._run, self._index))
        self._quarantine.give_up(*raised)

    @property
    def rows(self) -> int:
        """How many rows it has so far."""
        return self._part.rows

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; all batches have the columns of the first.

        Raises
        ------
        StorageFull, StorageDenied, StorageUnavailable
            The storage does not take them.
        """
        if batch.num_rows:
            self._part.write(batch)

    def refuse(self, source: str, refusals: Iterable[Refusal]) -> None:
        """Put rows of the file `source` into quarantine, each with the reason."""
        for each in refusals:
            content = json.dumps(_plain(each.content), ensure_ascii=False, default=str)
            self._held.append(
                {
                    "source": source,
                    "row": each.row,
                    "column": each.column,
                    "reason": each.reason,
                    "content": content,
                }
            )
            self.refused += 1
            if len(self._held) >= HELD_REFUSALS:
                self._flush()

    def _flush(self) -> None:
        if self._held:
            self._quarantine.write(pa.RecordBatch.from_pylist(self._held, schema=QUARANTINE_SCHEMA))
            self._held = []


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Return a row without nan and infinity, which JSON does not have."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in content.items()
    }
