"""Tells the metrics of all of an endpoint's workers, also of those that ended, at a port of this machine's own."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from modelyard.deploy.local.records import WorkerStatus
from modelyard.errors import ModelyardError
from modelyard.serving.access import ADMIN, Access, AccessRules
from modelyard.serving.asgi import Receive, Scope, Send
from modelyard.serving.errors import MethodNotAllowed, PathNotFound
from modelyard.serving.exposition import exposed, statistics
from modelyard.serving.figures import FigureFolder
from modelyard.serving.limits import Limits
from modelyard.serving.replies import Reply, error_reply
from modelyard.serving.requests import Request
from modelyard.serving.server_socket import listen

__all__ = ["Monitor"]

HOST = "127.0.0.1"
COLLECT = 5.0
"""Seconds between two looks at what ended workers left, where nobody asks."""


class Monitor:
    """Answers ``GET /metrics`` and ``GET /v2/statistics``.

    Parameters
    ----------
    folder
        Where workers write what they counted.
    workers
        Tells which workers there are.
    log
        The endpoint's.
    """

    def __init__(self, folder: Path, workers: Callable[[], tuple[WorkerStatus, ...]], log: logging.Logger) -> None:
        self._figures = FigureFolder(folder)
        self._workers = workers
        self._log = log
        self._access: Access | None = None
        self._server: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._wanted: tuple[int | None, AccessRules] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it answers; empty if it does not."""
        return f"http://{HOST}:{self.port}" if self.port else ""

    async def begin(self, port: int | None, rules: AccessRules) -> bool:
        """Answer at `port`, and return whether that is news; what hinders it is in the log, and hinders nothing else.

        Parameters
        ----------
        port
            0 takes a free one, None answers nowhere.
        rules
            Where the tokens are; metrics take one with the role admin.
        """
        if self._wanted == (port, rules):
            return False
        await self.end()
        self._wanted = (port, rules)
        if port is None:
            return True
        try:
            self._access = Access.of(rules)
            await self._listen(listen(HOST, port))
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
        try:
            reply = self._answer(Request(scope, receive, Limits()))
        except ModelyardError as error:
            reply = error_reply(error)
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.fields})
        await send({"type": "http.response.body", "body": reply.body})

    def _answer(self, request: Request) -> Reply:
        if self._access is not None:
            self._access.check(ADMIN, request.header(b"authorization"))
        if request.path not in ("/metrics", "/v2/statistics"):
            raise PathNotFound(request.path)
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
