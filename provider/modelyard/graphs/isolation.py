"""Copies bodies, so that a branch that changes its event is not seen by its sibling."""

import copy
from collections.abc import Callable
from typing import Any

from modelyard.graphs.failures import BodyUncopyable

__all__ = ["call_isolated", "isolated"]

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
    module = kind.__module__
    if module == "numpy" and kind.__name__ == "ndarray" and not value.dtype.hasobject:
        return value.copy(order="K")
    if module.partition(".")[0] == "pyarrow":
        return value  # Arrow data cannot change
    return _deep(value)


def call_isolated(function: Callable[[Any], Any], value: Any) -> Any:
    """Return ``function(isolated(value))``; an array is copied only if the function writes into it.

    Until it tries to it sees the array itself, read-only; then it is called again with a copy.

    Examples
    --------
    >>> import numpy as np
    >>> def clear(rows):
    ...     rows[:] = 0
    ...     return len(rows)
    >>> array = np.ones(3)
    >>> call_isolated(clear, array), array.tolist()
    (3, [1.0, 1.0, 1.0])
    """
    kind = type(value)
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray" and not value.dtype.hasobject:
        lent = value.view()
        lent.flags.writeable = False
        try:
            return function(lent)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
    return function(isolated(value))


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
