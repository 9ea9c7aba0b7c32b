"""A uvicorn server that can take over a listening socket, and give it up without a lost request."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

import uvicorn

from modelyard.serving.acceptor import Acceptor
from modelyard.serving.application import Application
from modelyard.serving.connections import Connections, HttpConnection, LocalConnection
from modelyard.serving.server_socket import BACKLOG

__all__ = ["GraphServer", "loop_factory"]

KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than clients keep theirs, so that they are the ones to close."""
_TICK = 0.02


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop that a server runs on: uvloop's where it is installed."""
    # whoever makes a configuration sets up uvicorn's log, if it does not say that it must not
    return uvicorn.Config("", log_config=None, access_log=False).get_loop_factory()


class GraphServer(uvicorn.Server):
    """Serves one application on sockets that it is given while it runs.

    Parameters
    ----------
    application
        What answers.
    tls
        What connections from outside are encrypted with; None is plain text.
    """

    def __init__(self, application: Application, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.application = application
        super().__init__(
            uvicorn.Config(
                cast("Any", application),
                interface="asgi3",
                lifespan="off",
                http=HttpConnection,
                ws="websockets-sansio",
                ws_max_size=application.limits.body,
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                backlog=BACKLOG,
            )
        )
        application.traffic.count = self._requests
        self._connections = Connections(application.limits.seconds, KEEP_ALIVE)

    async def begin(self) -> "asyncio.Task[None]":
        """Start without a socket; return the task that keeps time until `should_exit`."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[])
        return asyncio.create_task(self.main_loop())

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second, and look for clients that are too slow."""
        self._connections.look(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def accept_from(self, listener: socket.socket, *, local: bool = False) -> None:
        """Take connections from `listener` from now on; it may be shared with other processes.

        Parameters
        ----------
        listener
            The socket.
        local
            Whether it is for sibling processes: what comes from there is not encrypted, and is greeted.
        """
        make, tls = (self._local, None) if local else (self._protocol, self._tls)
        loop = asyncio.get_running_loop()

        async def begin(connection: socket.socket) -> None:
            await loop.connect_accepted_socket(make, connection, ssl=tls)

        acceptor = Acceptor(listener, begin, lambda: len(self.server_state.connections))
        self.servers.append(cast("Any", acceptor))

    async def attach(self, connection: socket.socket) -> None:
        """Answer the requests that arrive on one connection that exists already, and that nobody else has."""
        await asyncio.get_running_loop().connect_accepted_socket(self._unguarded, connection)

    def stop_accepting(self) -> None:
        """Take no further connections; those that exist are asked, with their next answer, to go elsewhere."""
        self.application.draining = True
        for server in self.servers:
            server.close()

    async def drain(self, *, idle: float, limit: float) -> bool:
        """Wait until every connection has had its answer, and return whether all did.

        Parameters
        ----------
        idle
            Seconds that a silent connection is left open: closing it could cross a request that is on its way.
        limit
            Seconds after which those that still work are given up.
        """
        self.stop_accepting()
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(_TICK * 5)  # what was accepted just now is not counted yet
        while self.server_state.connections and loop.time() - start < limit:
            if loop.time() - start >= idle:
                for connection in list(self.server_state.connections):
                    connection.shutdown()
            await asyncio.sleep(_TICK)
        return not self.server_state.connections

    def _requests(self) -> int:
        return len(self.server_state.tasks)  # also those whose task has not begun to run

    def _unguarded(self) -> asyncio.Protocol:
        protocol = cast("Any", self._protocol())
        protocol.app = self.application.unguarded()
        return cast("asyncio.Protocol", protocol)

    def _protocol(self) -> asyncio.Protocol:
        return HttpConnection(self.config, self.server_state, {})

    def _local(self) -> asyncio.Protocol:
        return LocalConnection(self.config, self.server_state, {})
