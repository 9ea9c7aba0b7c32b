"""Functions that blocks of the contract suite are told to use, importable by name."""

from typing import Any


def since_last(body: dict[str, Any], last: Any) -> tuple[Any, Any]:
    """Return how far the meter went since the last time."""
    return body["meter"] - (body["meter"] if last is None else last), body["meter"]


def collected(state: list[Any], body: Any) -> list[Any]:
    """Return what has come so far."""
    return [*state, body]
