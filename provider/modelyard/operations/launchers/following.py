"""Follows a run from any process: state, log, progress, result."""

import codecs
import os
import select
import time
from pathlib import Path
from typing import Any

from modelyard.errors import ErrorKind, ForeignError
from modelyard.operations.errors import OperationCancelled, WorkLost, WorkUnfinished
from modelyard.operations.handles import Handle, Sight
from modelyard.operations.jobs import Job
from modelyard.operations.journal import Journal
from modelyard.operations.launchers.launcher import OnLog
from modelyard.operations.progress import Progress
from modelyard.operations.progress_relay import ProgressReader
from modelyard.operations.states import RunState

__all__ = ["LogTail", "ProcessWatch", "Watcher", "job_of", "result_of"]

_FIRST_PAUSE = 0.01
_PAUSE = 0.2


def job_of(handle: Handle) -> Job:
    """Return the job behind a handle."""
    return Job(Path(handle.folder))


def result_of(handle: Handle, cause: str = "") -> dict[str, Any]:
    """Return the result of a run.

    Parameters
    ----------
    handle
        The run.
    cause
        How its process ended, where the caller knows.

    Raises
    ------
    ForeignError
        The operation failed; the error has the type, kind and facts of the original.
    OperationCancelled
        The run was stopped on request.
    WorkLost
        Its process is gone and left no result.
    WorkUnfinished
        It has not ended.
    """
    job = job_of(handle)
    state = Journal.of(job).state(job)
    ended = job.result()
    if ended and ended.result is not None:
        return ended.result
    if ended and ended.error and ended.error.kind is not ErrorKind.CANCELLED:
        raise ForeignError(ended.error)
    operation = job.request().operation if job.folder.is_dir() else "the operation"
    if state is RunState.CANCELLED:
        raise OperationCancelled(operation, handle.key)
    if state is RunState.LOST:
        raise WorkLost(operation, handle.key, str(job.log), cause=cause, last_lines=job.last_lines())
    raise WorkUnfinished(operation, handle.key, state)


class LogTail:
    """Hands over the lines of a growing log, each once and whole.

    Parameters
    ----------
    path
        The log, which may not be there yet.
    on_log
        Takes a line.
    """

    def __init__(self, path: Path, on_log: OnLog) -> None:
        self._path = path
        self._on_log = on_log
        self._read = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def look(self) -> None:
        """Hand over the lines that are new since the last look."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return
        self._read += len(new)
        *lines, self._rest = (self._rest + self._decoder.decode(new)).split("\n")
        for line in lines:
            self._on_log(line.rstrip("\r"))

    def close(self) -> None:
        """Hand over what is left, also a last line without an end."""
        self.look()
        if self._rest:
            self._on_log(self._rest)
            self._rest = ""


class Watcher:
    """What is shown of a run while it is waited for.

    Parameters
    ----------
    job
        The run's job.
    on_log
        Takes the lines of its log.
    progress
        Where its progress is told.
    """

    def __init__(self, job: Job, on_log: OnLog | None, progress: Progress | None) -> None:
        self._tail = LogTail(job.log, on_log) if on_log else None
        self._reader = ProgressReader(job.folder / "progress.json", progress) if progress else None

    def look(self) -> None:
        """Show what is new."""
        if self._tail:
            self._tail.look()
        if self._reader:
            self._reader.look()

    def close(self) -> None:
        """Show the rest."""
        if self._tail:
            self._tail.close()
        if self._reader:
            self._reader.close()


class ProcessWatch:
    """Waits for moments, and no longer than the process behind a handle lives.

    Parameters
    ----------
    handle
        The run.
    """

    def __init__(self, handle: Handle) -> None:
        self._poll: select.poll | None = None
        self._descriptor = -1
        self._pause = _FIRST_PAUSE
        # A descriptor is of this very process, whatever becomes of its number; so it is opened before the look.
        if hasattr(os, "pidfd_open") and handle.sight() is Sight.ALIVE:
            try:
                self._descriptor = os.pidfd_open(handle.pid)
            except OSError:
                return
            self._poll = select.poll()
            self._poll.register(self._descriptor, select.POLLIN)

    def pause(self, longest: float = _PAUSE) -> None:
        """Wait for a moment that grows from pause to pause, or until the process ends."""
        seconds = min(self._pause, longest)
        self._pause = min(self._pause * 2, _PAUSE)
        if self._poll and self._poll.poll(seconds * 1000):
            self.close()
        elif self._poll is None:
            time.sleep(seconds)

    def close(self) -> None:
        """Let go of the process."""
        self._poll = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
