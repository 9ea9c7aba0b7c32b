"""Finds what a stored MLRun graph has in the wrong form, before anybody looks into it."""

from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.graphs.interchange.findings import Finding

__all__ = ["misshapen"]

_NAMES = ("after", "before", "cycle_from")
_NUMBERS = ("max_iterations", "retries", "max_in_flight", "max_behind", "window_size")


def misshapen(found: Any, place: str) -> Iterator[Finding]:
    """Yield what is of another type than MLRun writes, in a graph, a step or a route and all inside.

    Examples
    --------
    >>> [str(each) for each in misshapen({"steps": {"a": "low", "b": {"max_iterations": "many"}}}, "graph")]
    ['graph.steps.a: it is a mapping, not str.', "graph.steps.b.max_iterations: it is a whole number, not 'many'."]
    """
    if not isinstance(found, Mapping):
        yield Finding(place, f"it is a mapping, not {type(found).__name__}")
        return
    yield from _fields(found, place)
    arguments = found.get("class_args") or {}
    if isinstance(arguments, Mapping):
        yield from _fields(arguments, f"{place}.class_args")
    else:
        yield Finding(f"{place}.class_args", f"it is a mapping, not {type(arguments).__name__}")
    for field in ("steps", "routes"):
        inner = found.get(field) or {}
        if not isinstance(inner, Mapping):
            yield Finding(f"{place}.{field}", f"it is a mapping, not {type(inner).__name__}")
            continue
        for name, each in inner.items():
            yield from misshapen(each, f"{place}.{field}.{name}")


def _fields(found: Mapping[str, Any], place: str) -> Iterator[Finding]:
    for field in _NAMES:
        if not isinstance(found.get(field) or [], str | list | tuple):
            yield Finding(f"{place}.{field}", f"it is a name or a list of them, not {found[field]!r}")
    for field in _NUMBERS:
        if not isinstance(found.get(field) or 0, int):
            yield Finding(f"{place}.{field}", f"it is a whole number, not {found[field]!r}")
