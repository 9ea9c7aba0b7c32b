"""How a connection takes a response: message by message, as ASGI has it, or whole, with one write."""

from collections.abc import Awaitable, Coroutine
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from modelyard.serving.asgi import Message, Receive, Scope, Send

__all__ = ["Responder"]


class Responder:
    """Takes the response to one request; an application gets it as its ``send``.

    uvicorn writes the head of a response and its body one after the other. A small answer costs less in one write:
    one system call, and one packet.

    Parameters
    ----------
    cycle
        uvicorn's request and response.
    application
        What answers.
    """

    __slots__ = ("_application", "_cycle")

    def __init__(self, cycle: RequestResponseCycle, application: Any) -> None:
        self._cycle = cycle
        self._application = application

    def answer(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Return what answers the request, as ASGI has it."""
        del send
        return self._application(scope, receive, self)  # type: ignore[no-any-return]

    def __call__(self, message: Message) -> Awaitable[None]:
        """Take one piece of the response."""
        return self._cycle.send(message)  # type: ignore[arg-type]

    def whole(self, status: int, content_type: bytes, body: bytes, *, close: bool = False) -> bool:
        """Take a whole response that has no other headers; return False where it takes messages to send it.

        Parameters
        ----------
        status
            One with a body.
        content_type
            What is in the body.
        body
            All of it.
        close
            Whether the client is asked to come back on another connection.
        """
        cycle = self._cycle
        if cycle.disconnected:
            return True  # nobody is there to take it
        if cycle.flow.write_paused or cycle.access_log or cycle.response_started or cycle.scope["method"] == "HEAD":
            return False
        close = close or not cycle.keep_alive
        said = [STATUS_LINE[status]]
        for name, value in cycle.default_headers:
            said += (name, b": ", value, b"\r\n")
        said += (b"content-type: ", content_type, b"\r\ncontent-length: ", b"%d" % len(body))
        said += (b"\r\nconnection: close\r\n\r\n" if close else b"\r\n\r\n", body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"".join(said))
        cycle.message_event.set()
        if close:
            cycle.keep_alive = False
            cycle.transport.close()
        cycle.on_response()
        return True
