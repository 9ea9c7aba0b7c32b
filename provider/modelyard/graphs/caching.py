"""Keeps a step's results by key, for a time, up to a number."""

from collections import OrderedDict
from threading import Lock
from time import monotonic
from typing import Any

from modelyard.graphs.bodies import part_of
from modelyard.graphs.isolation import isolated
from modelyard.graphs.settings import Cache

__all__ = ["ResultCache", "frozen"]


class ResultCache:
    """The results that one step has given.

    Parameters
    ----------
    settings
        What the key is, how long results are good for, and how many are kept.
    """

    def __init__(self, settings: Cache) -> None:
        self._settings = settings
        self._kept: OrderedDict[Any, tuple[float, Any]] = OrderedDict()
        self._lock = Lock()

    def key(self, body: Any) -> Any:
        """Return what tells events apart; equal JSON values have equal keys."""
        return frozen(part_of(body, self._settings.key) if self._settings.key else body)

    def find(self, key: Any) -> tuple[bool, Any]:
        """Return whether there is a result, and a copy of it."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return False, None
            if self._settings.seconds and monotonic() - kept[0] > self._settings.seconds:
                del self._kept[key]
                return False, None
            self._kept.move_to_end(key)
        return True, isolated(kept[1])

    def keep(self, key: Any, result: Any) -> None:
        """Keep a result; the one used longest ago makes room."""
        with self._lock:
            self._kept[key] = (monotonic(), isolated(result))
            if len(self._kept) > self._settings.size:
                self._kept.popitem(last=False)


def frozen(value: Any) -> Any:
    """Return what stands for a JSON value as a key: equal for equal values of the same types.

    Examples
    --------
    >>> frozen({"a": [1]}) == frozen({"a": [1]}), frozen(1) == frozen(True)
    (True, False)
    """
    if isinstance(value, dict):
        return (dict, frozenset((key, frozen(each)) for key, each in value.items()))
    if isinstance(value, list | tuple):
        return (list, tuple(frozen(each) for each in value))
    return (type(value), value)  # 1, 1.0 and True are equal, and not the same
