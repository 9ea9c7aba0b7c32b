"""A WebSocket as a conversation: each message is an event, each reply a message."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple

import msgspec

from modelyard.errors import ModelyardError
from modelyard.graphs import Event, Plan, Response
from modelyard.serving.access import INFER, Access
from modelyard.serving.asgi import Message, Receive, Scope, Send
from modelyard.serving.errors import BodyTooLarge, ReplyInvalid, RequestMalformed
from modelyard.serving.event_records import Runs
from modelyard.serving.limits import Admission, Limits
from modelyard.serving.replies import Reply, encode, error_reply
from modelyard.serving.requests import Request
from modelyard.serving.tracing import Tracing
from modelyard.serving.unreadable import UNREADABLE

__all__ = ["Conversation", "SocketFront"]

_LOG = logging.getLogger("modelyard.serving")
_TOO_LARGE, _POLICY = 1009, 1008
_METHOD = "WEBSOCKET"


def _same(value: Any) -> Any:
    return value


class Conversation(NamedTuple):
    """How the messages of one connection become events, and replies become messages.

    Parameters
    ----------
    body
        Makes the event's body of what a message holds.
    reply
        Makes the message of a reply's JSON.
    """

    body: Callable[[Any], Any] = _same
    reply: Callable[[bytes], bytes] = _same


class SocketFront:
    """Answers the messages of connections, one after the other, until the client closes them.

    A text message is JSON, a binary one is bytes. A graph that streams sends a message for each reply. An error is a
    message ``{"error": …}``, and the conversation goes on; only a message above the limit ends it.

    Parameters
    ----------
    plan
        The open graph.
    admission, limits
        Who is let in, message by message, and with how much.
    begin
        Tells how a connection at a path converses, or raises; None lets every path converse.
    answered
        Is told protocol, status and seconds of each message's answer.
    runs
        Runs events and takes down how they end; None is the plan itself.
    tracing
        Makes a span of each message, below the one that the handshake names; None makes none.
    """

    def __init__(
        self,
        plan: Plan,
        admission: Admission,
        limits: Limits,
        begin: Callable[[Request], Conversation] | None = None,
        answered: Callable[[str, int, float], None] = lambda protocol, status, seconds: None,
        runs: Runs | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._plan = plan
        self._runs: Runs = runs or plan
        self._admission, self._limits = admission, limits
        self._begin = begin
        self._answered = answered
        self._tracing = tracing

    async def answer(self, scope: Scope, receive: Receive, send: Send, access: Access | None = None) -> None:
        """Answer one connection, as ASGI has it.

        Parameters
        ----------
        scope, receive, send
            The connection.
        access
            Who may converse; None lets everybody.
        """
        request = Request({**scope, "method": _METHOD}, receive, self._limits)
        await receive()
        try:
            if access is not None:
                access.check(INFER, request.header(b"authorization"))
            talk = self._begin(request) if self._begin else Conversation()
        except ModelyardError as error:
            await _refuse(scope, send, error_reply(error))
            return
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            begun, status = perf_counter(), 200
            try:
                event = Event(
                    talk.body(_body(message, self._limits)), path=request.path, method=_METHOD, headers=request.headers
                )
                with self._traced(event):
                    async with self._admission:
                        await self._reply(event, talk, send)
            except BodyTooLarge as error:
                status = 413
                await send(_message(error_reply(error).body))
                await send({"type": "websocket.close", "code": _TOO_LARGE})
                return
            except Exception as error:  # noqa: BLE001 (a client gets JSON, whatever happens)
                reply = error_reply(error)
                status = reply.status
                if status >= 500:
                    _LOG.exception("%s %s", _METHOD, request.path)
                await send(_message(reply.body))
            finally:
                self._answered("websocket", status, perf_counter() - begun)

    @contextmanager
    def _traced(self, event: Event) -> Iterator[None]:
        if self._tracing is None:
            yield
            return
        graph, tracing = self._plan.graph, self._tracing
        attributes = {"url.path": event.path, "modelyard.graph": graph, "modelyard.event": event.id}
        span = tracing.begin(f"{_METHOD} {graph}", event.headers, attributes)
        with tracing.inside(span, ends=True):
            try:
                yield
            except Exception as error:
                if error_reply(error).status >= 500:
                    tracing.failed(span)
                raise

    async def _reply(self, event: Event, talk: Conversation, send: Send) -> None:
        plan = self._plan
        if plan.streams:
            async for piece in self._runs.stream_async(event):
                await send(_message(_written(plan, event, piece)))
            return
        reply = await self._runs.run_async(event)
        written = _written(plan, event, reply)
        refused = isinstance(reply, Response) and reply.status >= 300
        await send(_message(written if refused else talk.reply(written)))


async def _refuse(scope: Scope, send: Send, reply: Reply) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": _POLICY})  # before the handshake that is a 403
        return
    await send({"type": "websocket.http.response.start", "status": reply.status, "headers": reply.fields})
    await send({"type": "websocket.http.response.body", "body": reply.body})


def _body(message: Message, limits: Limits) -> Any:
    text, raw = message.get("text"), message.get("bytes")
    if len(text or raw or "") > limits.body:
        raise BodyTooLarge(limits.body)
    if text is None:
        return raw
    try:
        return msgspec.json.decode(text)
    except UNREADABLE as error:
        raise RequestMalformed(str(error), mend="Send one JSON value as the message.") from None


def _written(plan: Plan, event: Event, reply: Any) -> bytes:
    body = reply.body if isinstance(reply, Response) else reply
    if isinstance(body, bytes):
        return body
    try:
        return encode(body)
    except TypeError as error:
        raise ReplyInvalid(plan.graph, event.id, str(error)) from error


def _message(body: bytes) -> Message:
    try:
        return {"type": "websocket.send", "text": body.decode()}
    except UnicodeDecodeError:
        return {"type": "websocket.send", "bytes": body}
