"""State by key that lives in one worker process: bounded, and forgotten after a while."""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from time import monotonic
from typing import Any

import msgspec

from modelyard.graphs.bodies import part_of

__all__ = ["KeyedStates", "key_of", "seconds_now"]


def seconds_now() -> float:
    """Return the time on the clock that all state is measured with."""
    return monotonic()


def key_of(body: Any, path: str) -> Any:
    """Return what tells bodies apart: the field at `path`, or the whole body; values that differ in type differ.

    Raises
    ------
    PathMissing
        There is no such field.

    Examples
    --------
    >>> key_of({"user": {"id": "a7"}}, "user.id"), key_of({"n": True}, "n") == key_of({"n": 1}, "n")
    ('a7', False)
    """
    value = part_of(body, path) if path else body
    if isinstance(value, str):
        return value
    if isinstance(value, bool | Mapping | list | tuple) or value is None:
        return ("json", msgspec.json.encode(value, order="deterministic"))
    return value


class KeyedStates:
    """Values by key; the key that was used longest ago goes when there are too many.

    The caller holds `lock` around everything that belongs together.

    Parameters
    ----------
    limit
        How many keys are kept.
    seconds
        How long a value is kept after it was put; 0 means for ever.

    Examples
    --------
    >>> states = KeyedStates(limit=2, seconds=0)
    >>> for key in "abc":
    ...     states.put(key, key.upper())
    >>> states.find("a"), states.find("c"), len(states)
    (None, 'C', 2)
    """

    def __init__(self, *, limit: int, seconds: float) -> None:
        self.lock = Lock()
        self._limit = limit
        self._seconds = seconds
        self._found: OrderedDict[Any, tuple[float, Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def find(self, key: Any) -> Any:
        """Return the value of a key, or None."""
        kept = self._found.get(key)
        if kept is None:
            return None
        if self._seconds and seconds_now() - kept[0] >= self._seconds:
            del self._found[key]
            return None
        return kept[1]

    def put(self, key: Any, value: Any) -> None:
        """Keep a value, and forget those that are over."""
        now = seconds_now()
        self._found[key] = (now, value)
        self._found.move_to_end(key)
        while len(self._found) > self._limit or (
            self._seconds and now - next(iter(self._found.values()))[0] >= self._seconds
        ):
            self._found.popitem(last=False)
