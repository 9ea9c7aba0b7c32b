"""What goes wrong while events run: errors of flow, of policies and of handlers."""

import asyncio
from collections.abc import Sequence
from types import CoroutineType
from typing import Any

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = [
    "FAILURES",
    "BodyUncopyable",
    "CircuitOpen",
    "CycleExceeded",
    "DeadlineExceeded",
    "HandlerFailed",
    "KeyUnusable",
    "MergeIncomplete",
    "OutletUnknown",
    "PathMissing",
    "PlanClosed",
    "QueueFull",
    "ReplyRepeated",
    "StepTimeout",
    "Unawaited",
    "Unsendable",
    "ValueMismatch",
    "WorkerLost",
    "WorkersUnstartable",
]


FAILURES = (Exception, SystemExit, asyncio.CancelledError)
"""What a step may raise and has failed with: also a ``sys.exit()`` of its own, which ends nobody else's work, and work
of its own that was cancelled. Everything else (Ctrl+C) goes through."""


class BodyUncopyable(ModelyardError):
    """Raised when a body cannot be copied for a second branch."""

    kind = ErrorKind.USER_CODE

    def __init__(self, body: object, cause: BaseException) -> None:
        super().__init__(
            f"the body, of type {type(body).__name__}, cannot be copied for a second branch: {cause}",
            mend="Let branches start before such a thing is made, or give it a __deepcopy__.",
            facts={"type": type(body).__name__},
        )


class StepTimeout(ModelyardError):
    """Raised when a step took longer than its timeout."""

    kind = ErrorKind.TIMEOUT

    def __init__(self, seconds: float, how: str) -> None:
        super().__init__(
            f"the step took longer than {seconds:g} s and was {how}",
            mend="Give it more time, or make it faster.",
            facts={"seconds": seconds, "how": how},
        )


class DeadlineExceeded(ModelyardError):
    """Raised when an event's deadline has passed before a step."""

    kind = ErrorKind.TIMEOUT

    def __init__(self, late: float) -> None:
        super().__init__(f"the event's deadline passed {late:.3f} s ago", facts={"late": late})


class CircuitOpen(ModelyardError):
    """Raised instead of calling a step that has failed too often lately."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, wait: float, cause: str) -> None:
        super().__init__(
            f"the circuit is open for another {wait:.1f} s, because the step kept failing: {cause}",
            facts={"wait": wait},
        )


class CycleExceeded(ModelyardError):
    """Raised when an event goes round a cycle more often than its bound."""

    kind = ErrorKind.INVALID

    def __init__(self, cycle: str, bound: int, path: Sequence[str]) -> None:
        shown = [*path[:6], "…", *path[-6:]] if len(path) > 13 else list(path)
        super().__init__(
            f"the event went round the cycle {cycle} more than {bound} times: {' → '.join(shown)}",
            mend="Raise the bound, or let the event leave the cycle.",
            facts={"cycle": cycle, "bound": bound, "path": list(path)},
        )


class HandlerFailed(ModelyardError):
    """Raised when an error handler itself failed; it keeps both causes."""

    kind = ErrorKind.USER_CODE

    def __init__(
        self, graph: str, handler: str, step: str, event: str, error: BaseException, cause: BaseException
    ) -> None:
        super().__init__(
            f"the error handler raised {type(cause).__name__}: {cause}, "
            f"while it handled {type(error).__name__}: {error}, of step {step}",
            where=f"graph {graph}, step {handler}, event {event}",
            facts={"graph": graph, "step": handler, "origin": step, "event": event, "cause": type(cause).__name__},
        )
        self.error = error
        self.cause = cause

    @property
    def error_kind(self) -> ErrorKind:
        """The kind that the handler chose, where it raised one of our errors."""
        return self.cause.error_kind if isinstance(self.cause, ModelyardError) else type(self).kind


class ReplyRepeated(ModelyardError):
    """Raised when the responder runs a second time for one event of a graph that does not stream."""

    kind = ErrorKind.USER_CODE

    def __init__(self, responder: str) -> None:
        super().__init__(
            f"{responder} has replied to this event already",
            mend="Join the branches with a merge before it, or let a generator step make the graph a stream.",
            facts={"responder": responder},
        )


class OutletUnknown(ModelyardError):
    """Raised when a choice names an outlet that it does not have."""

    kind = ErrorKind.INVALID

    def __init__(self, outlet: object, known: Sequence[str]) -> None:
        rule = "the choice named no outlet" if outlet is None else f"the choice has no outlet {outlet!r:.80}"
        super().__init__(
            rule,
            mend=near_name(str(outlet), tuple(known)),
            facts={"known": [*known]},
        )


class PathMissing(ModelyardError):
    """Raised when a body lacks what `input_path` or a field names."""

    kind = ErrorKind.INVALID

    def __init__(self, path: str, part: str, found: object) -> None:
        known = (", ".join(map(str, found)) or "nothing") if isinstance(found, dict) else type(found).__name__
        super().__init__(
            f"the body has no {path!r}: {part!r} is missing", mend=f"Found: {known}.", facts={"path": path}
        )


class MergeIncomplete(ModelyardError):
    """Raised when a branch never brought its part to a merge."""

    kind = ErrorKind.INVALID

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            f"nothing arrived from {', '.join(missing)}",
            mend='Say missing="partial" or missing="drop" if that is all right.',
            facts={"missing": list(missing)},
        )


class KeyUnusable(ModelyardError):
    """Raised when what should tell which events belong together cannot be compared."""

    kind = ErrorKind.INVALID

    def __init__(self, key: str, found: object) -> None:
        super().__init__(
            f"the key {key!r} is a value of type {type(found).__name__}, which cannot be compared",
            mend="Take a field that holds text, a number, or a list of them.",
            facts={"key": key},
        )


class QueueFull(ModelyardError):
    """Raised when a queue cannot take an event."""

    kind = ErrorKind.EXHAUSTED

    def __init__(self, queue: str, size: int) -> None:
        super().__init__(f"the queue {queue} holds {size} events already", facts={"queue": queue, "size": size})


class ValueMismatch(ModelyardError):
    """Raised when a body is not of the type that a validating step declares, or what the step gives is not.

    The first is the sender's fault, the second the step's.
    """

    kind = ErrorKind.INVALID

    def __init__(self, rule: str, *, is_input: bool = True) -> None:
        super().__init__(rule)
        self.is_input = is_input

    @property
    def error_kind(self) -> ErrorKind:
        """Bad input, or a defect of the step."""
        return type(self).kind if self.is_input else ErrorKind.USER_CODE


class Unawaited(ModelyardError):
    """Raised when the reply would be a coroutine: a step has called one, and did not await it."""

    kind = ErrorKind.USER_CODE

    def __init__(self, found: "CoroutineType[Any, Any, Any]") -> None:
        found.close()  # it has not begun, and never will
        super().__init__(
            f"the step gave the coroutine {found.__qualname__} instead of a result: nobody awaited it",
            mend="Declare the step with async def, and await in it.",
            facts={"coroutine": found.__qualname__},
        )


class Unsendable(ModelyardError):
    """Raised when what a step in a process is given, gives or raises cannot be sent over the process border."""

    kind = ErrorKind.USER_CODE

    def __init__(self, what: str, mend: str = "Send what can be pickled, of classes at the top of a module.") -> None:
        super().__init__(what, mend=mend)


class WorkerLost(ModelyardError):
    """Raised when the process that ran a step died."""

    kind = ErrorKind.LOST

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(
            f"the step's process ended with exit code {exit_code}; only this event is lost",
            facts={"exit_code": exit_code},
        )


class WorkersUnstartable(ModelyardError):
    """Raised when no worker process could be started for a step."""

    kind = ErrorKind.USER_CODE

    def __init__(self) -> None:
        super().__init__(
            "no worker process could be started: each one runs the main script once more, up to the same place",
            mend="Put what runs the graph under if __name__ == '__main__':, or see what the processes have written.",
        )


class PlanClosed(ModelyardError):
    """Raised when an event comes to a graph that was closed."""

    kind = ErrorKind.CONFLICT

    def __init__(self, graph: str) -> None:
        super().__init__("the graph is closed", where=f"graph {graph}", mend="Open it again: graph.open().")
