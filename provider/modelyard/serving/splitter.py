"""Stands before the application of a worker while two revisions share the traffic: hands on, and counts.

Without a split it costs one comparison per request. Where the other revision has other models and nothing else, this
very process answers with it. To another process only whole requests and whole answers are handed on: streams,
WebSockets, probes and the calls that administrate stay where they are.
"""

import asyncio
from collections.abc import Coroutine
from time import perf_counter
from typing import Any

import orjson

from modelyard.serving.application import Application
from modelyard.serving.asgi import Message, Receive, Scope, Send
from modelyard.serving.errors import RevisionLost
from modelyard.serving.peer import Exchange, Peer, PeerLost
from modelyard.serving.refusals import send_last
from modelyard.serving.replies import Reply, error_reply
from modelyard.serving.requests import Request
from modelyard.serving.splits import Figures, Split
from modelyard.serving.trial import Trial

__all__ = ["Splitter"]

SHADOWS = 64
"""Copies under way at once; while there are so many, no further ones are made."""
_STREAMS = (b"text/event-stream", b"application/x-ndjson")


class Splitter:
    """An ASGI application that answers with another one, or with another revision's workers.

    Parameters
    ----------
    application
        What answers here.

    Attributes
    ----------
    figures
        What was answered here since the split began.
    calls
        The gRPC calls under way.
    trial
        The other revision, if this process answers with it, too.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._peer: Peer | None = None
        self._shadows: set[asyncio.Task[None]] = set()
        self.split: Split | None = None
        self.figures = Figures()
        self.calls = 0
        self.trial: Trial | None = None

    def divide(self, split: Split | None) -> None:
        """Begin, change or end a split; counting goes on as long as it is the same two revisions."""
        before = self.split
        if not split or not before or (split.salt, split.metric) != (before.salt, before.metric):
            self.figures = Figures()
            if self.trial is not None:
                self.trial.figures = Figures()
        if self._peer and (not split or not before or split.socket != before.socket):
            self._peer.close()
            self._peer = None
        if split and split.socket and not self._peer:
            self._peer = Peer(split.socket)
        self.split = split

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Return what answers one request, as ASGI has it."""
        split = self.split
        if split is None or scope["type"] != "http" or not _divisible(scope):
            return self._application(scope, receive, send)
        if self.trial is not None and split.takes(_header(scope, split.key)):
            return self._tried(self.trial, split, scope, receive, send)
        if self._peer and not _streams(scope) and split.takes(_header(scope, split.key)):
            return self._handed_on(self._peer, split, scope, receive, send)
        return self._measured(split, scope, receive, send)

    async def _handed_on(self, peer: Peer, split: Split, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, self._application.limits)
        try:
            body = await request.received()
        except Exception as error:  # noqa: BLE001 (the client gets JSON)
            await send_last(error_reply(error), send, request)
            return
        if split.shadow:
            self.copy(self._ask_in_vain(peer, scope, body))
        else:
            try:
                await _send(send, await _asked(peer, scope, body), close=self._application.draining)
                return
            except PeerLost as lost:
                self.figures.lost += 1
                if lost.sent:  # it may have acted on it: asking somebody else could do it twice
                    await _send(send, error_reply(RevisionLost(split.salt)))
                    return
        await self._measured(split, scope, _replayed(body, receive), send)

    def copy(self, asking: Coroutine[Any, Any, None]) -> None:
        """Ask the other revision in the background, unless it has enough to do."""
        if len(self._shadows) >= SHADOWS:
            asking.close()
            return
        task = asyncio.create_task(asking)
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _ask_in_vain(self, peer: Peer, scope: Scope, body: bytes) -> None:
        try:
            await _asked(peer, scope, body)
        except PeerLost:
            self.figures.lost += 1

    async def _tried(self, trial: Trial, split: Split, scope: Scope, receive: Receive, send: Send) -> None:
        with trial:
            await self._measured(split, scope, receive, send, trial)

    async def _measured(
        self, split: Split, scope: Scope, receive: Receive, send: Send, trial: Trial | None = None
    ) -> None:
        answering, figures = (trial.application, trial.figures) if trial else (self._application, self.figures)
        begun, status, pieces = perf_counter(), 0, list[bytes]()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif split.metric and not message.get("more_body"):
                pieces.append(message.get("body", b""))
            await send(message)

        try:
            await answering(scope, receive, watched)
        finally:
            if status:  # a client that went away got none
                figures.add(perf_counter() - begun, failed=status >= 400)
        if split.metric and status < 400:
            value = _field(b"".join(pieces), split.metric)
            if value is not None:
                figures.add_metric(value)


def _divisible(scope: Scope) -> bool:
    return scope["method"] == "POST" and not scope["path"].startswith("/v2/repository/")


def _streams(scope: Scope) -> bool:
    return scope["path"].endswith("/infer_stream") or any(
        each in value for name, value in scope["headers"] if name == b"accept" for each in _STREAMS
    )


def _header(scope: Scope, name: str) -> str:
    wanted = name.encode()
    if wanted:
        for key, value in scope["headers"]:
            if key == wanted:
                return bytes(value).decode("latin-1")
    return ""


async def _asked(peer: Peer, scope: Scope, body: bytes) -> Exchange:
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"")
    target = path + b"?" + query if query else path
    return await peer.ask(scope["method"].encode(), target, scope["headers"], body)


async def _send(send: Send, answer: Exchange | Reply, *, close: bool = False) -> None:
    if isinstance(answer, Reply):
        headers = answer.fields
    else:
        headers = [*answer.headers]
        if answer.status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(answer.body)))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _replayed(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _field(body: bytes, path: str) -> float | None:
    """Return the number at a dotted path of a JSON reply; true is 1."""
    try:
        found: Any = orjson.loads(body)
        for name in path.split("."):
            found = found[int(name)] if isinstance(found, list) else found[name]
        return float(found)
    except (ValueError, TypeError, LookupError):
        return None
