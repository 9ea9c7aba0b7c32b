"""A graph as an ASGI application, without a framework; it runs on any ASGI server."""

import asyncio
import logging
from collections.abc import Mapping
from copy import copy
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any

import msgspec

from modelyard.graphs import Plan
from modelyard.serving.access import INFER, Access, role_of
from modelyard.serving.asgi import Message, Receive, Scope, Send
from modelyard.serving.errors import MethodNotAllowed, PathNotFound, ScopeUnsupported
from modelyard.serving.events import EventFront
from modelyard.serving.exposition import exposed, statistics
from modelyard.serving.fronts import Fronts
from modelyard.serving.graph_service import GraphService
from modelyard.serving.inference.http import InferenceFront
from modelyard.serving.limits import BODY, Admission, Limits
from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.refusals import send_last
from modelyard.serving.replies import JSON, Reply, Streamed, encode, error_reply
from modelyard.serving.requests import Request
from modelyard.serving.responder import Responder
from modelyard.serving.traffic import Traffic
from modelyard.serving.web_sockets import SocketFront

__all__ = ["BODY_LIMIT", "Application"]

BODY_LIMIT = BODY
"""The largest body, in bytes, if nobody says otherwise."""

_LOG = logging.getLogger("modelyard.serving")
_CLOSE = (b"connection", b"close")
_LATE = 504
GONE = 499
"""What counts as the status where the client did not wait for the answer."""


class Application:
    """Answers requests with one plan.

    Below ``/v2`` it speaks the Open Inference Protocol, with the graph and its models as the protocol's models; rows
    without the protocol's tensors are taken there, too. A ``POST`` to any other path is an event: its body goes to the
    first step, and the reply comes back. A WebSocket, at any path, is a conversation of events. A graph that declares
    endpoints takes events there alone. Browsers get a page at ``/`` and the documents at ``/docs``.

    Parameters
    ----------
    plan
        The open graph.
    description
        What ``GET /v2`` tells besides graph, models and their digests: the revision, for example.
    body_limit
        The largest body, in bytes; shorthand for the same in `limits`.
    limits
        What the application takes on.
    batch
        How many rows of different requests a graph of which every step takes batches is asked about at once.
    traffic
        Knows how many requests the server has; a `GraphServer` tells it.
    metrics
        Counts the requests, and the steps if the plan was opened with it.
    access
        Who may ask for what; None lets everybody.

    Attributes
    ----------
    draining
        Set it, and every answer asks its client to come back on another connection.
    service
        The graph as a service of the Open Inference Protocol; the gRPC server asks the same one.
    admission
        Who is inside, who waits, who was refused.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("echo")
    >>> step = graph.to(lambda body: body, name="echo")
    >>> application = Application(graph.open())
    >>> application.service.server().name
    'echo'
    """

    def __init__(
        self,
        plan: Plan,
        *,
        description: Mapping[str, Any] | None = None,
        body_limit: int = 0,
        limits: Limits | None = None,
        batch: int = 32,
        traffic: Traffic | None = None,
        metrics: ServingMetrics | None = None,
        access: Access | None = None,
    ) -> None:
        self.access = access
        self.traffic = traffic or Traffic()
        self.metrics = metrics or ServingMetrics()
        runs = self.metrics.runs
        limits = limits or Limits()
        self.plan = plan
        self.limits = msgspec.structs.replace(limits, body=body_limit) if body_limit else limits
        self.draining = False
        models = {step: {"model": model.name, "digest": model.digest} for step, model in plan.models.items()}
        told = dict(description or {})
        self.service = GraphService(
            plan,
            version=str(told.get("revision") or ""),
            server_version=_own_version(),
            rows=self.limits.rows,
            batch=batch,
            alone=self.traffic.alone,
            observe=self.metrics.batch,
            traffic=self.traffic,
            runs=runs,
        )
        self._lanes = self.service.lanes
        self.admission = Admission(self.limits)
        self.metrics.serves(plan, self.service.version, self.admission)
        self._events = EventFront(plan, self.limits, runs)
        self._inference = InferenceFront(self.service, self._events.rows)
        self._fronts = Fronts(plan, self.service, self._events, self.admission, self.limits)
        self._sockets = SocketFront(
            plan,
            self.admission,
            self.limits,
            self._fronts.conversation,
            self.metrics.answered,
            runs,
            self.metrics.tracing,
        )
        self._described = encode(
            {**self.service.server()._asdict(), "steps": list(plan.steps), "models": models, **told}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            await self._otherwise(scope, receive, send)
            return
        begun, status, protocol = perf_counter(), GONE, "inference"
        first: Message | None = None
        body: bytes | None = None
        try:
            # here and not in methods: each coroutine on the way to the model costs time
            lane = self._lanes.get(scope["path"])
            if lane is not None and scope["method"] == "POST" and self.admission.enter():
                try:
                    if self.access is not None:
                        self.access.check(INFER, dict(scope["headers"]).get(b"authorization", b"").decode("latin-1"))
                    first = await receive()
                    row = lane.read(scope, first, self.limits.body)
                    if row is not None:
                        asked = lane.ask(row)
                        body = asked if isinstance(asked, bytes) else lane.written(row, await asked)
                except Exception:  # noqa: BLE001, S110 (the long way says what is wrong)
                    pass
                finally:
                    self.admission.leave()
                if body is not None:
                    if not (isinstance(send, Responder) and send.whole(200, JSON, body, close=self.draining)):
                        await send(self._started(body))
                        await send({"type": "http.response.body", "body": body})
                    status = 200
                    return
            request = Request(scope, receive, self.limits, first)
            protocol = _protocol(request)
            reply = await self._replied(request)
            if reply is not None:
                await self._send(reply, send, request)
                status = reply.status
        finally:
            self.metrics.answered(protocol, status, perf_counter() - begun)

    def unguarded(self) -> "Application":
        """Return the same application for those who need no token: whoever started this process."""
        same = copy(self)
        same.access = None
        return same

    def _started(self, body: bytes) -> Message:
        headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body))]
        if self.draining:
            headers.append(_CLOSE)
        return {"type": "http.response.start", "status": 200, "headers": headers}

    async def _otherwise(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await self._sockets.answer(scope, receive, send, self.access)
        else:
            raise ScopeUnsupported(scope["type"])

    async def _replied(self, request: Request) -> Reply | Streamed | None:
        try:
            if request.method != "POST" or not request.path.startswith("/v2/"):
                return await self._answer(request)
            if self.access is not None:
                self.access.check(role_of("POST", request.path), request.header(b"authorization"))
            if not self.admission.enter():
                await self.admission.wait()
            try:
                return await self._inference.answer(request)
            finally:
                self.admission.leave()
        except asyncio.CancelledError:
            if request.gone:
                return None  # nobody is there to be answered
            raise
        except Exception as error:  # noqa: BLE001 (a client gets JSON, whatever happens)
            reply = error_reply(error)
            if reply.status == _LATE:
                _LOG.warning("%s %s: %s", request.method, request.path, error)  # the client's clock, and no fault here
            elif reply.status >= 500:
                _LOG.exception("%s %s", request.method, request.path)
            return reply

    async def _send(self, reply: Reply | Streamed, send: Send, request: Request) -> None:
        if isinstance(reply, Reply) and reply.close:
            await send_last(reply, send, request)
            return
        if isinstance(send, Responder) and isinstance(reply, Reply) and self._sent_whole(reply, send):
            return
        headers = reply.fields
        if self.draining:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if isinstance(reply, Reply):
            await send({"type": "http.response.body", "body": reply.body})
            return
        async for piece in reply.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _sent_whole(self, reply: Reply, responder: Responder) -> bool:
        if reply.headers or not reply.has_body:
            return False
        return responder.whole(reply.status, reply.content_type, reply.body, close=self.draining)

    async def _answer(self, request: Request) -> Reply | Streamed:
        path, method = request.path, request.method
        if self.access is not None:
            self.access.check(role_of(method, path), request.header(b"authorization"))
        if path in ("/", "/v2") and method in ("GET", "HEAD"):
            if path == "/" and request.accepts("text/html"):
                return await self._fronts.page.answer(request)
            return Reply(200, self._described)
        if path in ("/metrics", "/v2/statistics"):
            return self._figures(request)
        if path == "/v2" or path.startswith("/v2/"):
            if method in ("GET", "HEAD"):  # probes are answered however full it is
                return await self._inference.answer(request)
            async with self.admission:
                return await self._inference.answer(request)
        front = self._fronts.find(path)
        if front is not None:
            return await front.answer(request)
        if method == "POST":
            async with self.admission:
                return await self._events.answer(request)
        if method in ("GET", "HEAD"):
            raise PathNotFound(path)
        raise MethodNotAllowed(method, path, "GET, HEAD, POST")

    def _figures(self, request: Request) -> Reply:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(request.method, request.path, "GET, HEAD")
        tally = self.metrics.tally()
        if request.path != "/metrics":
            return Reply(200, statistics([tally]))
        body, content_type = exposed([tally], request.headers.get("accept", ""))
        return Reply(200, body, content_type=content_type.encode())


def _protocol(request: Request) -> str:
    if request.method != "POST":
        return "info"
    return "inference" if request.path.startswith("/v2/") else "event"


def _own_version() -> str:
    try:
        return version("modelyard")
    except PackageNotFoundError:  # a source tree that nobody installed
        return ""


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
