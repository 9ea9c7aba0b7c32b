"""What the workflows of the contract call."""

import time
from pathlib import Path
from typing import Any

BIG = [2**53 + 1, 2**63 - 1, -(2**63)]
FLOATS = [0.1 + 0.2, 1e-308, 1.7976931348623157e308, -1.5, 3.0]
TEXTS = ["ä → 😀", 'it\'s "quoted"', "line\nline", "", " space ", "{{ braces }}", "$HOME %s \\", "null", "007"]
NESTED = {"list": [1, [2, [3, []]], {"a": {"b": [None, True, False]}}], "empty": {}, "ä": "ö"}


def same(**given: Any) -> dict[str, Any]:
    """Return what was given."""
    return given


def plus(a: float, b: float = 1) -> dict[str, Any]:
    """Add."""
    return {"sum": a + b}


def total(numbers: list[float]) -> dict[str, Any]:
    """Add many."""
    return {"sum": sum(numbers), "count": len(numbers)}


def several(count: int) -> dict[str, Any]:
    """Return a list of so many numbers."""
    return {"items": list(range(count))}


def facts() -> dict[str, Any]:
    """Return values of all sorts."""
    return {
        "big": BIG,
        "one_big": BIG[1],
        "floats": FLOATS,
        "texts": TEXTS,
        "nested": NESTED,
        "nothing": None,
        "yes": True,
        "no": False,
        "quoted": TEXTS[1],
        "accuracy": 0.8,
    }


def note(folder: str, word: str) -> dict[str, Any]:
    """Leave a line in a file."""
    with (Path(folder) / "notes").open("a") as file:
        file.write(f"{word}\n")
    return {"word": word}


def notes(folder: str) -> dict[str, Any]:
    """Return the lines that are there."""
    return {"notes": (Path(folder) / "notes").read_text().split()}


def flaky(folder: str, failures: int) -> dict[str, Any]:
    """Fail so often, then succeed."""
    note(folder, "try")
    tries = len(notes(folder)["notes"])
    if tries <= failures:
        raise RuntimeError(f"try {tries} fails")
    return {"tries": tries}


def broken(word: str = "broken") -> dict[str, Any]:
    """Fail."""
    raise ValueError(f"this is {word}")


def broken_at(item: int, bad: int) -> dict[str, Any]:
    """Fail for one item."""
    if item == bad:
        raise ValueError(f"item {item} is bad")
    return {"item": item}


def slow(seconds: float) -> dict[str, Any]:
    """Take some time."""
    time.sleep(seconds)
    return {"slept": seconds}


def tell(folder: str, state: str, error: str) -> dict[str, Any]:
    """Say how it ended, and what had happened before."""
    path = Path(folder) / "notes"
    return {"state": state, "has_error": bool(error), "notes": path.read_text().split() if path.exists() else []}
