"""The journal: the truth about what was started, by key; it makes every start a start-or-attach."""

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from modelyard.operations.atomic import write_atomically
from modelyard.operations.errors import (
    JournalDamaged,
    JournalFull,
    JournalUnwritable,
    KeyInUse,
    KeyInvalid,
    KeyWaitsForItself,
    OperationCancelled,
)
from modelyard.operations.handles import Handle
from modelyard.operations.invocation import Invocation
from modelyard.operations.jobs import STALE_AFTER, Job
from modelyard.operations.keys import folder_name
from modelyard.operations.locks import FileLock, is_locked
from modelyard.operations.processes import end_group
from modelyard.operations.records import Record
from modelyard.operations.results import WorkResult
from modelyard.operations.states import RunState

__all__ = ["Journal", "Prepare", "Started"]

Prepare = Callable[[Job, Invocation], Invocation]
"""Completes a new job before its worker starts, such as by taking a snapshot; returns the invocation to run."""

_LEFTOVER_GRACE = 2.0
_LONGEST_KEY = 1000


class Started(NamedTuple):
    """What a start came to."""

    handle: Handle
    new: bool
    """False where it was attached to a run of the same key."""


class Journal:
    """Runs by key, in a folder that all who start them share.

    ::

        <root>/<key>/lock                       held while the key's records are changed
        <root>/<key>/<generation>/record.json   state, attempts, acknowledged
        <root>/<key>/<generation>/<attempt>/    the job's folder, see `Job`

    A record is written under the key's lock alone, by clients and workers alike, so there is one order of events for a
    key. A worker works only while the newest attempt of the record is its own.

    Parameters
    ----------
    root
        The folder; made if need be. It must support file locks where several hosts share it.
    stale_after
        Seconds without a heartbeat after which a worker on another host is taken for gone.
    lock_timeout
        Seconds to wait for somebody else who works on the same key's records.
    """

    def __init__(self, root: Path, *, stale_after: float = STALE_AFTER, lock_timeout: float = 600.0) -> None:
        self.root = root.absolute()
        self.stale_after = stale_after
        self.lock_timeout = lock_timeout

    @classmethod
    def of(cls, job: Job) -> "Journal":
        """Return the journal that a job is part of."""
        return cls(job.folder.parents[2])

    def start(self, invocation: Invocation, launch: Callable[[Job], Handle], prepare: Prepare | None = None) -> Started:
        """Start the work of a key, or attach to it.

        Work of the key that is queued or running is attached to; so is work that succeeded and is not acknowledged.
        Work that failed, was cancelled or is lost gets another attempt; work that is acknowledged, another generation.

        Parameters
        ----------
        invocation
            What to do, with its key.
        launch
            Starts a worker for a new job and returns its handle. It is called under the key's lock.
        prepare
            Completes a new job before.

        Raises
        ------
        KeyInvalid
            The key is empty or too long.
        KeyInUse, KeyWaitsForItself
            The key is at work on something else, or on the very work that starts it.
        JournalBusy, JournalFull, JournalUnwritable
            The journal cannot be written; nothing was started.
        """
        if not invocation.key or len(invocation.key) > _LONGEST_KEY:
            raise KeyInvalid(invocation.key, f"a text of 1 to {_LONGEST_KEY} characters")
        folder = self._folder(invocation.key)
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with self._lock(folder):
                record = self._newest(folder)
                record = record and self._settled(record)
                handle = self._attached(record, invocation) if record else None
                if handle:
                    return Started(handle, new=False)
                return Started(self._launched(record, invocation, launch, prepare), new=True)

    def claim(self, job: Job) -> bool:
        """Take up a job, as its worker; False where another attempt has taken its place or it was cancelled."""
        with self._lock(job.folder.parents[1]):
            record = self._read(job.folder.parent)
            if record is None or record.newest.number != job.attempt or record.state is not RunState.QUEUED:
                return False
            if job.cancel_requested:
                return False
            self._write(record.begun())
            return True

    def commit(self, job: Job, ended: WorkResult) -> WorkResult | None:
        """Publish how a job ended, as its worker; None where another attempt has taken its place.

        A job that was asked to stop before this moment is cancelled, whatever it achieved.
        """
        with self._lock(job.folder.parents[1]):
            record = self._read(job.folder.parent)
            if record is None or record.newest.number != job.attempt or record.state.finished:
                return None
            if job.cancel_requested:
                ended = _cancelled(record)
            try:
                job.write_result(ended)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                ended = WorkResult(RunState.FAILED, error=JournalFull(str(job.folder)).record())
                job.write_result(ended)
            self._write(record.ended(ended.state, ended.error))
            job.tidy()
            return ended

    def is_newest(self, job: Job) -> bool:
        """Whether no other attempt has taken a job's place, and nobody has declared it over."""
        record = self._read(job.folder.parent)
        return record is not None and record.newest.number == job.attempt and not record.state.finished

    def settle(self, job: Job) -> Record | None:
        """Bring the record of a job up to what its folder and its process show; end what a dead worker left running."""
        with self._lock(job.folder.parents[1]):
            record = self._read(job.folder.parent)
            return record and self._settled(record)

    def state(self, job: Job) -> RunState:
        """Return the state of a job, without changing anything."""
        ended = job.result()
        if ended is None and job.is_alive(self.stale_after):
            taken_up = is_locked(job.alive.path) or (job.folder / "heartbeat").exists()
            return RunState.RUNNING if taken_up else RunState.QUEUED
        # Once more: it may have ended between the two looks.
        ended = ended or job.result()
        if ended:
            return ended.state
        return RunState.CANCELLED if job.cancel_requested else RunState.LOST

    def acknowledge(self, key: str, generation: int = 0) -> bool:
        """Say that the result of a key is published, so that the next start runs anew.

        Parameters
        ----------
        key
            Which.
        generation
            Which generation; 0 is the newest.

        Returns
        -------
        bool
            Whether that generation has succeeded and is acknowledged now. Others need no acknowledging: the next start
            of a key that failed, was cancelled or is lost begins another attempt anyway.
        """
        folder = self._folder(key)
        if not folder.is_dir():
            return False
        with _disk_errors(folder), self._lock(folder):
            record = self._read(folder / str(generation)) if generation else self._newest(folder)
            record = record and self._settled(record)
            if record is None or record.state is not RunState.SUCCEEDED:
                return False
            if record.acknowledged is None:
                self._write(record.confirmed())
            return True

    def record(self, key: str, generation: int = 0) -> Record | None:
        """Return what is known of a generation of a key, by default of the newest."""
        folder = self._folder(key)
        found = self._read(folder / str(generation)) if generation else self._newest(folder)
        return found and self._seen(found)

    def records(self) -> list[Record]:
        """Return the newest generation of every key, the newest attempt first."""
        folders = [each for each in self.root.iterdir() if each.is_dir()] if self.root.is_dir() else []
        found = [self._seen(record) for folder in folders if (record := self._newest(folder))]
        return sorted(found, key=lambda record: record.newest.created, reverse=True)

    def job(self, record: Record) -> Job:
        """Return the job of the newest attempt of a record."""
        return Job(self._folder(record.key) / str(record.generation) / str(record.newest.number))

    def _seen(self, record: Record) -> Record:
        return record if record.state.finished else record.seen(self.state(self.job(record)))

    def _folder(self, key: str) -> Path:
        return self.root / folder_name(key)

    def _lock(self, folder: Path) -> FileLock:
        return FileLock(folder / "lock", timeout=self.lock_timeout)

    def _attached(self, record: Record, invocation: Invocation) -> Handle | None:
        """Return the handle of the run to attach to, or None where a new one is due."""
        if record.state.finished and (record.state is not RunState.SUCCEEDED or record.acknowledged):
            return None
        job = self.job(record)
        request = job.request()
        if not request.same_work(invocation):
            if record.state is RunState.SUCCEEDED:
                return None
            raise KeyInUse(record.key, record.operation, record.state, request.differences(invocation))
        handle = job.handle()
        own_process = handle and handle.launcher == "process" and handle.is_own_process
        if own_process or job.alive.mine:
            raise KeyWaitsForItself(record.key, record.operation)
        return handle

    def _launched(
        self,
        record: Record | None,
        invocation: Invocation,
        launch: Callable[[Job], Handle],
        prepare: Prepare | None,
    ) -> Handle:
        if record is None or record.state is RunState.SUCCEEDED:
            generation = record.generation + 1 if record else 1
            new = Record.first(invocation.key, generation, invocation.operation)
        else:
            self._end_leftovers(self.job(record))
            new = record.with_attempt(invocation.operation)
        job = self.job(new)
        # A client that was killed before it wrote the record has started nothing.
        shutil.rmtree(job.folder, ignore_errors=True)
        numbers = {"generation": new.generation, "attempt": new.newest.number, "folder": str(job.folder)}
        request = msgspec.structs.replace(invocation, **numbers)
        try:
            job.scratch.mkdir(parents=True)
            job.write_request(prepare(job, request) if prepare else request)
            job.reserve()
            self._write(new)
            handle = launch(job)
            job.write_handle(handle)
        except BaseException:
            # A worker that did start finds its attempt gone, and ends.
            self._undo(new, record)
            raise
        return handle

    def _undo(self, new: Record, record: Record | None) -> None:
        job = self.job(new)
        if record and record.generation == new.generation:
            self._write(record)
            shutil.rmtree(job.folder, ignore_errors=True)
        else:
            shutil.rmtree(job.folder.parent, ignore_errors=True)

    def _settled(self, record: Record) -> Record:
        if record.state.finished:
            return record
        job = self.job(record)
        ended = job.result()
        if ended is None:
            if job.is_alive(self.stale_after):
                return record
            # Once more: it may have ended between the two looks.
            ended = job.result()
        if ended is None and job.cancel_requested:
            ended = _cancelled(record)
            job.write_result(ended)
        settled = record.ended(ended.state, ended.error) if ended else record.ended(RunState.LOST)
        self._write(settled)
        self._end_leftovers(job)
        job.tidy()
        return settled

    def _end_leftovers(self, job: Job) -> None:
        handle = job.handle()
        group = handle.leftover_group() if handle else 0
        if group:
            end_group(group, grace=_LEFTOVER_GRACE)

    def _newest(self, folder: Path) -> Record | None:
        if not folder.is_dir():
            return None
        numbers = sorted((int(each.name) for each in folder.iterdir() if each.name.isdigit()), reverse=True)
        # A generation without a record was begun by a client that was killed before it started anything.
        return next((record for number in numbers if (record := self._read(folder / str(number)))), None)

    def _read(self, folder: Path) -> Record | None:
        path = folder / "record.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise JournalDamaged(str(path), str(error)) from error

    def _write(self, record: Record) -> None:
        path = self._folder(record.key) / str(record.generation) / "record.json"
        write_atomically(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def _cancelled(record: Record) -> WorkResult:
    return WorkResult(RunState.CANCELLED, error=OperationCancelled(record.operation, record.key).record())


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise JournalFull(str(folder)) from error
        place = f": {error.filename}" if error.filename else ""
        raise JournalUnwritable(str(folder), f"{error.strerror or error}{place}") from error
