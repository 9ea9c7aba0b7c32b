"""Marks a function as the component of an operation."""

from collections.abc import Callable
from typing import Any, TypeVar

from modelyard.operators.kfp.errors import NotAComponent

__all__ = ["component_of", "operation_of"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
_MARK = "__modelyard_operation__"


def component_of(operation: str) -> Callable[[FunctionT], FunctionT]:
    """Mark a function as the component of an operation; KFP leaves decorators out of what it ships.

    Parameters
    ----------
    operation
        The operation's name in the catalogue.

    Examples
    --------
    >>> @component_of("train")
    ... def train() -> None: ...
    >>> operation_of(train)
    'train'
    """

    def mark(function: FunctionT) -> FunctionT:
        setattr(function, _MARK, operation)
        return function

    return mark


def operation_of(function: Callable[..., Any]) -> str:
    """Return the name of the operation that a function is the component of.

    Raises
    ------
    NotAComponent
        It was not marked with `component_of`.
    """
    operation: str | None = getattr(function, _MARK, None)
    if operation is None:
        raise NotAComponent(getattr(function, "__name__", repr(function)))
    return operation
