"""Routes in arguments and bodies."""

from collections.abc import Sequence
from typing import Any

__all__ = ["checked_route", "route_text", "whole_number"]


def checked_route(argument: str, route: str, members: Sequence[str]) -> str:
    """Return a route that is one, or empty text.

    Raises
    ------
    ValueError
        It is none.

    Examples
    --------
    >>> checked_route("default", "", ["a"]), checked_route("default", "a", ["a"])
    ('', 'a')
    """
    if route and route not in members:
        raise ValueError(f"{argument} is a route, {route!r} is none: {', '.join(members)}")
    return route


def route_text(value: Any) -> str:
    """Return what a body has in the place of a route as text; what is no text is written as JSON has it.

    Examples
    --------
    >>> route_text("late"), route_text(3), route_text(True), route_text(None)
    ('late', '3', 'true', 'null')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def whole_number(argument: str, value: Any, least: int) -> int:
    """Return a whole number that is not too small.

    Raises
    ------
    ValueError
        It is none.

    Examples
    --------
    >>> whole_number("queue_size", 8, 1)
    8
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{argument} is a whole number from {least}, not {value!r:.80}")
    return value
