"""Functions that blocks of the contract suite are told to use, importable by name."""

from typing import Any


def since_last(body: dict[str, Any], last: Any) -> tuple[Any, Any]:
    """Return how far the meter went since the last time."""
    return body["meter"] - (body["meter"] if last is None else last), body["meter"]


def collected(state: list[Any], body: Any) -> list[Any]:
    """Return what has come so far."""
    return [*state, body]


def late(body: Any) -> str:
    """Return a label."""
    return "late"


def early(body: Any) -> str:
    """Return a label."""
    return "early"


def tenth(body: dict[str, Any]) -> float:
    """Return a number."""
    return float(body["x"] / 10)


def half(body: dict[str, Any]) -> float:
    """Return a number."""
    return float(body["x"] / 2)


def likely(body: dict[str, Any]) -> dict[str, Any]:
    """Return probabilities."""
    return {"probabilities": [0.25, 0.75], "classes": ["early", "late"]}


def unlikely(body: dict[str, Any]) -> dict[str, Any]:
    """Return probabilities."""
    return {"probabilities": [0.9, 0.1], "classes": ["early", "late"]}


def judged(row: dict[str, Any]) -> float:
    """Return what the answers of the others make."""
    return float(row["tenth"] + row["half"])
