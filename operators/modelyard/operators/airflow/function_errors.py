"""Errors of functions in DAG files that shall run elsewhere."""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError

__all__ = ["FunctionNotContained", "FunctionUnreadable"]


class FunctionNotContained(ModelyardError):
    """Raised when a function uses names that exist only where it is written."""

    kind = ErrorKind.INVALID

    def __init__(self, name: str, where: str, names: Sequence[str]) -> None:
        super().__init__(
            f"{name} uses {', '.join(names)} from outside of itself, where its process cannot see it",
            where=where,
            mend="Import inside the function, and hand values over as arguments.",
            facts={"function": name, "names": list(names)},
        )


class FunctionUnreadable(ModelyardError):
    """Raised when a function cannot run from its source alone."""

    kind = ErrorKind.INVALID

    def __init__(self, name: str, where: str, reason: str) -> None:
        super().__init__(
            f"{name} cannot run from its source: {reason}",
            where=where,
            mend="Write it with def, in a file.",
            facts={"function": name},
        )
