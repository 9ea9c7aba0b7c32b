"""Copies bodies, so that a branch that changes its event is not seen by its sibling."""

import copy
from typing import Any

from modelyard.graphs.failures import BodyUncopyable

__all__ = ["isolated"]

_ATOMS = frozenset((int, float, str, bool, type(None), bytes, complex, frozenset, range))


def isolated(value: Any) -> Any:
    """Return a deep copy of `value`; what cannot change is shared.

    Raises
    ------
    BodyUncopyable
        There is something in it that has no copy: a lock, an open file.

    Examples
    --------
    >>> body = {"x": [1, 2]}
    >>> other = isolated(body)
    >>> other["x"].append(3)
    >>> body
    {'x': [1, 2]}
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is dict or kind is list:
        try:
            return _plain(value, kind)
        except (_NotPlainError, RecursionError):
            return _deep(value)  # shared or strange parts keep their identities
    if kind.__module__.partition(".")[0] == "pyarrow":
        return value  # Arrow data cannot change
    return _deep(value)


def _deep(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise BodyUncopyable(value, error) from error


class _NotPlainError(Exception):
    """Something is in there that JSON has not."""


def _plain(value: Any, kind: type) -> Any:
    if kind is not dict and kind is not list:
        raise _NotPlainError
    # Copied whole in C, then mended where something lies inside: a third cheaper than comprehensions
    copied = value.copy()
    if kind is dict:
        for key, each in value.items():
            if (inner := type(each)) not in _ATOMS:
                copied[key] = _plain(each, inner)
        return copied
    index = 0
    for each in value:
        if (inner := type(each)) not in _ATOMS:
            copied[index] = _plain(each, inner)
        index += 1  # noqa: SIM113 (enumerate would make a pair for each)
    return copied
