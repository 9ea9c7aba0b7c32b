"""Operations that leave traces of what happened to them."""

import errno
import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations import OperationContext, operation


class Value(msgspec.Struct, frozen=True):
    """What came out.

    Attributes
    ----------
    value
        Anything.
    """

    value: Any


class ProbeBroken(ModelyardError):
    """Raised by a probe on request."""

    kind = ErrorKind.GATE_FAILED

    def __init__(self, metric: str) -> None:
        super().__init__(f"{metric} is too low", where="probe", mend="Lower the gate.", facts={"metric": metric})


def _note(ledger: str, text: str) -> None:
    with Path(ledger).open("a") as file:
        file.write(f"{text}\n")


def _wait_for(file: str) -> None:
    deadline = time.monotonic() + 60
    while not Path(file).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(file)
        time.sleep(0.005)


@operation(kind="probe-work", side_effects="storage")
def work(
    context: OperationContext, *, ledger: str, value: Any = None, until: str = "", steps: int = 0, deaf: bool = False
) -> Value:
    """Note beginning and end of the work in a ledger, and whether somebody else is at it.

    Parameters
    ----------
    ledger
        The file to note it in.
    value
        What to return.
    until
        A file to wait for.
    steps
        Pieces of progress.
    deaf
        Whether to ignore SIGTERM.
    """
    with Path(f"{ledger}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _note(ledger, "CLASH")
            raise
        if deaf:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            _note(ledger, f"begin {context.generation}.{context.attempt}")  # whoever reads it may cancel at once
            print("working on", value)
            if until:
                _wait_for(until)
            with context.progress.track("probing", steps or None, "pieces") as track:
                for _ in range(steps):
                    track.advance()
        except KeyboardInterrupt:
            _note(ledger, f"stopped {context.generation}.{context.attempt}")
            raise
        _note(ledger, f"end {context.generation}.{context.attempt}")
        return Value(value)


Breakage = Literal["modelyard", "internal", "memory", "disk", "library", "exit", "interrupt", "killed", "big", "wrong"]


@operation(kind="probe-break", side_effects="none")
def break_(context: OperationContext, *, how: Breakage) -> Value:
    """End badly.

    Parameters
    ----------
    how
        In which way.
    """
    del context
    if how == "killed":
        print("one last line", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exit":
        sys.exit(3)
    if how == "big":
        return Value("x" * 50_000)
    if how == "wrong":
        return "no struct"  # type: ignore[return-value]
    errors: dict[str, BaseException] = {
        "modelyard": ProbeBroken("auc"),
        "internal": ValueError("seven"),
        "memory": MemoryError("Unable to allocate 9 TiB"),
        "disk": OSError(errno.ENOSPC, "No space left on device", "/data/out.parquet"),
        "library": ModuleNotFoundError("No module named 'sklearn'", name="sklearn"),
        "interrupt": KeyboardInterrupt(),
    }
    raise errors[how]


def _sleep_deaf() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


@operation(kind="probe-offspring", side_effects="none")
def offspring(context: OperationContext, *, numbers: str, until: str = "") -> Value:
    """Leave children behind: a program, a forked one that ignores SIGTERM, and one in a session of its own.

    Parameters
    ----------
    numbers
        The file to write their process numbers to.
    until
        A file to wait for.
    """
    del context
    program = subprocess.Popen(["sleep", "600"])
    forked = multiprocessing.get_context("fork").Process(target=_sleep_deaf)
    forked.start()
    apart = subprocess.Popen(["sleep", "600"], start_new_session=True)
    temporary = Path(f"{numbers}.tmp")
    temporary.write_text(f"{program.pid} {forked.pid} {apart.pid}")
    temporary.replace(numbers)
    if until:
        _wait_for(until)
    # What multiprocessing started it would wait for at the end.
    multiprocessing.process._children.discard(forked)  # type: ignore[attr-defined]
    return Value("done")


@operation(kind="probe-circumstances", side_effects="none")
def circumstances(context: OperationContext, *, variable: str = "PATH") -> Value:
    """Return what the operation is told, and where it runs.

    Parameters
    ----------
    variable
        A variable of the environment to return.
    """
    context.log.info("a line of the log, with ünicode")
    print("printed", flush=True)
    print("on the standard error", file=sys.stderr)
    (context.folder / "mess").write_text("x")
    told = {name: getattr(context, name) for name in ("project", "environment", "key", "generation", "attempt")}
    told |= {name: getattr(context, name) for name in ("workflow_run", "step")}
    here = {"python": sys.executable, "argv": sys.argv, "cwd": str(Path.cwd())}
    here |= {"session": os.getsid(0), "pid": os.getpid()}
    return Value({**told, **here, "folder": str(context.folder), "variable": os.environ.get(variable)})
