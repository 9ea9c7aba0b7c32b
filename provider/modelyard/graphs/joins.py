"""Joins what branches bring: within one event, or across events with the same key."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from itertools import takewhile
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple, Protocol

from modelyard.graphs.bodies import part_of
from modelyard.graphs.caching import frozen
from modelyard.graphs.event import Event
from modelyard.graphs.failures import KeyUnusable
from modelyard.graphs.isolation import isolated

__all__ = ["ABSENT", "Crossing", "EventBatch", "KeyedJoin", "Released", "crossing_of", "joined"]

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
    for name, body in present:
        if not isinstance(body, Mapping):
            raise TypeError(f"update joins mappings, and {name!r} gave {type(body).__name__}")
        update.update(body)
    return update


class Released(NamedTuple):
    """What goes on without any event that still waits for its reply.

    Parameters
    ----------
    event
        The event that brought the latest part, with what was gathered as its body.
    missing
        The branches that brought nothing, if that is an error.
    """

    event: Event
    missing: tuple[str, ...] = ()


class Crossing(Protocol):
    """Keeps parts of several events until they are complete, or are given up."""

    def arrive(self, inlet: int, event: Event) -> tuple[Any, list[Released]]:
        """Take an event in; return what it completes (`ABSENT` if nothing), and what had to make room."""
        ...

    def overdue(self, now: float) -> list[Released]:
        """Return what has waited for too long."""
        ...

    def rest(self) -> list[Released]:
        """Return everything that still waits, because the graph closes."""
        ...

    @property
    def due(self) -> float | None:
        """When something will have waited for too long, on the clock of ``time.monotonic()``; None if nothing will."""
        ...


class _Waiting:
    """Parts with one key, until they are complete."""

    __slots__ = ("event", "key", "parts", "since")

    def __init__(self, key: Hashable, parts: list[Any], event: Event) -> None:
        self.key, self.parts, self.event, self.since = key, parts, event, monotonic()


class _Gathering(ABC):
    """What joins and batches across events have in common: who waits, how long, and how many."""

    def __init__(self, key: str, limit: int, seconds: float) -> None:
        self._key, self._limit, self._seconds = key, limit, seconds
        self._waiting: dict[_Waiting, None] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def due(self) -> float | None:
        """When the oldest will have waited for too long."""
        with self._lock:
            oldest = next(iter(self._waiting), None)
            return oldest.since + self._seconds if oldest is not None and self._seconds else None

    def overdue(self, now: float) -> list[Released]:
        """Give up what has waited for too long."""
        with self._lock:
            return self._given_up(self._late(now))

    def rest(self) -> list[Released]:
        """Give everything up."""
        with self._lock:
            return self._given_up(list(self._waiting))

    def _late(self, now: float) -> list[_Waiting]:
        if not self._seconds:
            return []
        return list(takewhile(lambda waiting: now - waiting.since >= self._seconds, self._waiting))

    def _over_limit(self) -> list[Released]:
        return self._given_up(list(self._waiting)[: max(0, len(self._waiting) - self._limit)])

    def _given_up(self, found: Sequence[_Waiting]) -> list[Released]:
        released = []
        for waiting in found:
            self._forget(waiting)
            each = self._released(waiting)
            if each is not None:
                released.append(each)
        return released

    def _forget(self, waiting: _Waiting) -> None:
        del self._waiting[waiting]

    @abstractmethod
    def _released(self, waiting: _Waiting) -> Released | None: ...


class KeyedJoin(_Gathering):
    """Joins bodies of several events that carry the same key; those of one branch in the order in which they came.

    Parameters
    ----------
    inlets
        The names of the branches.
    key
        What belongs together: a field of the body (dotted), ``$id`` or ``$key`` of the event.
    into, missing
        As `Place.merge` has them.
    limit
        How many incomplete joins are kept.
    seconds
        How long one may stay incomplete; 0 is no bound.

    Attributes
    ----------
    dropped
        How many incomplete joins were given up without a trace.

    Examples
    --------
    >>> join = KeyedJoin(["left", "right"], "k", "list", "error", 10, 0.0)
    >>> join.arrive(0, Event({"k": 7, "x": 1}))[0] is ABSENT
    True
    >>> join.arrive(1, Event({"k": 7, "y": 2}))
    ([{'k': 7, 'x': 1}, {'k': 7, 'y': 2}], [])
    """

    def __init__(self, inlets: Sequence[str], key: str, into: str, missing: str, limit: int, seconds: float) -> None:
        super().__init__(key, limit, seconds)
        self._inlets, self._into, self._missing = tuple(inlets), into, missing
        self._by_key: dict[Hashable, list[_Waiting]] = {}
        self.dropped = 0

    def arrive(self, inlet: int, event: Event) -> tuple[Any, list[Released]]:
        """Take an event in.

        Raises
        ------
        PathMissing, KeyUnusable
            Its body has no such key, or one that cannot be compared.
        """
        key = key_of(event, self._key)
        with self._lock:
            released = self._given_up(self._late(monotonic()))
            waiting = self._with_room(key, inlet, event)
            waiting.event = event
            if any(part is ABSENT for index, part in enumerate(waiting.parts) if index != inlet):
                waiting.parts[inlet] = isolated(event.body)  # the sender may go on to use its own
                return ABSENT, [*released, *self._over_limit()]
            waiting.parts[inlet] = event.body
            self._forget(waiting)
        return joined(self._inlets, waiting.parts, self._into), released

    def _with_room(self, key: Hashable, inlet: int, event: Event) -> _Waiting:
        known = self._by_key.setdefault(key, [])
        for waiting in known:
            if waiting.parts[inlet] is ABSENT:
                return waiting
        waiting = _Waiting(key, [ABSENT] * len(self._inlets), event)
        known.append(waiting)
        self._waiting[waiting] = None
        return waiting

    def _forget(self, waiting: _Waiting) -> None:
        super()._forget(waiting)
        known = self._by_key[waiting.key]
        known.remove(waiting)
        if not known:
            del self._by_key[waiting.key]

    def _released(self, waiting: _Waiting) -> Released | None:
        if self._missing == "drop":
            self.dropped += 1
            return None
        if self._missing == "partial":
            return Released(waiting.event.branch(joined(self._inlets, waiting.parts, self._into)))
        absent = [name for name, part in zip(self._inlets, waiting.parts, strict=True) if part is ABSENT]
        bodies = [part for part in waiting.parts if part is not ABSENT]
        return Released(waiting.event.branch(bodies), tuple(absent))


class EventBatch(_Gathering):
    """Gathers the bodies of several events into lists.

    Parameters
    ----------
    size
        How many make a list.
    key
        What belongs together, as for `KeyedJoin`; empty puts all events together.
    limit
        How many lists are open at once, where there is a key; the oldest goes on as it is.
    seconds
        How long the first of a list waits; then the list goes on as it is. 0 is no bound.

    Examples
    --------
    >>> batch = EventBatch(2, "", 10, 0.0)
    >>> batch.arrive(0, Event(1))[0] is ABSENT, batch.arrive(0, Event(2))
    (True, ([1, 2], []))
    """

    def __init__(self, size: int, key: str, limit: int, seconds: float) -> None:
        super().__init__(key, limit, seconds)
        self._size = size
        self._by_key: dict[Hashable, _Waiting] = {}

    def arrive(self, inlet: int, event: Event) -> tuple[Any, list[Released]]:
        """Take an event in.

        Raises
        ------
        PathMissing, KeyUnusable
            Its body has no such key, or one that cannot be compared.
        """
        key = key_of(event, self._key) if self._key else None
        with self._lock:
            released = self._given_up(self._late(monotonic()))
            waiting = self._by_key.get(key)
            if waiting is None:
                waiting = self._by_key[key] = _Waiting(key, [], event)
                self._waiting[waiting] = None
            waiting.event = event
            if len(waiting.parts) + 1 < self._size:
                waiting.parts.append(isolated(event.body))  # the sender may go on to use its own
                return ABSENT, [*released, *self._over_limit()]
            waiting.parts.append(event.body)
            self._forget(waiting)
        return waiting.parts, released

    def _forget(self, waiting: _Waiting) -> None:
        super()._forget(waiting)
        del self._by_key[waiting.key]

    def _released(self, waiting: _Waiting) -> Released | None:
        return Released(waiting.event.branch(waiting.parts))


def key_of(event: Event, key: str) -> Hashable:
    """Return what `key` says of an event: a field of its body (dotted), ``$id``, or ``$key``.

    Raises
    ------
    PathMissing
        The body has no such field.
    KeyUnusable
        What is there cannot be compared.

    Examples
    --------
    >>> key_of(Event({"a": 1}, id="e7"), "$id"), key_of(Event(None, key="k"), "$key")
    ('e7', 'k')
    """
    if key == "$id":
        return event.id
    found = event.key if key == "$key" else part_of(event.body, key)
    made = frozen(found) if isinstance(found, dict | list) else found
    try:
        hash(made)
    except TypeError:
        raise KeyUnusable(key, found) from None
    return made


def crossing_of(kind: str, inlets: Sequence[str], options: Mapping[str, Any]) -> Crossing | None:
    """Return what gathers across events for a node with these options; None if it gathers within one event."""
    if kind == "merge" and "key" in options:
        return KeyedJoin(inlets, **options)
    if kind == "batch" and "across" in options:
        return EventBatch(options["size"], options["key"], options["limit"], options["seconds"])
    return None
