"""A WebSocket as a conversation: each message is an event, each reply a message."""

import logging
from collections.abc import Callable
from time import perf_counter
from typing import Any

import msgspec

from modelyard.graphs import Event, Plan, Response
from modelyard.serving.asgi import Message, Receive, Scope, Send
from modelyard.serving.errors import BodyTooLarge, ReplyInvalid, RequestMalformed
from modelyard.serving.limits import Limits
from modelyard.serving.replies import encode, error_reply

__all__ = ["answer_socket"]

_LOG = logging.getLogger("modelyard.serving")
_TOO_LARGE = 1009


async def answer_socket(
    plan: Plan,
    limits: Limits,
    scope: Scope,
    receive: Receive,
    send: Send,
    answered: Callable[[str, int, float], None] = lambda protocol, status, seconds: None,
) -> None:
    """Answer the messages of one connection, one after the other, until the client closes it.

    A text message is JSON, a binary one is bytes. A graph that streams sends a message for each reply. An error is a
    message ``{"error": …}``, and the conversation goes on; only a message above the limit ends it.

    Parameters
    ----------
    plan
        The open graph.
    limits
        What a message may hold.
    scope, receive, send
        As ASGI has them.
    answered
        Is told protocol, status and seconds of each message's answer.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            return
        begun, status = perf_counter(), 200
        try:
            body = _body(message, limits)
            event = Event(body, path=scope["path"], method="WEBSOCKET", headers=headers)
            if plan.streams:
                async for reply in plan.stream_async(event):
                    await send(_message(_written(plan, event, reply)))
            else:
                await send(_message(_written(plan, event, await plan.run_async(event))))
        except BodyTooLarge as error:
            status = 413
            await send(_message(error_reply(error).body))
            await send({"type": "websocket.close", "code": _TOO_LARGE})
            return
        except Exception as error:  # noqa: BLE001 (a client gets JSON, whatever happens)
            reply = error_reply(error)
            status = reply.status
            if status >= 500:
                _LOG.exception("WEBSOCKET %s", scope["path"])
            await send(_message(reply.body))
        finally:
            answered("websocket", status, perf_counter() - begun)


def _body(message: Message, limits: Limits) -> Any:
    text, raw = message.get("text"), message.get("bytes")
    if len(text or raw or "") > limits.body:
        raise BodyTooLarge(limits.body)
    if text is None:
        return raw
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
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
