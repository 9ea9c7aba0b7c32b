"""Writes datasets that are seen whole or not at all, on disks and on object stores, and go on after a kill."""

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from modelyard.data.errors import OutputChanged, OutputOccupied
from modelyard.data.locations import locate
from modelyard.data.manifest import MANIFEST, Manifest, read_manifest
from modelyard.data.shards import (
    OURS,
    OpenShard,
    ShardRecord,
    progress_folder,
    quarantine_folder,
    record_name,
    run_of,
)
from modelyard.data.storage import put, remove, remove_empty_folders

__all__ = ["ShardWriter"]

ABANDONED = 3_600.0
"""Seconds after which the unfinished files of another run are taken for those of a run that was killed."""


class ShardWriter:
    """Writes a dataset as numbered Parquet shards into one folder.

    Nothing is visible until `commit` puts the manifest, which shows all shards at once, in place of what the folder
    showed before. A process that is killed leaves finished shards behind; a writer of the same run finds them in
    `finished` and goes on after them.

    Parameters
    ----------
    output
        The folder: a path or any fsspec URI. It may not exist yet, be empty, or hold an earlier output.
    run
        What is being written, as hexadecimal digits: equal runs write equal rows into equal shards.
    writer
        Who writes; the output of another writer is not replaced.

    Raises
    ------
    OutputOccupied
        The folder holds something else.
    StorageDenied, StorageUnavailable
        The storage refuses, or does not answer.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from modelyard.data import open_dataset
    >>> rows = pa.table({"x": [1, 2, 3]})
    >>> writer = ShardWriter("memory://numbers", run="00ff")
    >>> with writer.shard(0) as shard:
    ...     for batch in rows.to_batches():
    ...         shard.write(batch)
    >>> writer.commit({"made": "by hand"}).rows
    3
    >>> open_dataset("memory://numbers").table()["x"].to_pylist()
    [1, 2, 3]
    """

    def __init__(self, output: str, *, run: str, writer: str = "") -> None:
        self._folder = locate(output)
        self._run = run
        self._writer = writer
        self._previous = self._checked()
        self._existing = _first_existing(self._folder.local)
        self._records = self._recorded() if self.committed is None else []

    @property
    def uri(self) -> str:
        """The folder's address, without credentials."""
        return self._folder.uri

    @property
    def committed(self) -> Manifest | None:
        """The manifest, if it is this run's: then the work is done already."""
        return self._previous if self._previous is not None and self._previous.run == self._run else None

    @property
    def finished(self) -> tuple[ShardRecord, ...]:
        """The shards that are finished, without a gap from the first on."""
        return tuple(self._records)

    @property
    def quarantine(self) -> str:
        """The address of the folder for refused rows."""
        return self._folder.child(quarantine_folder(self._run)).uri

    def shard(self, index: int) -> OpenShard:
        """Begin the shard `index`; it must be the next one after `finished`.

        Parameters
        ----------
        index
            Its number, from 0.
        """
        if index != len(self._records):
            raise ValueError(f"the next shard is {len(self._records)}, not {index}")
        if not index:
            put(self._folder.child(f"{progress_folder(self._run)}/begun.json"), b"{}")
        return OpenShard(self._folder, self._run, index, self._records.append)

    def commit(self, metadata: Mapping[str, Any] | None = None) -> Manifest:
        """Show the shards as the folder's dataset, in place of what it showed before; then remove what is obsolete.

        Raises
        ------
        OutputChanged
            Somebody removed a finished shard.
        StorageFull, StorageDenied, StorageUnavailable
            The storage does not take the manifest.
        """
        manifest = Manifest(
            run=self._run,
            rows=sum(record.rows for record in self._records),
            files=tuple(record.part for record in self._records if record.part),
            quarantine=tuple(record.quarantine for record in self._records if record.quarantine),
            metadata=dict(metadata or {}),
            writer=self._writer,
        )
        there = self._sizes()
        for shard in (*manifest.files, *manifest.quarantine):
            if there.get(shard.file) != shard.bytes:
                raise OutputChanged(self.uri, shard.file)
        put(self._folder.child(MANIFEST), msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        obsolete = self._previous.run if self._previous else ""
        self._previous = manifest
        self.sweep(obsolete)
        return manifest

    def sweep(self, obsolete: str = "") -> None:
        """Remove what the committed manifest made obsolete, and what killed runs left behind.

        Unfinished files of other runs stay while they are younger than an hour: somebody may be writing them.

        Parameters
        ----------
        obsolete
            A run whose files are removed in any case.
        """
        if self.committed is None:
            return
        shown = {shard.file for shard in (*self.committed.files, *self.committed.quarantine)}
        there = self._folder.files()
        underway = {run_of(name) for name in there if name.startswith("_progress-")} - {obsolete, self._run}
        recent = {run_of(name) for name, entry in there.items() if _age(entry) < ABANDONED} & underway
        stale = [name for name in there if run_of(name) and name not in shown and run_of(name) not in recent]
        # the records go last: what they stand for must not outlive them
        remove(self._folder, sorted(stale, key=lambda name: name.startswith("_progress-")))

    def abort(self, *, keep_quarantine: bool = False) -> None:
        """Remove what this run wrote, unless it is committed; what the folder showed before stays.

        Parameters
        ----------
        keep_quarantine
            Leave the refused rows for people to look at.
        """
        # another attempt at the same work may have finished it meanwhile
        self._previous = read_manifest(self._folder)
        if self.committed is not None:
            return
        names = [name for name in self._folder.files() if run_of(name) == self._run]
        if keep_quarantine:
            kept = f"{quarantine_folder(self._run)}/part-"
            names = [name for name in names if not name.startswith(kept)]
        remove(self._folder, sorted(names, key=lambda name: name.startswith("_progress-")))
        self._records = []
        if self._folder.local is not None and self._existing is not None:
            for folder in (progress_folder(self._run), quarantine_folder(self._run)):
                remove_empty_folders(self._folder.local / folder, self._folder.local)
            remove_empty_folders(self._folder.local, self._existing)

    def _checked(self) -> Manifest | None:
        """Return the manifest there is, if the folder may be written to."""
        if not self._folder.exists():
            return None
        if not self._folder.is_folder():
            raise OutputOccupied(self.uri, "a file")
        for name in self._folder.files():
            if not OURS.fullmatch(name):
                raise OutputOccupied(self.uri, name)
        manifest = read_manifest(self._folder)
        if manifest is not None and manifest.writer != self._writer:
            raise OutputOccupied(self.uri, f"a dataset written by {manifest.writer or 'somebody else'}")
        return manifest

    def _sizes(self) -> dict[str, int]:
        return {name: int(entry["size"]) for name, entry in self._folder.files().items()}

    def _recorded(self) -> list[ShardRecord]:
        there = self._sizes() if self._folder.exists() else {}
        records: list[ShardRecord] = []
        while (name := record_name(self._run, len(records))) in there:
            try:
                record = msgspec.json.decode(self._folder.child(name).read(), type=ShardRecord)
            except msgspec.DecodeError:
                break
            shards = [each for each in (record.part, record.quarantine) if each]
            if any(there.get(shard.file) != shard.bytes for shard in shards):
                break
            records.append(record)
        return records


def _first_existing(folder: Path | None) -> Path | None:
    """Return the nearest folder that exists already: what is made below it can be taken away again."""
    while folder is not None and not folder.exists():
        folder = folder.parent
    return folder


def _age(entry: Mapping[str, Any]) -> float:
    """Return how many seconds ago a file was written; 0 if the storage does not say."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = entry.get(name)
        if isinstance(value, datetime):
            return time.time() - value.timestamp()
        if isinstance(value, int | float):
            return time.time() - float(value)
    return 0.0
