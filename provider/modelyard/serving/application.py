"""A graph as an ASGI application, without a framework; it runs on any ASGI server."""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.graphs import Event, Plan
from modelyard.serving.asgi import Message, Receive, Scope, Send
from modelyard.serving.errors import (
    BodyTooLarge,
    MediaTypeUnsupported,
    MethodNotAllowed,
    PathNotFound,
    RequestMalformed,
)
from modelyard.serving.replies import Reply, encode, error_reply, event_reply

__all__ = ["BODY_LIMIT", "Application"]

BODY_LIMIT = 16 * 1024 * 1024
"""The largest body, in bytes, if nobody says otherwise."""

_LOG = logging.getLogger("modelyard.serving")
_CLOSE = (b"connection", b"close")


class Application:
    """Answers HTTP requests with one plan.

    ``POST`` to any path outside ``/v2`` is an event: its JSON body goes to the first step, and the reply comes back as
    JSON. ``GET /`` and ``GET /v2`` describe what is served; ``GET /v2/health/live`` and ``/v2/health/ready`` are for
    probes.

    Parameters
    ----------
    plan
        The open graph.
    description
        What ``GET /v2`` tells besides graph, models and their digests: the revision, for example.
    body_limit
        The largest body, in bytes.

    Attributes
    ----------
    draining
        Set it, and every answer asks its client to come back on another connection.
    """

    def __init__(
        self, plan: Plan, *, description: Mapping[str, Any] | None = None, body_limit: int = BODY_LIMIT
    ) -> None:
        self.plan = plan
        self.body_limit = body_limit
        self.draining = False
        models = {step: {"model": model.name, "digest": model.digest} for step, model in plan.models.items()}
        self.description = {"name": plan.graph, "steps": list(plan.steps), "models": models, **(description or {})}
        self._fixed = {
            "/": encode(self.description),
            "/v2": encode(self.description),
            "/v2/health/live": encode({"live": True}),
            "/v2/health/ready": encode({"ready": True}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        try:
            reply = await self._answer(scope, receive)
        except Exception as error:  # noqa: BLE001 (a client gets JSON, whatever happens)
            reply = error_reply(error)
            if reply.status >= 500:
                _LOG.exception("%s %s", scope["method"], scope["path"])
        headers = reply.fields
        if self.draining or reply.close:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        path, method = scope["path"], scope["method"]
        if method == "POST" and path != "/v2" and not path.startswith("/v2/"):
            return await self._event(scope, receive)
        fixed = self._fixed.get(path)
        if method in ("GET", "HEAD"):
            if fixed is None:
                raise PathNotFound(path)
            return Reply(200, fixed)
        if path.startswith("/v2") and fixed is None:
            raise PathNotFound(path)
        raise MethodNotAllowed(method, path, "GET, HEAD" if path.startswith("/v2") else "GET, HEAD, POST")

    async def _event(self, scope: Scope, receive: Receive) -> Reply:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        content_type = headers.get("content-type", "")
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type and media_type != "application/json" and not media_type.endswith("+json"):
            raise MediaTypeUnsupported(media_type)
        raw = await self._body(headers, receive)
        try:
            body = msgspec.json.decode(raw) if raw else None
        except msgspec.DecodeError as error:
            raise RequestMalformed(str(error)) from None
        event = Event(
            body,
            id=headers.get("x-request-id", ""),
            path=scope["path"],
            headers=headers,
            content_type=content_type,
        )
        result = await self.plan.run_async(event) if self.plan.is_async or self.plan.early else self.plan.run(event)
        return event_reply(self.plan.graph, event, result)

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        limit = self.body_limit
        message = await receive()
        if not message.get("more_body") and len(message.get("body", b"")) <= limit:
            return bytes(message.get("body", b""))
        declared = headers.get("content-length", "")
        refused = declared.isdecimal() and int(declared) > limit
        pieces, size = [message.get("body", b"")], len(message.get("body", b""))
        # A client that is still writing does not see an answer: what is too large is read on for a while, and dropped
        while _continues(message) and size <= limit * 4:
            message = await receive()
            piece = message.get("body", b"")
            size += len(piece)
            refused = refused or size > limit
            if refused:
                pieces.clear()
            else:
                pieces.append(piece)
        if refused or size > limit:
            raise BodyTooLarge(limit)
        return b"".join(pieces)


def _continues(message: Message) -> bool:
    return message["type"] == "http.request" and bool(message.get("more_body"))


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
