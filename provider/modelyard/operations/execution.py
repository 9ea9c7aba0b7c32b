"""Runs an operation for a job: the same for a worker process and for a run in the caller's own process."""

import errno
import logging
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

import msgspec

from modelyard.errors import ErrorKind, ErrorRecord, ModelyardError
from modelyard.operations.catalogue import load_operation
from modelyard.operations.context import OperationContext
from modelyard.operations.errors import LibraryMissing, OperationCancelled
from modelyard.operations.invocation import Invocation
from modelyard.operations.jobs import Job
from modelyard.operations.journal import Journal
from modelyard.operations.progress import Progress
from modelyard.operations.results import WorkResult
from modelyard.operations.states import RunState
from modelyard.operations.switches import is_stop

__all__ = ["Ended", "StopSwitch", "carry_out", "execute", "record_of"]

_BEAT = 1.0
_BEATS_BETWEEN_LOOKS = 3


class StopSwitch(Protocol):
    """How a running operation is told to stop."""

    def armed(self) -> AbstractContextManager[None]:
        """Open the stretch in which `press` raises `CancelRequested` in the thread that opened it."""
        ...

    def press(self) -> None:
        """Ask the operation to stop; from any thread, and no use after the stretch."""
        ...


class Ended(NamedTuple):
    """How a job ended, and the exception as it was raised if there was one."""

    result: WorkResult
    error: BaseException | None


def execute(invocation: Invocation, *, progress: Progress, log: logging.Logger) -> msgspec.Struct:
    """Load the operation of an invocation, run it in this thread, and return its result.

    Raises
    ------
    OperationNotFound
        This environment has no such operation.
    ParameterInvalid
        A parameter is not of its type.
    """
    operation = load_operation(invocation.operation)
    context = OperationContext(
        project=invocation.project,
        environment=invocation.environment,
        folder=Path(invocation.folder) / "scratch",
        key=invocation.key,
        generation=invocation.generation,
        attempt=invocation.attempt,
        workflow_run=invocation.workflow_run,
        step=invocation.step,
        log=log,
        progress=progress,
        job=Path(invocation.folder) if invocation.folder else None,
    )
    result: msgspec.Struct = operation(context, **invocation.parameters)
    return result


def carry_out(
    job: Job, switch: StopSwitch, *, progress: Progress, log: logging.Logger, trace: Callable[[str], object]
) -> Ended | None:
    """Take up a job, run it, and publish how it ended.

    Parameters
    ----------
    job
        A job whose ``alive`` this process has locked.
    switch
        Pressed when somebody wants the job to stop, when another attempt has taken its place, or when its folder is
        gone.
    progress, log
        For the operation.
    trace
        Where the traceback of an error goes that people may want to look into.

    Returns
    -------
    Ended | None
        None where the job was not, or is no longer, this process's to do.
    """
    journal = Journal.of(job)
    if not journal.claim(job):
        log.info("attempt %d is not wanted any more", job.attempt)
        return None
    job.beat()
    with _Heart(job, switch):
        ended = _attempted(job, switch, progress, log, trace)
    published = journal.commit(job, ended.result)
    return ended._replace(result=published) if published else None


def _attempted(
    job: Job, switch: StopSwitch, progress: Progress, log: logging.Logger, trace: Callable[[str], object]
) -> Ended:
    invocation = job.request()
    try:
        with switch.armed():
            result = execute(invocation, progress=progress, log=log)
        return Ended(WorkResult(RunState.SUCCEEDED, msgspec.to_builtins(result)), None)
    except BaseException as error:  # noqa: BLE001 - the boundary: whatever was raised becomes a record
        if is_stop(error):
            record = OperationCancelled(invocation.operation, invocation.key).record()
            return Ended(WorkResult(RunState.CANCELLED, error=record), error)
        record = record_of(error, str(job.log))
        if record.kind in (ErrorKind.INTERNAL, ErrorKind.USER_CODE, ErrorKind.EXHAUSTED):
            # Of the user's own error, people want to see that, and not how we worded it.
            shown = error.__cause__ if record.kind is ErrorKind.USER_CODE and error.__cause__ else error
            trace("".join(traceback.format_exception(shown)))
        state = RunState.CANCELLED if record.kind is ErrorKind.CANCELLED else RunState.FAILED
        return Ended(WorkResult(state, error=record), error)


def record_of(error: BaseException, log: str = "") -> ErrorRecord:
    """Return any exception as a record.

    Ours say it themselves. A full disk or memory is ``exhausted``, a missing library names the extra that has it, and
    everything else is ``internal``, with type and message; its traceback is in the log alone.

    Examples
    --------
    >>> record_of(KeyError("x")).kind
    <ErrorKind.INTERNAL: 'internal'>
    >>> record_of(MemoryError()).mend
    'Use less data at once, or a machine with more memory.'
    """
    name = type(error).__name__
    if isinstance(error, ModelyardError):
        return error.record()
    if isinstance(error, MemoryError):
        message = f"there is not enough memory{f': {error}' if str(error) else ''}"
        mend = "Use less data at once, or a machine with more memory."
        return ErrorRecord(name, ErrorKind.EXHAUSTED, message, mend=mend)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = str(error.filename or "")
        return ErrorRecord(
            name, ErrorKind.EXHAUSTED, "no space left on the disk", where, "Free some space, then retry."
        )
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] != "modelyard":
        return LibraryMissing(error.name.partition(".")[0]).record()
    if isinstance(error, SystemExit):
        message = f"the code ended its process: exit({error.code})"
        return ErrorRecord(name, ErrorKind.USER_CODE, message, mend="Let it return or raise instead.")
    mend = f"The traceback is in {log}." if log else ""
    return ErrorRecord(name, ErrorKind.INTERNAL, f"{name}: {error}", mend=mend)


class _Heart:
    """Beats while the work goes on, and presses the switch when it shall not."""

    def __init__(self, job: Job, switch: StopSwitch) -> None:
        self._job = job
        self._switch = switch
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modelyard-heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        beats = 0
        while not self._done.wait(_BEAT):
            beats += 1
            try:
                if self._job.cancel_requested or (beats % _BEATS_BETWEEN_LOOKS == 0 and self._is_replaced()):
                    self._switch.press()
                    return
                self._job.beat()
            except FileNotFoundError:
                self._switch.press()
                return
            except OSError:
                # A share that stumbles for a moment is no reason to give up: others wait a minute as well.
                continue

    def _is_replaced(self) -> bool:
        try:
            return not Journal.of(self._job).is_newest(self._job)
        except (OSError, ModelyardError):
            return False
