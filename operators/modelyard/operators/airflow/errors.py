"""Errors of DAG files that use our operators."""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = ["ResultFieldUnknown"]


class ResultFieldUnknown(ModelyardError):
    """Raised when a DAG file asks a task for a field that its operation's result has not."""

    kind = ErrorKind.INVALID

    def __init__(self, task: str, operation: str, field: str, known: Sequence[str]) -> None:
        super().__init__(
            f"the result of {operation} has no field {field!r}",
            where=f"task {task}",
            mend=near_name(field, list(known)),
            facts={"task": task, "field": field},
        )
