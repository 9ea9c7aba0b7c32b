"""What ready-made steps refuse: wrong arguments when a graph opens, wrong bodies while it runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = [
    "ArgumentInvalid",
    "BodyInvalid",
    "CallFailed",
    "EventRepeated",
    "FieldMissing",
    "FieldUnfit",
    "FileRefused",
    "RateExceeded",
    "StateInvalid",
    "StepClosed",
    "brief",
]


def brief(value: Any) -> str:
    """Return a value as errors show it: never longer than a line.

    Examples
    --------
    >>> brief("late"), len(brief("x" * 500))
    ("'late'", 80)
    """
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


class ArgumentInvalid(ModelyardError):
    """Raised when a ready-made step is built with an argument that it cannot have.

    Examples
    --------
    >>> print(ArgumentInvalid("Sample", "rate", "must be between 0 and 1", 3))
    Sample.rate: must be between 0 and 1, got 3.
    """

    kind = ErrorKind.INVALID

    def __init__(self, block: str, field: str, rule: str, value: Any, *, mend: str = "") -> None:
        super().__init__(
            f"{rule}, got {brief(value)}",
            where=f"{block}.{field}",
            mend=mend,
            facts={"block": block, "field": field, "rule": rule},
        )


class FieldMissing(ModelyardError):
    """Raised when a body lacks a field that a step needs."""

    kind = ErrorKind.INVALID

    def __init__(self, field: str, given: Sequence[str]) -> None:
        super().__init__(
            f"the field {field!r} is missing",
            mend=near_name(field, [str(each) for each in given]),
            facts={"field": field},
        )


class FieldUnfit(ModelyardError):
    """Raised when a field's value is none that a step can work with."""

    kind = ErrorKind.INVALID

    def __init__(self, field: str, rule: str, value: Any) -> None:
        super().__init__(f"{rule}, got {brief(value)}", where=field, facts={"field": field, "rule": rule})


class BodyInvalid(ModelyardError):
    """Raised when a body breaks rules of `Validate`; it names each of them.

    Parameters
    ----------
    reasons
        What is wrong, one mapping of field, rule and value for each broken rule.
    """

    kind = ErrorKind.INVALID

    def __init__(self, reasons: Sequence[Mapping[str, Any]]) -> None:
        told = "; ".join(
            f"{each['field'] or 'the body'} {each['rule']}, got {brief(each['value'])}" for each in reasons
        )
        rules = "a rule" if len(reasons) == 1 else f"{len(reasons)} rules"
        super().__init__(f"the body breaks {rules}: {told}", facts={"reasons": [dict(each) for each in reasons]})
        self.reasons = [dict(each) for each in reasons]


class EventRepeated(ModelyardError):
    """Raised when an event has been seen already within the window of `Deduplicate`."""

    kind = ErrorKind.CONFLICT

    def __init__(self, key: Any, ago: float) -> None:
        super().__init__(
            f"the event {brief(key)} was seen {ago:.1f} s ago",
            mend="Do not send it again.",
            facts={"key": str(key), "ago": round(ago, 3)},
        )


class RateExceeded(ModelyardError):
    """Raised when more events come than a `RateLimit` lets through; it says when there is room again."""

    kind = ErrorKind.EXHAUSTED

    def __init__(self, key: Any, wait: float) -> None:
        whose = f" for {brief(key)}" if key is not None else ""
        super().__init__(
            f"the rate limit{whose} is used up",
            mend=f"Try again in {wait:.2f} s.",
            facts={"key": None if key is None else str(key), "retry_after": round(wait, 3)},
        )


class StateInvalid(ModelyardError):
    """Raised when a function of `MapByKey` does not return a result and a state."""

    kind = ErrorKind.USER_CODE

    def __init__(self, function: str, returned: Any) -> None:
        super().__init__(
            f"the function must return a pair (result, state), not {brief(returned)}",
            where=function,
            facts={"function": function},
        )


class StepClosed(ModelyardError):
    """Raised when a step is used after its graph was closed."""

    kind = ErrorKind.CONFLICT

    def __init__(self, block: str) -> None:
        super().__init__(f"{block} is closed", mend="Open the graph again.")


class FileRefused(ModelyardError):
    """Raised when a file's name leads out of the folder that a `Reader` may read."""

    kind = ErrorKind.DENIED

    def __init__(self, name: Any, folder: str) -> None:
        super().__init__(
            f"the name {brief(name)} is none of a file below the folder",
            where=folder,
            mend="Give a relative path without '..'.",
            facts={"folder": folder},
        )


_KINDS = {
    401: ErrorKind.DENIED,
    403: ErrorKind.DENIED,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.CONFLICT,
    410: ErrorKind.NOT_FOUND,
    429: ErrorKind.EXHAUSTED,
    504: ErrorKind.TIMEOUT,
}


class CallFailed(ModelyardError):
    """Raised when an `HttpCall` gets no reply, or one that says no; it keeps the status, where there is one.

    Parameters
    ----------
    method, address
        What was asked; the address without its query.
    reason
        What happened.
    status
        The reply's; 0 if there was none.
    attempts
        How often it was tried.
    """

    kind = ErrorKind.UNAVAILABLE

    def __init__(
        self, method: str, address: str, reason: str, *, status: int = 0, attempts: int = 1, timed_out: bool = False
    ) -> None:
        tried = f" (tried {attempts} times)" if attempts > 1 else ""
        super().__init__(
            f"{reason}{tried}",
            where=f"{method} {address}",
            facts={"method": method, "address": address, "status": status, "attempts": attempts},
        )
        self.status = status
        self._timed_out = timed_out

    @property
    def error_kind(self) -> ErrorKind:
        """The kind that the reply's status stands for; unavailable if it is above 500 or there is no reply."""
        if self._timed_out:
            return ErrorKind.TIMEOUT
        if 400 <= self.status < 500:
            return _KINDS.get(self.status, ErrorKind.INVALID)
        return _KINDS.get(self.status, type(self).kind)
