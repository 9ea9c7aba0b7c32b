"""Steps that let some events pass: a sample, the first of each kind, as many as there is room for."""

import asyncio
from hashlib import blake2b
from threading import Lock
from typing import Any

from modelyard.graphs.event import Event
from modelyard.graphs.steps.checking import Checked
from modelyard.graphs.steps.errors import EventRepeated, RateExceeded
from modelyard.graphs.steps.states import KeyedStates, key_of, seconds_now

__all__ = ["Deduplicate", "RateLimit", "Sample"]


class Sample:
    """Lets a share of the events pass, or each n-th: ``graph.filter(Sample, rate=0.1, name=…)``.

    A share is taken by a hash, so that all workers agree, and an event that is sent again gets the same answer.

    Parameters
    ----------
    rate
        The share of events that pass, from 0 to 1; decided by a hash of `key`.
    every
        Instead of a rate: one of so many events passes, the first one first. The count lives in one worker process.
    key
        With `rate`: the body's field (dotted) that decides, so that a user is either in the sample or not; empty takes
        the event's id, which is random where the sender gives none.
    seed
        With `rate`: another seed takes another sample.

    Raises
    ------
    PathMissing
        The body has no such key (422).

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("sampled")
    >>> step = graph.filter(Sample, name="some", rate=0.2, key="user").respond()
    >>> passed = [graph.test({"user": number}) for number in range(10)]
    >>> [body["user"] for body in passed if body]
    [2, 6]
    """

    kinds = ("filter",)
    deterministic = False

    def __init__(self, *, rate: float | None = None, every: int | None = None, key: str = "", seed: int = 0) -> None:
        checked = Checked("Sample")
        if (rate is None) == (every is None):
            raise checked.refuse("rate", "must be given, or every instead of it, and not both", rate)
        self._rate = None if rate is None else checked.number("rate", rate, least=0, most=1)
        self._every = None if every is None else checked.whole("every", every, least=1)
        self._key = checked.text("key", key, empty=True)
        self._salt = checked.whole("seed", seed, least=0).to_bytes(8, "little")
        self.deterministic = bool(key) or every is not None
        self._count = 0
        self._lock = Lock()

    @staticmethod
    def state(arguments: dict[str, Any]) -> str:
        """Return where the count lives; a hash needs none."""
        return "worker" if arguments.get("every") is not None else ""

    def do_event(self, event: Event) -> bool:
        """Whether the event belongs to the sample."""
        if self._every is not None:
            with self._lock:
                self._count += 1
                return self._count % self._every == 1 % self._every
        assert self._rate is not None  # noqa: S101 (checked above: there is one of the two)
        known = repr(key_of(event.body, self._key)) if self._key else event.id
        drawn = blake2b(known.encode(), digest_size=8, salt=self._salt).digest()
        return int.from_bytes(drawn, "big") < self._rate * 2**64


class Deduplicate:
    """Lets each event pass once within a window: ``graph.filter(Deduplicate, key="order", name=…)``.

    The window begins with the first event of its kind, and is not prolonged by repetitions. What was seen is kept in
    one worker process.

    Parameters
    ----------
    key
        The body's field (dotted) that tells events apart; empty takes the whole body.
    by_id
        Instead: the event's id, as the sender gave it, tells them apart.
    seconds
        How long the window is; 0 means for ever.
    limit
        How many different events are kept; the oldest is forgotten first.
    on_repeat
        ``drop`` what is repeated (in a `filter`: there is no reply, status 204), or ``reject`` it with an error
        (in `to`: status 409).

    Raises
    ------
    PathMissing
        The body has no such key (422).
    EventRepeated
        It was seen already, and shall be rejected (409).

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("orders")
    >>> step = graph.filter(Deduplicate, name="once", key="order", seconds=3600).respond()
    >>> [graph.test({"order": number}) for number in (1, 1, 2)]
    [{'order': 1}, None, {'order': 2}]
    """

    state = "worker"
    kinds: tuple[str, ...] = ("filter", "call")

    def __init__(
        self,
        *,
        key: str = "",
        by_id: bool = False,
        seconds: float = 60.0,
        limit: int = 100_000,
        on_repeat: str = "drop",
    ) -> None:
        checked = Checked("Deduplicate")
        self._key = checked.text("key", key, empty=True)
        if by_id and key:
            raise checked.refuse("by_id", "goes without key", by_id)
        self._by_id = by_id
        self._states = KeyedStates(
            limit=checked.whole("limit", limit, least=1), seconds=checked.number("seconds", seconds, least=0)
        )
        self._drops = checked.word("on_repeat", on_repeat, ("drop", "reject")) == "drop"
        self.kinds = ("filter",) if self._drops else ("call",)

    def do_event(self, event: Event) -> Any:
        """Return whether the event is new; if repetitions are rejected, its body."""
        key = event.id if self._by_id else key_of(event.body, self._key)
        with self._states.lock:
            first = self._states.find(key)
            if first is None:
                self._states.put(key, seconds_now())
        if self._drops:
            return first is None
        if first is not None:
            raise EventRepeated(key, seconds_now() - first)
        return event.body


class RateLimit:
    """Lets so many events pass per time, with short bursts: a token bucket for each key.

    The bucket lives in one worker process: with four workers four times as many events pass.

    Parameters
    ----------
    rate
        How many events pass in `seconds` in the long run.
    seconds
        See `rate`.
    burst
        How many pass at once after a pause; by default `rate`, at least 1.
    key
        The body's field (dotted) with a bucket for each value; empty means one bucket.
    limit
        How many keys are kept; the one that was used longest ago is forgotten first.
    on_excess
        ``reject`` (in `to`: an error, status 429, that says when there is room), ``drop`` (in a `filter`: no reply,
        status 204), or ``wait`` (in `to`: the event waits for its turn; the step is a coroutine).
    longest_wait
        With ``wait``: seconds; an event that would wait longer is rejected.

    Raises
    ------
    PathMissing
        The body has no such key (422).
    RateExceeded
        There is no room (429).

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("limited")
    >>> step = graph.to(RateLimit, rate=2, seconds=60, key="user").respond()
    >>> graph.test({"user": "ann"}), graph.test({"user": "ann"}), graph.test({"user": "bob"})
    ({'user': 'ann'}, {'user': 'ann'}, {'user': 'bob'})
    >>> graph.test({"user": "ann"})
    Traceback (most recent call last):
    modelyard.graphs.errors.StepFailed: ...: the rate limit for 'ann' is used up. Try again in ... s.
    """

    state = "worker"
    deterministic = False
    kinds: tuple[str, ...] = ("call", "filter")

    def __init__(
        self,
        *,
        rate: float,
        seconds: float = 1.0,
        burst: float | None = None,
        key: str = "",
        limit: int = 100_000,
        on_excess: str = "reject",
        longest_wait: float = 60.0,
    ) -> None:
        checked = Checked("RateLimit")
        self._rate = checked.number("rate", rate, above=0) / checked.number("seconds", seconds, above=0)
        self._burst = max(1.0, rate) if burst is None else checked.number("burst", burst, least=1)
        self._key = checked.text("key", key, empty=True)
        self._longest = checked.number("longest_wait", longest_wait, least=0)
        # A bucket that has been left alone until it is full again is as good as a new one
        self._states = KeyedStates(
            limit=checked.whole("limit", limit, least=1), seconds=self._burst / self._rate + self._longest
        )
        excess = checked.word("on_excess", on_excess, ("reject", "drop", "wait"))
        self._drops = excess == "drop"
        self.kinds = ("filter",) if self._drops else ("call",)
        if excess == "wait":
            vars(self)["do"] = self._do_in_turn

    def do(self, body: Any) -> Any:
        """Return the body if there is room; where events are dropped, whether there is."""
        wait = self._take(body, longest=0.0)
        if self._drops:
            return wait <= 0
        if wait > 0:
            raise RateExceeded(self._shown(body), wait)
        return body

    async def _do_in_turn(self, body: Any) -> Any:
        wait = self._take(body, longest=self._longest)
        if wait > self._longest:
            raise RateExceeded(self._shown(body), wait - self._longest)
        if wait > 0:
            await asyncio.sleep(wait)
        return body

    def _shown(self, body: Any) -> Any:
        return key_of(body, self._key) if self._key else None

    def _take(self, body: Any, longest: float) -> float:
        """Take a token, and return how long it is until it is there; none is taken where that is too long."""
        key = self._shown(body)
        now = seconds_now()
        with self._states.lock:
            tokens, since = self._states.find(key) or (self._burst, now)
            tokens = min(self._burst, tokens + (now - since) * self._rate) - 1
            wait = -tokens / self._rate if tokens < -1e-9 else 0.0
            if wait <= longest:
                self._states.put(key, (tokens, now))
        return wait
