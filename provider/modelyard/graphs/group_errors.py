"""What goes wrong in routers and ensembles."""

from collections.abc import Mapping, Sequence

from modelyard.errors import ErrorKind, ModelyardError

__all__ = ["AnswerWrong", "MemberFailed", "MembersFailed", "RouteMissing", "RouteUnknown", "RowsFailed", "member_fault"]


class RouteUnknown(ModelyardError):
    """Raised when a router is asked for a route that it does not have."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, route: object, known: Sequence[str]) -> None:
        super().__init__(
            f"there is no route {route!r:.80}",
            mend=f"Routes: {', '.join(known)}.",
            facts={"route": str(route)[:80], "routes": [*known]},
        )


class RouteMissing(ModelyardError):
    """Raised when an event does not say what its route depends on, and there is no default."""

    kind = ErrorKind.INVALID

    def __init__(self, what: str, known: Sequence[str]) -> None:
        super().__init__(
            f"the event does not say its route: {what}",
            mend=f"Routes: {', '.join(known)}." if known else "",
            facts={"routes": [*known]},
        )


class AnswerWrong(ModelyardError):
    """Raised when a member's answer is not what the ensemble combines; the member counts as failed."""

    kind = ErrorKind.USER_CODE

    def __init__(self, member: str, rule: str) -> None:
        super().__init__(rule, where=f"member {member}", facts={"member": member})
        self.member = member


class MemberFailed(ModelyardError):
    """Raised when one member failed; graphs report the cause as that of the step ``group.member``."""

    kind = ErrorKind.USER_CODE

    def __init__(self, member: str, cause: BaseException) -> None:
        super().__init__(_told(cause), where=f"member {member}", facts={"member": member})
        self.member = member
        self.cause = cause

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of the cause, where it has one."""
        return _kind(self.cause)


class MembersFailed(ModelyardError):
    """Raised when an ensemble cannot answer, because members failed; it carries each one's cause.

    Parameters
    ----------
    failures
        Member → what it raised.
    members
        All members that were asked.
    needed
        How many had to answer.
    """

    kind = ErrorKind.USER_CODE

    def __init__(self, failures: Mapping[str, BaseException], members: Sequence[str], needed: int) -> None:
        told = "; ".join(f"{name}: {_told(error)}" for name, error in failures.items())
        count = f"{len(failures)} of {len(members)} members failed"
        rule = count if needed == len(members) else f"{count}, and {needed} must answer"
        super().__init__(
            f"{rule}: {told}",
            facts={"failed": {name: type(error).__name__ for name, error in failures.items()}, "needed": needed},
        )
        self.failures = dict(failures)

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of the causes, if they have one in common."""
        kinds = {_kind(error) for error in self.failures.values()}
        return kinds.pop() if len(kinds) == 1 else type(self).kind


class RowsFailed(Exception):
    """Raised by a group that answered a batch, but not all of its rows.

    Parameters
    ----------
    values
        One for each row; None where there is an error.
    errors
        Row → what was raised for it.
    """

    def __init__(self, values: list[object], errors: Mapping[int, BaseException]) -> None:
        super().__init__(f"{len(errors)} of {len(values)} rows failed")
        self.values = values
        self.errors = dict(errors)


def member_fault(step: str, error: BaseException) -> tuple[str, BaseException]:
    """Return the step that an error belongs to, and the error itself, without what a group put around it.

    Examples
    --------
    >>> member_fault("pick", MemberFailed("b", ValueError("no")))
    ('pick.b', ValueError('no'))
    >>> member_fault("parse", ValueError("no"))
    ('parse', ValueError('no'))
    """
    while isinstance(error, MemberFailed):
        step, error = f"{step}.{error.member}", error.cause
    return step, error


def _kind(error: BaseException) -> ErrorKind:
    return error.error_kind if isinstance(error, ModelyardError) else ErrorKind.USER_CODE


def _told(error: BaseException) -> str:
    if isinstance(error, ModelyardError):
        return error.what
    return f"it raised {type(error).__name__}: {error}"
