"""Turns keys into shares: the same key always falls on the same place between 0 and 1."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Any, Literal

from modelyard.graphs.bodies import part_of
from modelyard.graphs.event import Event
from modelyard.graphs.failures import PathMissing
from modelyard.graphs.group_errors import RouteMissing

__all__ = ["KeySource", "cut_points", "share_of"]

_SPAN = float(1 << 64)


def share_of(key: str, salt: str) -> float:
    """Return where a key falls, between 0 and 1: evenly spread, the same in every process and on every machine.

    It is the BLAKE2b hash of salt and key, of 8 bytes, as a fraction.

    Examples
    --------
    >>> round(share_of("ada", "experiment"), 6) == round(share_of("ada", "experiment"), 6)
    True
    """
    digest = blake2b(key.encode(), digest_size=8, key=blake2b(salt.encode(), digest_size=32).digest()).digest()
    return int.from_bytes(digest, "big") / _SPAN


def cut_points(weights: Mapping[str, float], members: Sequence[str]) -> list[float]:
    """Return where each member's share ends, the last one at 1.

    Examples
    --------
    >>> cut_points({"a": 0.75, "b": 0.25}, ["a", "b"])
    [0.75, 1.0]
    """
    ends = [*accumulate(weights[name] for name in members)]
    last = max(index for index, name in enumerate(members) if weights[name] > 0)
    return [1.0 if index >= last else end for index, end in enumerate(ends)]


class KeySource:
    """Where the key of an event is found.

    Parameters
    ----------
    key
        The body's field (dotted); ``header:<name>``; ``event.key`` or ``event.id``; empty is no key.
    missing
        What an event without it gets: an ``error``, or a ``random`` share.

    Raises
    ------
    ValueError
        `missing` is unknown.
    """

    def __init__(self, key: str, missing: Literal["error", "random"]) -> None:
        if not isinstance(key, str):
            raise TypeError(f"key is a field of the body, header:<name>, event.key or event.id, not {key!r:.80}")
        if missing not in ("error", "random"):
            raise ValueError(f"missing is error or random, not {missing!r}")
        self.key = key
        self.in_body = not key.startswith(("header:", "event."))
        if key.startswith("event.") and key not in ("event.key", "event.id"):
            raise ValueError(f"key is event.key, event.id, header:<name> or a field, not {key!r}")
        self._header = key.partition(":")[2].lower()
        self._missing = missing

    def of_event(self, event: Event) -> str | None:
        """Return the key; None for a random share.

        Raises
        ------
        RouteMissing
            The event has none.
        """
        if self.in_body:
            return self.of_body(event.body)
        if self.key == "event.id":
            return event.id
        return self._known(event.key if self.key == "event.key" else event.headers.get(self._header))

    def of_body(self, body: Any) -> str | None:
        """Return the key in a body; None for a random share.

        Raises
        ------
        RouteMissing
            The body has none.
        """
        try:
            return self._known(part_of(body, self.key))
        except PathMissing:
            return self._known(None)

    def _known(self, found: Any) -> str | None:
        if found is None and self._missing == "error":
            raise RouteMissing(f"it has no {self.key!r}", ())
        return found if found is None or found.__class__ is str else str(found)
