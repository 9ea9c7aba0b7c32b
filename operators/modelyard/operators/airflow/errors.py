"""Errors of DAG files that use our operators."""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = ["BundleProjectNotFound", "NumberTooLarge", "PromotionRejected", "ResultFieldUnknown"]


class BundleProjectNotFound(ModelyardError):
    """Raised when a DAG bundle has no project at the path that a ``bundle:`` reference names."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, project: str, folder: str) -> None:
        inside = f"{project.partition(':')[2].strip('/')}/modelyard.yaml".lstrip("/")
        super().__init__(
            f"no folder from {folder} upwards has {inside}",
            where=project,
            mend="Name the project's folder as it lies in the bundle.",
            facts={"project": project, "folder": folder},
        )


class NumberTooLarge(ModelyardError):
    """Raised when a result has a whole number of more than 64 bits, which XCom does not take."""

    kind = ErrorKind.INVALID

    def __init__(self, task: str) -> None:
        super().__init__(
            "the result has a whole number of more than 64 bits, which Airflow does not carry between tasks",
            where=f"task {task}",
            mend="Return it as text.",
            facts={"task": task},
        )


class PromotionRejected(ModelyardError):
    """Raised when people would not have a version promoted, or nobody answered and that counts as no."""

    kind = ErrorKind.GATE_FAILED

    def __init__(self, model: str, by: str, reason: str) -> None:
        who = f" by {by}" if by else ""
        why = f": {reason}" if reason else ""
        super().__init__(f"{model} was rejected{who}{why}", facts={"model": model, "by": by, "reason": reason})


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
