"""What the kinds of steps that direct events can be told, and what values that may have."""

from collections.abc import Mapping
from typing import Any

from modelyard.errors import near_name
from modelyard.graphs.errors import GraphInvalid

__all__ = ["across_options", "checked_options"]

_DEFAULTS: dict[str, dict[str, Any]] = {
    "merge": {"into": "mapping", "missing": "error"},
    "batch": {"size": 0},
    "queue": {"size": 1024, "wait": 0.0},
}
_ACROSS: dict[str, tuple[str, dict[str, Any]]] = {
    "merge": ("key", {"key": "", "limit": 1024, "seconds": 0.0}),
    "batch": ("across", {"across": True, "key": "", "limit": 1024, "seconds": 0.0}),
}
"""Kind → the option that makes it work across events, and the options that it then has."""
_WORDS = {"into": ("mapping", "list", "update"), "missing": ("error", "drop", "partial")}
_COUNTS = ("size", "limit")
_TIMES = ("seconds", "wait")


def checked_options(graph: str, step: str, kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a step with the defaults filled in.

    Raises
    ------
    GraphInvalid
        The kind has no such option, or the option cannot have this value.

    Examples
    --------
    >>> checked_options("g", "q", "queue", {"size": 8})
    {'size': 8, 'wait': 0.0}
    """
    if kind not in _DEFAULTS:
        return dict(options)
    known = dict(_DEFAULTS[kind])
    switch, more = _ACROSS.get(kind, ("", {}))
    if switch in options:
        known |= more
    for name, value in options.items():
        if name not in known:
            only = name in more
            rule = f"{name} is for a {kind} with {switch}" if only else f"a {kind} has no option {name!r}"
            raise GraphInvalid(graph, rule, step=step, mend="" if only else near_name(name, list(known | more)))
        least = 0 if kind == "batch" and name == "size" and switch not in options else 1
        rule = _broken_rule(name, value, least)
        if rule:
            raise GraphInvalid(graph, f"{name} is {rule}, not {value!r}", step=step)
    return known | dict(options)


def _broken_rule(name: str, value: Any, least: int) -> str:
    if name in _WORDS:
        return "" if value in _WORDS[name] else f"one of {', '.join(_WORDS[name])}"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _COUNTS:
        return "" if number and isinstance(value, int) and value >= least else f"a whole number, at least {least}"
    if name in _TIMES:
        return "" if number and value >= 0 else "a number of seconds, at least 0"
    if name == "across":
        return "" if value is True else "true where it is said"
    return "" if isinstance(value, str) else "text"


def across_options(limit: int, seconds: float, **more: Any) -> dict[str, Any]:
    """Return the options of what works across events; without `more` those that were said, which are then refused."""
    if more:
        return {**more, "limit": limit, "seconds": seconds}
    return {"limit": limit} if limit != 1024 else {"seconds": seconds} if seconds else {}
