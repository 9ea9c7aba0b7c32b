"""Serves an open graph from this process: for a notebook, an IDE, a test."""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from modelyard.graphs import Graph, Plan, Resources
from modelyard.serving.access import Access
from modelyard.serving.application import Application
from modelyard.serving.limits import Limits
from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.server import GraphServer, loop_factory
from modelyard.serving.server_socket import listen
from modelyard.serving.tls import Certificates
from modelyard.serving.traffic import Traffic

if TYPE_CHECKING:
    from modelyard.serving.rpc import RpcServer

__all__ = ["LocalServer", "serve"]

_END_TIMEOUT = 10.0
"""Seconds that what is under way has at the end, as in a worker."""


class LocalServer:
    """A server in a thread of this process, while the ``with`` block lasts.

    Parameters
    ----------
    plan
        The open graph; or what opens it on the event loop that answers, such as ``partial(graph.open_async,
        resources)``: what steps open then belongs to the loop that runs them, and is closed there.
    port
        0 takes a free one.
    host
        This machine only, unless you say otherwise.
    body_limit
        The largest body, in bytes; shorthand for the same in `limits`.
    limits
        What the server takes on.
    grpc_port
        Answer gRPC as well, at this port; 0 takes a free one, None leaves it.
    traffic
        Is told how many requests there are, for a plan that gathers rows by it.
    metrics
        Counts the requests, and the steps of a plan that was opened with it; and traces them, if it does.
    access
        Who may ask for what; None lets everybody who reaches the server.
    certificates
        Encrypt both ports, and ask clients for certificates perhaps; None is plain text.

    Attributes
    ----------
    url
        Where HTTP is answered.
    grpc_address
        Where gRPC is answered, as ``host:port``; empty before the block begins, and without it.

    Raises
    ------
    PortTaken
        Something else listens there.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> from urllib.request import Request, urlopen
    >>> graph = Graph("echo")
    >>> step = graph.to(lambda body: body, name="echo")
    >>> with LocalServer(graph.open()) as server:
    ...     request = Request(server.url, b'{"x": 1}', {"content-type": "application/json"})
    ...     with urlopen(request) as reply:
    ...         reply.read()
    b'{"x":1}'
    """

    def __init__(
        self,
        plan: Plan | Callable[[], Awaitable[Plan]],
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        body_limit: int = 0,
        limits: Limits | None = None,
        grpc_port: int | None = None,
        traffic: Traffic | None = None,
        metrics: ServingMetrics | None = None,
        access: Access | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self._access, self._certificates = access, certificates
        self._host, self._grpc_port = host, grpc_port
        self._failed: BaseException | None = None
        self.grpc_address = ""
        self._listener = listen(host, port)
        self._ready, self._over = threading.Event(), threading.Event()
        self._plan = plan
        self._tls = certificates.context() if certificates else None
        self._answering = partial(
            Application, body_limit=body_limit, limits=limits, traffic=traffic, metrics=metrics, access=access
        )
        self._server = None if callable(plan) else self._made(plan)
        self._thread = threading.Thread(target=self._run, name="modelyard-server", daemon=True)
        scheme = "https" if certificates else "http"
        self.url = f"{scheme}://{_shown(host)}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "LocalServer":
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            self._thread.join()
            raise self._failed
        return self

    def __exit__(self, *error: object) -> None:
        del error
        if self._server:
            self._server.should_exit = True
        self._thread.join()

    def wait(self) -> None:
        """Wait until the server ends."""
        self._over.wait()  # a join that is interrupted takes the thread for ended ever after

    def _made(self, plan: Plan) -> GraphServer:
        application = self._answering(plan)
        server = GraphServer(application, tls=self._tls)
        if application.metrics.tracing:
            server.config.app = application.metrics.tracing.around(application, plan.graph)
        return server

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            try:
                runner.run(self._opened())
            except BaseException as error:  # noqa: BLE001 (it is raised where the block begins)
                self._failed = error
                self._listener.close()
                self._ready.set()
        self._over.set()

    async def _opened(self) -> None:
        if not callable(self._plan):
            assert self._server is not None  # noqa: S101 (it was made with the plan)
            await self._serve(self._server)
            return
        async with await self._plan() as plan:
            self._server = self._made(plan)
            await self._serve(self._server)

    async def _serve(self, server: GraphServer) -> None:
        clock = await server.begin()
        rpc = None
        try:
            rpc = await self._begin_rpc(server)
            await server.accept_from(self._listener)
        except Exception as error:  # noqa: BLE001 (it is raised where the block begins)
            self._failed = error
            server.should_exit = True
            self._listener.close()
        self._ready.set()
        await clock
        if rpc is not None:
            await rpc.stop(_END_TIMEOUT)
        await server.drain(idle=0, limit=_END_TIMEOUT)

    async def _begin_rpc(self, server: GraphServer) -> "RpcServer | None":
        if self._grpc_port is None:
            return None
        from modelyard.serving.rpc import RpcServer
        from modelyard.serving.rpc.guarding import AccessInterceptor
        from modelyard.serving.rpc.spans import TraceInterceptor

        application = server.application
        tracing = application.metrics.tracing
        spans = [TraceInterceptor(tracing, application.plan.graph)] if tracing else []
        rpc = RpcServer(
            application.service,
            host=self._host,
            port=self._grpc_port,
            message_limit=application.limits.body,
            answered=application.metrics.answered,
            credentials=self._certificates.credentials() if self._certificates else None,
            interceptors=[*spans, *([AccessInterceptor(self._access)] if self._access else [])],
        )
        await rpc.start()
        self.grpc_address = f"{_shown(self._host)}:{rpc.port}"
        return rpc


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Take SIGTERM for Ctrl+C: process managers ask so, and both want what is under way answered."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def serve(
    graph: Graph, resources: Resources | None = None, *, port: int = 0, host: str = "127.0.0.1", **options: Any
) -> None:
    """Open `graph`, serve it until interrupted (Ctrl+C or SIGTERM), and print where; what is under way is answered.

    Parameters
    ----------
    graph
        The graph.
    resources
        What it needs from the outside.
    port, host, **options
        As for `LocalServer`.

    Raises
    ------
    PortTaken
        Something else listens there.
    """
    traffic, metrics = Traffic(), options.pop("metrics", None) or ServingMetrics()
    resources = metrics.watching(replace(resources or Resources(), batching=traffic.batching()))
    opening = partial(graph.open_async, resources)
    serving = LocalServer(opening, port=port, host=host, traffic=traffic, metrics=metrics, **options)
    with _termination_interrupts(), serving as server:
        also = f" and grpc://{server.grpc_address}" if server.grpc_address else ""
        try:  # whoever reads the line may interrupt at once
            print(f"{graph.name} answers at {server.url}{also} (Ctrl+C ends it)", flush=True)  # noqa: T201 (what it is for)
            server.wait()
        except KeyboardInterrupt:
            print(f"{graph.name} ended")  # noqa: T201
