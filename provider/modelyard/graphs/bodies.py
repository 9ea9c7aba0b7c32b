"""Reads and writes parts of bodies by dotted paths."""

from collections.abc import Mapping
from typing import Any

from modelyard.graphs.failures import PathMissing

__all__ = ["part_of", "with_part"]


def part_of(body: Any, path: str) -> Any:
    """Return the part of `body` that `path` names.

    Raises
    ------
    PathMissing
        There is no such part.

    Examples
    --------
    >>> part_of({"a": {"b": 1}}, "a.b")
    1
    """
    found = body
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise PathMissing(path, part, found)
        found = found[part]
    return found


def with_part(body: Any, path: str, value: Any) -> dict[str, Any]:
    """Return `body` with `value` at `path`; missing mappings are made, nothing given is changed.

    Raises
    ------
    PathMissing
        On the way lies something that is no mapping.

    Examples
    --------
    >>> with_part({"x": 1}, "y.z", 2)
    {'x': 1, 'y': {'z': 2}}
    """
    part, _, rest = path.partition(".")
    if not isinstance(body, Mapping):
        raise PathMissing(path, part, body)
    return {**body, part: with_part(body.get(part, {}), rest, value) if rest else value}
