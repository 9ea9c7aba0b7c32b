"""The launcher ``inline``: the work runs in the caller's own process and thread."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from modelyard.operations.errors import CancelRequested
from modelyard.operations.execution import carry_out
from modelyard.operations.handles import Handle, handle_of
from modelyard.operations.invocation import Invocation
from modelyard.operations.jobs import Job
from modelyard.operations.journal import Journal, Prepare
from modelyard.operations.launchers.following import ProcessWatch, Watcher, job_of, result_of
from modelyard.operations.launchers.launcher import OnLog, Reach
from modelyard.operations.progress import NoProgress, Progress
from modelyard.operations.states import RunState
from modelyard.operations.switches import ThreadSwitch

__all__ = ["InlineLauncher"]

_STOPPING_SECONDS = 10.0
_LOG = logging.getLogger("modelyard")


class InlineLauncher:
    """Runs the work in this process: for tests, notebooks, and commands that a person waits for.

    The journal is kept as by every launcher: another process that starts the same key attaches to this one. The work
    ends with this process; what it prints is not in the job's log, what it logs is.

    Parameters
    ----------
    journal
        Where runs are kept.
    progress
        Where the operation tells how far it is.
    """

    def __init__(self, journal: Journal, *, progress: Progress | None = None) -> None:
        self.journal = journal
        self._progress = progress or NoProgress()
        self._own: dict[str, Exception | None] = {}

    @property
    def reach(self) -> Reach:
        """Runs can be followed from their own host alone."""
        return "host"

    def submit(self, invocation: Invocation, prepare: Prepare | None = None) -> Handle:
        """Run the work and return when it has ended; or attach to work of the key that another does.

        Raises
        ------
        KeyInUse
            The key is at work on something else.
        JournalBusy, JournalFull, JournalUnwritable
            The journal cannot be written; nothing was started.
        KeyboardInterrupt
            Somebody pressed Ctrl-C; the run is cancelled.
        """
        taken: list[Job] = []

        def take(job: Job) -> Handle:
            job.alive.take()
            taken.append(job)
            numbers = {"generation": job.generation, "attempt": job.attempt}
            return handle_of(os.getpid(), launcher="inline", key=invocation.key, folder=job.folder, **numbers)

        try:
            started = self.journal.start(invocation, take, prepare)
            if started.new:
                self._run(taken[0])
        finally:
            for job in taken:
                job.alive.free()
        return started.handle

    def _run(self, job: Job) -> None:
        with _logged_to(job):
            ended = carry_out(job, ThreadSwitch(), progress=self._progress, log=_LOG, trace=_appended_to(job))
        error = ended.error if ended else None
        self._own[str(job.folder)] = error if isinstance(error, Exception) else None
        if error and not isinstance(error, Exception | CancelRequested):
            raise error

    def poll(self, handle: Handle) -> RunState:
        """Return the state of a run now."""
        return self.journal.state(job_of(handle))

    def wait(
        self,
        handle: Handle,
        on_log: OnLog | None = None,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> RunState:
        """Wait for a run that another thread or process does; one of this thread has ended already."""
        job = job_of(handle)
        # What this launcher did itself was logged and told where it happened.
        watcher = Watcher(job, None, None) if handle.folder in self._own else Watcher(job, on_log, progress)
        watch = ProcessWatch(handle)
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while not (state := self.journal.state(job)).finished:
                watcher.look()
                if deadline is not None and time.monotonic() >= deadline:
                    return state
                watch.pause()
        finally:
            watch.close()
            watcher.close()
        record = self.journal.settle(job)
        return record.state if record and record.newest.number == job.attempt else state

    def cancel(self, handle: Handle) -> RunState:
        """Ask the thread that does the work to stop, give it some time, and return the state.

        It stops at its next step of Python. Asked from that very thread, as by a signal handler, it stops later.
        """
        job = job_of(handle)
        if not self.journal.state(job).finished:
            job.request_cancel()
            if not job.alive.mine:
                return self.wait(handle, timeout=_STOPPING_SECONDS)
        return self.journal.state(job)

    def result(self, handle: Handle) -> dict[str, Any]:
        """Return the result of a run.

        Raises
        ------
        Exception
            What the operation raised, as it was raised where this launcher ran it; else as `result_of` says.
        """
        error = self._own.get(handle.folder)
        if error:
            raise error
        return result_of(handle)


@contextmanager
def _logged_to(job: Job) -> Iterator[None]:
    """Keep what this thread logs in the job's log, too."""
    handler = logging.FileHandler(job.log, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    thread = threading.get_ident()
    handler.addFilter(lambda record: record.thread == thread)
    _LOG.addHandler(handler)
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        handler.close()


def _appended_to(job: Job) -> Callable[[str], None]:
    def trace(text: str) -> None:
        with job.log.open("a", encoding="utf-8") as file:
            file.write(text)

    return trace
