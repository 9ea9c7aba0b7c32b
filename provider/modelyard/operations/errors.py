"""Errors of the waist: declarations, parameters, catalogue, journal and launchers."""

import json
from typing import Any

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = [
    "DeclarationInvalid",
    "OperationCancelled",
    "OperationNotFound",
    "ParameterInvalid",
    "ParameterMissing",
    "ParameterUnknown",
    "ResultInvalid",
    "WorkLost",
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


class WorkLost(ModelyardError):
    """Raised when the process that did the work is gone and left no result."""

    kind = ErrorKind.LOST

    def __init__(self, operation: str, key: str, log: str, last_lines: str = "") -> None:
        super().__init__(
            f"the process that ran {operation} is gone and left no result" + (f": {last_lines}" if last_lines else ""),
            where=key,
            mend=f"Start it again with the same key; its log is {log}.",
            facts={"key": key, "log": log},
        )


class OperationCancelled(ModelyardError):
    """Raised when the work was cancelled on request."""

    kind = ErrorKind.CANCELLED

    def __init__(self, operation: str, key: str) -> None:
        super().__init__(f"{operation} was cancelled", where=key, facts={"key": key})
