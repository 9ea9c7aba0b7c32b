"""The connections of a server: what is refused before a request is whole, and clients that are too slow for one."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from modelyard.serving.peer import GREETING
from modelyard.serving.responder import Responder

__all__ = ["HEAD", "Connections", "HttpConnection", "LocalConnection"]

HEAD = 64 * 1024
"""The largest head of a request, in bytes: the line and all headers."""
_BLANK = b"\r\n\r\n"


class HttpConnection(HttpToolsProtocol):
    """One connection; it says as JSON what is wrong with a request that no application sees."""

    head = 0
    begun: Any = None
    """The request whose head has `head` bytes so far."""

    def data_received(self, data: bytes) -> None:
        """Take what arrived, unless it is a head that does not end."""
        if len(data) > HEAD - self.head:
            self._take_in_pieces(data)
            return
        super().data_received(data)
        scope: Any = self.scope
        if scope is not None and "method" not in scope:  # `reads_head`, written out: all that arrives comes by here
            self._count_head(scope, data)
        elif self.head:
            self.head = 0
        elif (cycle := self.cycle) is not None and cycle.more_body and not cycle.body:
            self._look_at_length()

    def _take_in_pieces(self, data: bytes) -> None:
        """Take what may hold more than a whole head, so that none passes because it came at once."""
        rest = memoryview(data)
        while rest and not self.transport.is_closing():
            room = HEAD - self.head
            self.data_received(bytes(rest[:room]))
            rest = rest[room:]

    def _count_head(self, scope: Any, data: bytes) -> None:
        if scope is self.begun:
            self.head += len(data)
        else:  # what came before it in the same piece belongs to other requests
            self.begun, self.head = scope, len(data) - (data.rfind(_BLANK) + len(_BLANK) if _BLANK in data else 0)
        if self.head >= HEAD:
            self.refuse(431, f"the line and headers of the request are larger than {HEAD} bytes")

    def _look_at_length(self) -> None:
        """Have a body that says that it is too large refused before it comes, and not asked for."""
        declared = next((value for name, value in self.cycle.scope["headers"] if name == b"content-length"), b"")
        if declared.isdigit() and int(declared) > self.config.ws_max_size:  # what `GraphServer` sets to its limit
            self.cycle.waiting_for_100_continue = False
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Begin with the request that waits, if there is one; how long a client rests is for `Connections` to see.

        uvicorn starts a timer after each answer, and ends it when the next request comes.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, cast("Any", app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, cast("Any", Responder(cycle, app).answer))

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; `msg` is uvicorn's."""
        del msg
        self.refuse(400, "this is no HTTP request")

    @property
    def reads_head(self) -> bool:
        """Whether a request has begun whose headers are not all there."""
        return self.scope is not None and "method" not in self.scope

    @property
    def rests(self) -> bool:
        """Whether no request is under way whose headers are all there."""
        return self.cycle is None or self.cycle.response_complete

    def refuse(self, status: int, message: str) -> None:
        """Answer that, and close the connection."""
        if self.transport.is_closing():
            return
        if not self.rests and (self.cycle.response_started or not self.cycle.more_body):
            self.transport.abort()  # the request before is still to be answered, and this must not be taken for it
            return
        error = {"type": "HttpRefusal", "kind": "timeout" if status == 408 else "invalid", "message": message}
        body = orjson.dumps({"error": error})
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        fields = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write((head + fields).encode() + body)
        self.transport.close()


class LocalConnection(HttpConnection):
    """One connection of a sibling process, which waits for a word before it asks."""

    def connection_made(self, transport: Any) -> None:
        """Say that the connection is accepted."""
        super().connection_made(transport)
        transport.write(GREETING)


class _Seen(NamedTuple):
    """What a connection was found at, and since when."""

    at: str
    mark: object
    since: float


class Connections:
    """Looks now and then whether a client lets its server wait; no request costs anything for it.

    Parameters
    ----------
    seconds
        How long a client may take for the head of a request; how long it may take nothing of an answer.
    idle
        How long it may be connected without a word, and stay after an answer.
    """

    def __init__(self, seconds: float, idle: float) -> None:
        self._seconds = seconds
        self._idle = idle
        self._seen: dict[Any, _Seen] = {}
        self._looked = 0.0

    def look(self, connections: Iterable[Any], now: float) -> None:
        """Answer or end those that took too long; to be called often, `now` in seconds."""
        if now - self._looked < min(self._seconds / 4, 1.0):
            return
        self._looked = now
        before, self._seen = self._seen, {}
        for connection in list(connections):
            at, mark = _found(connection)
            if not at:
                continue
            seen = before.get(connection)
            known = seen is not None and seen.at == at and seen.mark == mark
            since = seen.since if seen is not None and known else now
            self._seen[connection] = _Seen(at, mark, since)
            self._act(connection, at, now - since, known=known)

    def _act(self, connection: Any, at: str, waited: float, *, known: bool) -> None:
        if at == "body" and not known:
            # whoever waits for the body gets an empty piece of it, and begins to count the time
            cast("HttpConnection", connection).cycle.message_event.set()
        elif at == "head" and waited >= self._seconds:
            message = f"the headers of the request did not arrive within {self._seconds:g} seconds"
            cast("HttpConnection", connection).refuse(408, message)
        elif at == "answer" and waited >= self._seconds:
            connection.transport.abort()
        elif at in ("silence", "rest") and waited >= self._idle:
            connection.transport.close()


def _found(connection: Any) -> tuple[str, object]:
    """Return what a client lets the server wait for, if it does, and what stays the same as long as it does."""
    transport = connection.transport
    left = transport.get_write_buffer_size() if transport is not None else 0
    if left:
        return "answer", left
    if not isinstance(connection, HttpConnection) or transport is None or transport.is_closing():
        return "", None
    if connection.rests:
        if connection.reads_head:
            return "head", id(connection.scope)
        return ("silence", None) if connection.scope is None else ("rest", connection.cycle)
    cycle = connection.cycle
    if cycle.more_body and not cycle.body and not connection.flow.read_paused and not cycle.response_started:
        return "body", id(cycle)
    return "", None
