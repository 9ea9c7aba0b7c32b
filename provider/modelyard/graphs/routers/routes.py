"""Checks of routes in arguments."""

from collections.abc import Sequence

__all__ = ["checked_route"]


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
