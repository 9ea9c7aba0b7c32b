"""Joins what branches bring: within one event, or across events with the same key."""

from collections.abc import Sequence
from threading import Lock
from time import monotonic
from typing import Any

from modelyard.graphs.bodies import part_of
from modelyard.graphs.failures import MergeIncomplete

__all__ = ["ABSENT", "KeyedJoin", "joined"]

ABSENT: Any = object()
"""What stands for a branch that brought nothing."""


def joined(inlets: Sequence[str], bodies: Sequence[Any], into: str) -> Any:
    """Return the join of the bodies, in the order of the inlets; `ABSENT` ones are left out.

    Examples
    --------
    >>> joined(["a", "b"], [1, 2], "mapping"), joined(["a", "b"], [1, ABSENT], "list")
    ({'a': 1, 'b': 2}, [1])
    """
    present = [(name, body) for name, body in zip(inlets, bodies, strict=True) if body is not ABSENT]
    if into == "mapping":
        return dict(present)
    if into == "list":
        return [body for _, body in present]
    update: dict[str, Any] = {}
    for _, body in present:
        update |= body
    return update


class KeyedJoin:
    """Joins bodies of several events that carry the same key.

    Parameters
    ----------
    inlets
        The names of the branches.
    key
        The field (dotted) that tells what belongs together.
    into, missing
        As `Place.merge` has them.
    limit
        How many incomplete joins are kept.
    seconds
        How long one may stay incomplete; 0 is no bound. It is looked at when something arrives.
    """

    def __init__(self, inlets: Sequence[str], key: str, into: str, missing: str, limit: int, seconds: float) -> None:
        self._inlets, self._key, self._into, self._missing = tuple(inlets), key, into, missing
        self._limit, self._seconds = limit, seconds
        self._waiting: dict[Any, tuple[float, list[Any]]] = {}
        self._lock = Lock()
        self.dropped = 0

    def arrive(self, inlet: int, body: Any) -> list[Any]:
        """Take a body in; return the joins that go on, the one that it completed last.

        Raises
        ------
        MergeIncomplete
            An older join was given up, and that is an error here; nothing of the arriving body is lost.
        """
        key, now = part_of(body, self._key), monotonic()
        with self._lock:
            given_up = self._overdue(now)
            _, parts = self._waiting.setdefault(key, (now, [ABSENT] * len(self._inlets)))
            parts[inlet] = body
            complete = [parts] if all(part is not ABSENT for part in parts) else []
            if complete:
                del self._waiting[key]
            elif len(self._waiting) > self._limit:
                given_up.append(self._waiting.pop(next(iter(self._waiting)))[1])
            self.dropped += len(given_up) if self._missing != "partial" else 0
        if given_up and self._missing == "error":
            if complete:  # it is taken up again by whoever handles the error; the newer join goes first
                return [joined(self._inlets, complete[0], self._into)]
            absent = [name for name, part in zip(self._inlets, given_up[0], strict=True) if part is ABSENT]
            raise MergeIncomplete(absent)
        ready = [*(given_up if self._missing == "partial" else ()), *complete]
        return [joined(self._inlets, parts, self._into) for parts in ready]

    def _overdue(self, now: float) -> list[list[Any]]:
        if not self._seconds:
            return []
        late = [key for key, (since, _) in self._waiting.items() if now - since > self._seconds]
        return [self._waiting.pop(key)[1] for key in late]

    def __len__(self) -> int:
        return len(self._waiting)
