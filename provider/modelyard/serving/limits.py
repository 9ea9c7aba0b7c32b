"""How much a server takes on, and what it says to the rest."""

import asyncio
from collections import deque
from time import monotonic
from types import TracebackType

import msgspec

from modelyard.serving.errors import Overloaded
from modelyard.serving.field_types import check_types
from modelyard.serving.table_bounds import TableBounds

__all__ = ["Admission", "Limits"]

BODY = 16 * 1024 * 1024
MODEL = 8 * 1024**3
UNPACKED = 8
"""How many times the largest body a table may have once it is unpacked."""


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one worker takes on.

    Parameters
    ----------
    body
        The largest request body, in bytes.
    rows
        The most rows in one request.
    in_flight
        How many requests are worked on at once.
    queue
        How many more may wait for their turn; the next one is refused with 429.
    seconds
        How long a client may take to send a body.
    model
        The largest model that is loaded, the bytes of its files together.

    Examples
    --------
    >>> Limits(in_flight=8).queue
    256
    >>> Limits(rows=0)
    Traceback (most recent call last):
    ValueError: a limit is at least 1 (queue: 0), not rows=0
    """

    body: int = BODY
    rows: int = 100_000
    in_flight: int = 1024
    queue: int = 256
    seconds: float = 30.0
    model: int = MODEL

    @property
    def table(self) -> TableBounds:
        """What a table may hold: `rows` rows, and 8 times `body` bytes once it is unpacked."""
        return TableBounds(self.rows, UNPACKED * self.body)

    def __post_init__(self) -> None:
        check_types(self)
        for name, least in (("body", 1), ("rows", 1), ("in_flight", 1), ("queue", 0), ("model", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"a limit is at least 1 (queue: 0), not {name}={getattr(self, name)!r}")
        if not self.seconds > 0:
            raise ValueError(f"seconds is more than 0, not {self.seconds!r}")


class Admission:
    """Lets so many requests in, so many more wait, and refuses the others; ``async with`` is one request.

    Parameters
    ----------
    limits
        How many.

    Attributes
    ----------
    active, refused
        How many are inside now, and how many were refused so far.

    Examples
    --------
    >>> async def scene():
    ...     admission = Admission(Limits(in_flight=1, queue=0))
    ...     async with admission:
    ...         try:
    ...             async with admission:
    ...                 pass
    ...         except Overloaded as error:
    ...             return error.retry_after
    >>> asyncio.run(scene())
    1
    """

    __slots__ = ("_limits", "_pace", "_waiting", "active", "refused")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pace = deque[float](maxlen=64)
        self.active = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def enter(self) -> bool:
        """Let one request in if there is room; it is to `leave`. Otherwise it may `wait`."""
        if self.active < self._limits.in_flight and not self._waiting:
            self.active += 1
            return True
        return False

    def leave(self) -> None:
        """Let one request go, and the next one in."""
        self._pace.append(monotonic())
        self._leave()

    async def wait(self) -> None:
        """Wait for a place; it is to `leave`.

        Raises
        ------
        Overloaded
            Too many wait already.
        """
        if len(self._waiting) >= self._limits.queue:
            self.refused += 1
            raise Overloaded(self.active, len(self._waiting), self._retry_after())
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()  # the turn had come, and nobody is there to take it
            else:
                self._waiting.remove(turn)
            raise

    async def __aenter__(self) -> None:
        if not self.enter():
            await self.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # who waited takes the place over: `active` stays
                return
        self.active -= 1

    def _retry_after(self) -> int:
        """Return in how many seconds the queue should be gone, at the pace of the last requests; at least 1."""
        if len(self._pace) < 2 or self._pace[-1] <= self._pace[0]:
            return 1
        pace = (len(self._pace) - 1) / (self._pace[-1] - self._pace[0])
        return min(max(1, round((self.active + len(self._waiting)) / pace)), 60)
