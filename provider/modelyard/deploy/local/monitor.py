"""Speaks for all of an endpoint's workers, also of those that ended, at a port of this machine's own."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from modelyard.deploy.local.administration import Administration
from modelyard.deploy.local.records import WorkerStatus
from modelyard.deploy.local.settings import ServingSettings
from modelyard.deploy.local.worker_group import WorkerGroup
from modelyard.errors import ModelyardError
from modelyard.serving.access import ADMIN, Access
from modelyard.serving.asgi import Receive, Scope, Send
from modelyard.serving.errors import MethodNotAllowed, PathNotFound
from modelyard.serving.exposition import exposed, statistics
from modelyard.serving.figures import FigureFolder
from modelyard.serving.limits import Limits
from modelyard.serving.refusals import send_last
from modelyard.serving.replies import Reply, error_reply
from modelyard.serving.requests import Request
from modelyard.serving.server_socket import listen

__all__ = ["Monitor"]

HOST = "127.0.0.1"
COLLECT = 5.0
"""Seconds between two looks at what ended workers left, where nobody asks."""


class Monitor:
    """Answers ``GET /metrics`` and ``GET /v2/statistics`` for all workers, and has them asked for the rest.

    Parameters
    ----------
    folder
        Where workers write what they counted.
    workers
        Tells which workers there are.
    log
        The endpoint's.
    group
        Tells the workers that answer requests.
    """

    def __init__(
        self,
        folder: Path,
        workers: Callable[[], tuple[WorkerStatus, ...]],
        log: logging.Logger,
        group: Callable[[], WorkerGroup | None],
    ) -> None:
        self._figures = FigureFolder(folder)
        self._administration = Administration(group)
        self._limits, self._closed = Limits(), False
        self._workers = workers
        self._log = log
        self._access: Access | None = None
        self._server: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._wanted: ServingSettings | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it answers; empty if it does not."""
        return f"http://{HOST}:{self.port}" if self.port else ""

    async def begin(self, settings: ServingSettings) -> bool:
        """Answer as the settings say, and return whether that is news; what hinders it is in the log, and no more.

        Parameters
        ----------
        settings
            With the port, of which 0 takes a free one and None answers nowhere, and where the tokens are: everything
            here takes one with the role admin.
        """
        if self._wanted == settings:
            return False
        before, self._wanted = self._wanted, settings
        self._limits = settings.limits
        shown = settings.certificates
        self._closed = bool(shown and shown.clients and not settings.access.admin)
        if before and (before.metrics_port, before.access) == (settings.metrics_port, settings.access):
            return False
        await self.end()
        if settings.metrics_port is None:
            return True
        try:
            self._access = Access.of(settings.access)
            await self._listen(listen(HOST, settings.metrics_port))
        except (ModelyardError, ModuleNotFoundError) as error:
            self._log.info("metrics are not told: %s", error)
        return True

    async def end(self) -> None:
        """Answer no more."""
        for task in self._tasks:
            task.cancel()
        if self._server:
            for server in self._server.servers:
                server.close()
            self._server.should_exit = True
        self._tasks, self._server, self.port = [], None, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive, self._limits)
        try:
            reply = await self._answer(request)
        except ModelyardError as error:
            reply = error_reply(error)
        if reply.close:
            await send_last(reply, send, request)
            return
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.fields})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, request: Request) -> Reply:
        if self._access is not None:
            self._access.check(ADMIN, request.header(b"authorization"))
        if request.path not in ("/metrics", "/v2/statistics"):
            if self._closed:  # who has no certificate must not get in by this door
                raise PathNotFound(request.path)
            return await self._administration.answer(request)
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(request.method, request.path, "GET, HEAD")
        workers = self._workers()
        tallies = self._figures.tallies({worker.pid for worker in workers})
        restarts = sum(worker.restarts for worker in workers)
        if request.path == "/metrics":
            body, content_type = exposed(tallies, request.headers.get("accept", ""), restarts=restarts)
            return Reply(200, body, content_type=content_type.encode())
        told = [{"pid": each.pid, "revision": each.revision, "state": each.state} for each in workers]
        return Reply(200, statistics(tallies, workers=told, restarts=restarts))

    async def _listen(self, listener: socket.socket) -> None:
        import uvicorn

        config = uvicorn.Config(
            cast("Any", self), lifespan="off", access_log=False, log_config=None, server_header=False, ws="none"
        )
        config.load()
        self._server = server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        self.port = listener.getsockname()[1]
        self._tasks = [asyncio.create_task(server.main_loop()), asyncio.create_task(self._collect())]

    async def _collect(self) -> None:
        while True:
            await asyncio.sleep(COLLECT)
            with suppress(OSError):
                self._figures.tallies({worker.pid for worker in self._workers()})
