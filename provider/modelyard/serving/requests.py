"""A request as the fronts see it: what arrived before the body, and the body when somebody asks for it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from urllib.parse import parse_qsl, quote

from modelyard.serving.asgi import Message, Receive, Scope
from modelyard.serving.encodings import unpacked
from modelyard.serving.errors import BodyTooLarge, HeaderInvalid, RequestMalformed, RequestTimeout
from modelyard.serving.event_ids import EVENT_ID, is_event_id
from modelyard.serving.limits import Limits

__all__ = ["TIMEOUT_HEADER", "Request"]

TIMEOUT_HEADER = "x-request-timeout"
"""How many seconds the client will wait for the answer."""
NAME_HEADER = "x-request-id"
"""What the client calls the event."""
_TIMEOUT, _ENCODING = TIMEOUT_HEADER.encode(), b"content-encoding"
WATCH_AFTER = 0.05
"""Seconds after which somebody looks whether the client is still there."""
LINGER = 2.0
"""Seconds for which a client whose body was refused may go on sending it."""


class Request:
    """One HTTP request.

    Parameters
    ----------
    scope, receive
        As ASGI has them.
    limits
        How large its body may be, and how long it may take.
    first
        The first piece of the body, if somebody has received it already.

    Attributes
    ----------
    method, path
        As in the request line; the path is decoded.
    gone
        Whether the client went away while somebody watched.
    """

    __slots__ = (
        *("_fields", "_first", "_headers", "_left", "_limits", "_query", "_receive"),
        *("arrived", "gone", "method", "path"),
    )

    def __init__(self, scope: Scope, receive: Receive, limits: Limits, first: Message | None = None) -> None:
        self._receive = receive
        self._first = first
        self._limits = limits
        self._left = self.gone = False
        self.arrived = monotonic()
        self._query: bytes = scope.get("query_string", b"")
        self.method: str = scope["method"]
        root: str = scope.get("root_path", "")
        path: str = scope["path"]
        self.path = path[len(root) :] or "/" if root and path.startswith(root) else path
        self._fields: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers: Mapping[str, str] | None = None

    def header(self, name: bytes) -> str:
        """Return one header, or nothing; for who wants few of them."""
        for key, value in self._fields:
            if key == name:
                return value.decode("latin-1")
        return ""

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers: lower-case names, the values of repeated ones joined by a comma."""
        if self._headers is None:
            self._headers = _headers(self._fields)
        return self._headers

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of a repeated one the last."""
        return dict(parse_qsl(self._query.decode("latin-1"), keep_blank_values=True))

    @property
    def target(self) -> str:
        """The path with the query, as a request line has them."""
        query = self._query.decode("latin-1")
        return quote(self.path) + (f"?{query}" if query else "")

    @property
    def segments(self) -> list[str]:
        """The path's parts."""
        return [part for part in self.path.split("/") if part]

    @property
    def content_type(self) -> str:
        """The header as it came."""
        return self.headers.get("content-type", "")

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.content_type.partition(";")[0].strip().lower()

    def accepts(self, media_type: str) -> bool:
        """Whether the client names this media type among those that it wants."""
        wanted = (each.partition(";")[0].strip().lower() for each in self.headers.get("accept", "").split(","))
        return media_type in wanted

    @property
    def deadline(self) -> float | None:
        """When the client gives up, on the clock of ``time.monotonic()``.

        Raises
        ------
        HeaderInvalid
            The header says no number of seconds.
        """
        text = self.header(_TIMEOUT)
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 < seconds < float("inf"):
            raise HeaderInvalid(TIMEOUT_HEADER, text, "a number of seconds above 0")
        return self.arrived + seconds

    @property
    def name(self) -> str:
        """What the client calls the event, by ``x-request-id``; empty if it has no name for it.

        Raises
        ------
        HeaderInvalid
            It is no name for an event.
        """
        name = self.headers.get(NAME_HEADER, "")
        if name and not is_event_id(name):
            raise HeaderInvalid(NAME_HEADER, name, EVENT_ID)
        return name

    async def body(self) -> bytes:
        """Return the whole body, unpacked if the client packed it; to be called once.

        Raises
        ------
        BodyTooLarge
            It is larger than the limit, packed or unpacked; `leave` takes what the client still sends.
        EncodingUnsupported
            It is packed in a way that nobody knows here.
        RequestTimeout
            It does not arrive in time.
        RequestMalformed
            The connection ends before the body does, or it cannot be unpacked.
        """
        # what most bodies begin with, and no packed one: then no header has to be looked for
        return raw if (raw := await self.received())[:1] == b"{" else self.unpacked(raw)

    def unpacked(self, raw: bytes) -> bytes:
        """Return what `received` returned as `body` returns it.

        Raises
        ------
        BodyTooLarge, EncodingUnsupported, RequestMalformed
            As for `body`.
        """
        return unpacked(raw, self.header(_ENCODING), self._limits.body)

    async def received(self) -> bytes:
        """Return the whole body as it came; to be called once, instead of `body`.

        Raises
        ------
        BodyTooLarge, RequestTimeout, RequestMalformed
            As for `body`.
        """
        message = self._first or await self._receive()
        first: bytes = message.get("body", b"")
        if not message.get("more_body"):
            if message["type"] == "http.disconnect":
                raise self._cut_off(0)
            if len(first) > self._limits.body:
                raise BodyTooLarge(self._limits.body, len(first))
            return first
        pieces = [first]
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._pieces(pieces)
        except TimeoutError:
            raise RequestTimeout(self._limits.seconds, sum(map(len, pieces))) from None

    async def leave(self) -> None:
        """Take what the client still sends of a body that was refused, for a while.

        Who has not read the answer yet would lose it if the connection were closed before the client has done sending.
        """
        size, left = 0, self._left
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while left and size <= self._limits.body * 4:
                    message = await self._receive()
                    size += len(message.get("body", b""))
                    left = bool(message.get("more_body"))

    def watch(self, gone: Callable[[], object]) -> Callable[[], None]:
        """Call `gone` if the client goes away; the returned function ends the watch.

        Most answers are there before it begins: looking costs a task, waiting with it a timer.
        """
        loop = asyncio.get_running_loop()
        watcher: list[asyncio.Task[None]] = []
        timer = loop.call_later(WATCH_AFTER, lambda: watcher.append(loop.create_task(self._watch(gone))))

        def end() -> None:
            timer.cancel()
            for task in watcher:
                task.cancel()

        return end

    async def _watch(self, gone: Callable[[], object]) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.gone = True
                gone()
                return

    async def _pieces(self, pieces: list[bytes]) -> bytes:
        limit = self._limits.body
        declared = self.headers.get("content-length", "")
        size, goes_on = len(pieces[0]), True
        self._left = True
        if declared.isdecimal() and int(declared) > limit:
            raise BodyTooLarge(limit, int(declared))
        while goes_on:
            message = await self._receive()
            piece: bytes = message.get("body", b"")
            size += len(piece)
            goes_on = self._left = bool(message.get("more_body"))
            if size > limit:
                raise BodyTooLarge(limit)
            pieces.append(piece)
            if message["type"] == "http.disconnect":
                raise self._cut_off(size)
        return b"".join(pieces)

    def _cut_off(self, size: int) -> RequestMalformed:
        """Return why a part of a body is not taken for the whole: half a table is a table, too."""
        self.gone = True
        reason = f"the connection ended after {size} bytes of it"
        return RequestMalformed(reason, form="whole", mend="Send all of it.")


def _headers(raw: list[tuple[bytes, bytes]]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found
