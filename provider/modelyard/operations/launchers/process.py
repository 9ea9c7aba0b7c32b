"""The launcher ``process``: the work runs in a process of its own on this host, in any interpreter."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from signal import Signals
from typing import Any

from modelyard.operations.errors import InterpreterUnusable, WorkerNotStarted
from modelyard.operations.handles import JOB_VARIABLE, Handle, Sight, handle_of
from modelyard.operations.invocation import Invocation
from modelyard.operations.jobs import Job
from modelyard.operations.journal import Journal, Prepare
from modelyard.operations.launchers.following import ProcessWatch, Watcher, job_of, result_of
from modelyard.operations.launchers.launcher import OnLog, Reach
from modelyard.operations.processes import end_group
from modelyard.operations.progress import Progress
from modelyard.operations.results import WorkResult
from modelyard.operations.states import RunState
from modelyard.operations.thread_policy import apply_thread_policy

__all__ = ["ProcessLauncher"]

_EXIT_SECONDS = 10.0
_ELSEWHERE_SECONDS = 15.0


class _Worker(subprocess.Popen[bytes]):
    """A worker, which outlives this process on purpose."""

    def __del__(self) -> None:
        # Popen warns when it is let go while the process runs.
        pass


_workers: dict[str, _Worker] = {}
"""The workers that this process started, by the job's folder, until it has noticed their end."""


class ProcessLauncher:
    """Runs the work in another interpreter: the default where the caller's environment is not the work's.

    The worker leads its own session and process group, gets the caller's environment, and is told nothing but its job's
    folder. It outlives the caller; who starts the same key again attaches to it.

    Parameters
    ----------
    journal
        Where runs are kept.
    python
        The interpreter, a path or a name on the PATH, that has modelyard installed; by default this one.
    variables
        More environment variables for the worker.
    grace
        Seconds between SIGTERM and SIGKILL when a run is cancelled.
    """

    def __init__(
        self, journal: Journal, *, python: str = "", variables: Mapping[str, str] | None = None, grace: float = 10.0
    ) -> None:
        self.journal = journal
        self.python = python or sys.executable
        self.variables = dict(variables or {})
        self.grace = grace
        self._causes: dict[str, str] = {}

    @property
    def reach(self) -> Reach:
        """Runs can be followed from their own host alone."""
        return "host"

    def submit(self, invocation: Invocation, prepare: Prepare | None = None) -> Handle:
        """Start a worker for the work of a key, or attach to the one that is at it.

        Raises
        ------
        InterpreterUnusable
            The interpreter cannot be started.
        KeyInUse
            The key is at work on something else.
        JournalBusy, JournalFull, JournalUnwritable
            The journal cannot be written; nothing was started.
        """
        return self.journal.start(invocation, self._launch, prepare).handle

    def _launch(self, job: Job) -> Handle:
        python = shutil.which(self.python)
        if python is None:
            raise InterpreterUnusable(self.python, "there is no such program")
        # -P: the caller's working directory must not hide installed packages.
        command = [python, "-P", "-m", "modelyard.operations.worker", str(job.folder)]
        try:
            with job.log.open("ab") as log:
                worker = _Worker(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment(job, python),
                    start_new_session=True,
                )
        except OSError as error:
            raise InterpreterUnusable(self.python, error.strerror or str(error)) from error
        _workers[str(job.folder)] = worker
        numbers = {"generation": job.generation, "attempt": job.attempt}
        return handle_of(worker.pid, launcher="process", key=job.request().key, folder=job.folder, **numbers)

    def _environment(self, job: Job, python: str) -> dict[str, str]:
        environment = {**os.environ, **self.variables, JOB_VARIABLE: str(job.folder)}
        apply_thread_policy(environment)
        if python != sys.executable:
            # These lead one interpreter to its own library; another would not start with them.
            for name in ("PYTHONHOME", "__PYVENV_LAUNCHER__"):
                environment.pop(name, None)
        return environment

    def poll(self, handle: Handle) -> RunState:
        """Return the state of a run now."""
        job = job_of(handle)
        self._notice_end(handle, job)
        return self.journal.state(job)

    def wait(
        self,
        handle: Handle,
        on_log: OnLog | None = None,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> RunState:
        """Wait until a run has come to an end, or the time is over; return its state.

        When it has ended, so have its process and all that it left in its group.
        """
        job = job_of(handle)
        watcher, watch = Watcher(job, on_log, progress), ProcessWatch(handle)
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while not (state := self.poll(handle)).finished:
                watcher.look()
                if deadline is not None and time.monotonic() >= deadline:
                    return state
                watch.pause()
            self._see_off(handle, job, watch, watcher)
        finally:
            watch.close()
            watcher.close()
        record = self.journal.settle(job)
        return record.state if record and record.newest.number == job.attempt else state

    def _see_off(self, handle: Handle, job: Job, watch: ProcessWatch, watcher: Watcher) -> None:
        """Wait for the worker's last words, and end it if it does not."""
        deadline = time.monotonic() + _EXIT_SECONDS
        while handle.sight() is Sight.ALIVE and time.monotonic() < deadline:
            watcher.look()
            watch.pause()
        if group := handle.leftover_group():
            end_group(group, grace=0)
        self._notice_end(handle, job)

    def cancel(self, handle: Handle) -> RunState:
        """Stop a run: SIGTERM to its process group, time to clean up, SIGKILL; then the record says cancelled.

        From another host or container the worker is asked through the journal, and given as much time.
        """
        job = job_of(handle)
        if not self.poll(handle).finished:
            job.request_cancel()
            if handle.sight() is Sight.HIDDEN:
                self.wait(handle, timeout=self.grace + _ELSEWHERE_SECONDS)
            elif group := handle.leftover_group():
                end_group(group, grace=self.grace)
            self._notice_end(handle, job)
        record = self.journal.settle(job)
        return record.state if record and record.newest.number == job.attempt else self.journal.state(job)

    def result(self, handle: Handle) -> dict[str, Any]:
        """Return the result of a run.

        Raises
        ------
        ForeignError
            The operation failed; the error has the type, kind and facts of the original.
        OperationCancelled, WorkLost, WorkUnfinished
            There is no result.
        """
        return result_of(handle, self._causes.get(handle.folder, ""))

    def _notice_end(self, handle: Handle, job: Job) -> None:
        """Learn how a worker of this process ended, so that the kernel can forget it."""
        worker = _workers.get(handle.folder)
        if worker is None or worker.poll() is None:
            return
        _workers.pop(handle.folder, None)
        code = worker.returncode
        if code < 0:
            self._causes[handle.folder] = f"{Signals(-code).name} ended it"
            if -code == Signals.SIGKILL:
                self._causes[handle.folder] += ", as it does when memory runs out"
        elif code > 0 and (job.folder / "heartbeat").exists():
            self._causes[handle.folder] = f"it ended with code {code}"
        elif code > 0 and job.result() is None:
            error = WorkerNotStarted(self.python, code, job.last_lines())
            self.journal.commit(job, WorkResult(RunState.FAILED, error=error.record()))
