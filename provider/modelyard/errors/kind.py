"""The kinds of error, and the one table from kind to HTTP status, gRPC code, exit code and retry decision."""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["ErrorKind", "Outcome", "outcome_of"]


class ErrorKind(StrEnum):
    """What sort of thing went wrong; every error declares exactly one."""

    INVALID = "invalid"
    """The input breaks a rule; the same input will fail again."""
    NOT_FOUND = "not_found"
    """A name or address leads nowhere."""
    CONFLICT = "conflict"
    """Somebody else got there first, or the present state forbids it."""
    DENIED = "denied"
    """Not allowed: credentials, trust or policy."""
    GATE_FAILED = "gate_failed"
    """A declared gate did not hold."""
    USER_CODE = "user_code"
    """A project's own function or step raised, or returned the wrong thing."""
    TIMEOUT = "timeout"
    """It took longer than its limit."""
    UNAVAILABLE = "unavailable"
    """A service or file system does not answer now."""
    EXHAUSTED = "exhausted"
    """A disk, memory, queue or quota is full."""
    CANCELLED = "cancelled"
    """Somebody asked for it to stop."""
    LOST = "lost"
    """The process or host that did the work is gone without a result."""
    INTERNAL = "internal"
    """A defect in modelyard itself."""


class Outcome(NamedTuple):
    """How one kind of error looks from each door."""

    http: int
    grpc: str
    exit_code: int
    retry: bool


_TABLE: dict[ErrorKind, Outcome] = {
    ErrorKind.INVALID: Outcome(422, "INVALID_ARGUMENT", 2, retry=False),
    ErrorKind.NOT_FOUND: Outcome(404, "NOT_FOUND", 3, retry=False),
    ErrorKind.CONFLICT: Outcome(409, "ABORTED", 4, retry=False),
    ErrorKind.DENIED: Outcome(403, "PERMISSION_DENIED", 5, retry=False),
    ErrorKind.GATE_FAILED: Outcome(412, "FAILED_PRECONDITION", 6, retry=False),
    ErrorKind.USER_CODE: Outcome(500, "UNKNOWN", 7, retry=False),
    ErrorKind.TIMEOUT: Outcome(504, "DEADLINE_EXCEEDED", 8, retry=True),
    ErrorKind.UNAVAILABLE: Outcome(503, "UNAVAILABLE", 9, retry=True),
    ErrorKind.EXHAUSTED: Outcome(429, "RESOURCE_EXHAUSTED", 10, retry=True),
    ErrorKind.CANCELLED: Outcome(499, "CANCELLED", 11, retry=False),
    ErrorKind.LOST: Outcome(503, "UNAVAILABLE", 12, retry=True),
    ErrorKind.INTERNAL: Outcome(500, "INTERNAL", 1, retry=False),
}


def outcome_of(kind: ErrorKind) -> Outcome:
    """Return how `kind` looks as HTTP status, gRPC code, exit code and retry decision.

    Examples
    --------
    >>> outcome_of(ErrorKind.GATE_FAILED).exit_code
    6
    """
    return _TABLE[kind]
