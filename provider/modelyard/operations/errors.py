"""Errors of the waist: declarations, parameters, catalogue, journal and launchers."""

import json
import signal
from typing import Any

from modelyard.errors import ErrorKind, ModelyardError, near_name
from modelyard.operations.libraries import extra_with

__all__ = [
    "CancelRequested",
    "DeclarationInvalid",
    "InterpreterUnusable",
    "JournalBusy",
    "JournalDamaged",
    "JournalFull",
    "JournalUnwritable",
    "KeyInUse",
    "KeyInvalid",
    "KeyWaitsForItself",
    "LibraryMissing",
    "OperationAmbiguous",
    "OperationCancelled",
    "OperationNotFound",
    "ParameterInvalid",
    "ParameterMissing",
    "ParameterUnknown",
    "ResultInvalid",
    "ResultUnreadable",
    "Terminated",
    "WorkLost",
    "WorkUnfinished",
    "WorkerNotStarted",
]


class DeclarationInvalid(ModelyardError):
    """Raised when a function cannot be an operation."""

    kind = ErrorKind.INVALID

    def __init__(self, where: str, rule: str) -> None:
        super().__init__(rule, where=where, mend="See docs/operations.md for what an operation may declare.")


class OperationNotFound(ModelyardError):
    """Raised when no installed distribution declares the operation."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"there is no operation {name!r}", mend=near_name(name, known), facts={"operation": name})


class OperationAmbiguous(ModelyardError):
    """Raised when two distributions declare an operation of the same name."""

    kind = ErrorKind.CONFLICT

    def __init__(self, name: str, distributions: list[str]) -> None:
        super().__init__(
            f"the operation {name!r} is declared by {' and '.join(sorted(distributions))}",
            mend="Uninstall one of them.",
            facts={"operation": name, "distributions": sorted(distributions)},
        )


class ParameterInvalid(ModelyardError):
    """Raised when a parameter's value is not of its type."""

    kind = ErrorKind.INVALID

    def __init__(self, parameter: str, rule: str, value: Any) -> None:
        shown = json.dumps(value, default=repr, ensure_ascii=False)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}…"
        super().__init__(f"must be {rule}, got {shown}", where=parameter, facts={"parameter": parameter})


class ParameterMissing(ModelyardError):
    """Raised when a required parameter is not given."""

    kind = ErrorKind.INVALID

    def __init__(self, operation: str, parameter: str, rule: str) -> None:
        super().__init__(f"{operation} needs {parameter}: {rule}", where=parameter, facts={"parameter": parameter})


class ParameterUnknown(ModelyardError):
    """Raised when an operation has no such parameter."""

    kind = ErrorKind.INVALID

    def __init__(self, operation: str, parameter: str, known: list[str]) -> None:
        super().__init__(
            f"{operation} has no parameter {parameter!r}",
            where=parameter,
            mend=near_name(parameter, known),
            facts={"parameter": parameter},
        )


class ResultInvalid(ModelyardError):
    """Raised when an operation returns something else than it declared, or too much."""

    kind = ErrorKind.INTERNAL

    def __init__(self, operation: str, rule: str) -> None:
        super().__init__(rule, where=f"result of {operation}")


class LibraryMissing(ModelyardError):
    """Raised when an operation needs a library that its environment does not have."""

    kind = ErrorKind.INVALID

    def __init__(self, library: str) -> None:
        extra = extra_with(library)
        mend = f'pip install "modelyard[{extra}]"' if extra else f"Install {library} in this environment."
        super().__init__(f"{library} is not installed", mend=mend, facts={"library": library, "extra": extra})


class ResultUnreadable(ModelyardError):
    """Raised when a result file holds something else."""

    kind = ErrorKind.INTERNAL

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"the result file cannot be read: {reason}", where=path, facts={"path": path})


class WorkLost(ModelyardError):
    """Raised when the process that did the work is gone and left no result."""

    kind = ErrorKind.LOST

    def __init__(self, operation: str, key: str, log: str, *, cause: str = "", last_lines: str = "") -> None:
        told = "".join(f": {each}" for each in (cause, last_lines) if each)
        super().__init__(
            f"the process that ran {operation} is gone and left no result{told}",
            where=key,
            mend=f"Start it again with the same key; its log is {log}.",
            facts={"key": key, "log": log},
        )


class WorkUnfinished(ModelyardError):
    """Raised when the result is asked for before there is one."""

    kind = ErrorKind.CONFLICT

    def __init__(self, operation: str, key: str, state: str) -> None:
        super().__init__(f"{operation} is still {state}", where=key, mend="Wait for it first.", facts={"key": key})


class WorkerNotStarted(ModelyardError):
    """Raised when an interpreter ends before the worker in it has begun."""

    kind = ErrorKind.INVALID

    def __init__(self, python: str, exit_code: int, last_lines: str) -> None:
        super().__init__(
            f"the interpreter {python} ended with code {exit_code} before the work began: {last_lines or 'no output'}",
            mend="Name a Python 3.11 or newer that has modelyard and the project's libraries installed.",
            facts={"python": python, "exit_code": exit_code},
        )


class InterpreterUnusable(ModelyardError):
    """Raised when the interpreter that is named cannot be started."""

    kind = ErrorKind.INVALID

    def __init__(self, python: str, reason: str) -> None:
        super().__init__(
            f"the interpreter {python} cannot be started: {reason}",
            mend="Name a Python 3.11 or newer that has modelyard installed.",
            facts={"python": python},
        )


class OperationCancelled(ModelyardError):
    """Raised when the work was cancelled on request."""

    kind = ErrorKind.CANCELLED

    def __init__(self, operation: str, key: str) -> None:
        super().__init__(f"{operation} was cancelled", where=key, facts={"key": key})


class CancelRequested(KeyboardInterrupt):
    """Raised inside a running operation when it shall stop, so that what it holds is cleaned up on the way out.

    Like Ctrl-C it is no `Exception`: code that forgives errors does not swallow it.
    """


class Terminated(SystemExit):
    """Raised in the main thread when the process is asked to end (SIGTERM), so that work is cancelled on the way out.

    Its exit code is 143, as shells have it.
    """

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class KeyInvalid(ModelyardError):
    """Raised when a text cannot be a key."""

    kind = ErrorKind.INVALID

    def __init__(self, key: str, rule: str) -> None:
        shown = key if len(key) <= 80 else f"{key[:77]}…"
        super().__init__(f"a key must be {rule}, got {shown!r}", where="key")


class KeyInUse(ModelyardError):
    """Raised when a key is at work on something else."""

    kind = ErrorKind.CONFLICT

    def __init__(self, key: str, operation: str, state: str, differences: list[str]) -> None:
        super().__init__(
            f"the key is {state} with other values of {', '.join(differences)}",
            where=key,
            mend=f"Wait for that {operation}, cancel it, or use another key.",
            facts={"key": key, "operation": operation, "differences": differences},
        )


class KeyWaitsForItself(ModelyardError):
    """Raised when the work of a key starts the same key again: it would wait for its own end."""

    kind = ErrorKind.CONFLICT

    def __init__(self, key: str, operation: str) -> None:
        super().__init__(
            f"{operation} starts its own key, and would wait for itself",
            where=key,
            mend="Give the inner work a key of its own.",
            facts={"key": key, "operation": operation},
        )


class JournalBusy(ModelyardError):
    """Raised when somebody else holds a lock of the journal for too long."""

    kind = ErrorKind.TIMEOUT

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(
            f"another process holds the lock for more than {seconds:g} s",
            where=path,
            mend="Wait for it, or end it.",
            facts={"path": path},
        )


class JournalDamaged(ModelyardError):
    """Raised when a file of the journal cannot be understood."""

    kind = ErrorKind.INTERNAL

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"the journal's file cannot be read: {reason}",
            where=path,
            mend="Move its folder away, and start again.",
            facts={"path": path},
        )


class JournalUnwritable(ModelyardError):
    """Raised when the journal's folder cannot be used."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"the journal cannot be used: {reason}",
            where=path,
            mend="Check the permissions and the mount of the environment's state location; it must support file locks.",
            facts={"path": path},
        )


class JournalFull(JournalUnwritable):
    """Raised when there is no space left for the journal."""

    kind = ErrorKind.EXHAUSTED

    def __init__(self, path: str) -> None:
        super().__init__(path, "no space left on the disk")
        self.mend = "Free some space, then start again with the same key."
