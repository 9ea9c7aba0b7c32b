"""Takes connections from a listening socket that several processes share, such that each gets its part of them.

The kernel wakes all of them for each connection, and a server that takes what it finds takes nearly all of a burst:
with connections that stay, one process then works for the others. So each takes a few at once, and waits the longer
before it takes more, the more it has.
"""

import asyncio
import errno
import logging
import socket
import struct
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

__all__ = ["Acceptor"]

STEP, MOST = 0.0001, 8
"""Seconds to wait for each connection that a process has; how many of them count."""
PART = 4
"""What a process takes at once is one of so many parts of those that wait."""
PAUSE = 1.0
"""Seconds to wait while there is no room for another connection."""
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_INFO = struct.Struct("=24xI")
"""Where Linux says of a listening socket how many connections wait: ``tcpi_unacked`` of ``tcp_info``."""
_LOG = logging.getLogger("modelyard.serving")


class Acceptor:
    """Accepts connections until it is closed.

    Parameters
    ----------
    listener
        The listening socket, which does not block; it is the acceptor's own descriptor.
    begin
        Serves one connection.
    count
        Tells how many connections this process has.
    """

    def __init__(
        self,
        listener: socket.socket,
        begin: Callable[[socket.socket], Coroutine[Any, Any, Any]],
        count: Callable[[], int],
    ) -> None:
        self._listener = listener
        self._begin, self._count = begin, count
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._beginning: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._listen()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening socket, as servers of asyncio tell it."""
        return () if self._closed else (self._listener,)

    def close(self) -> None:
        """Accept no more, and close this process's descriptor."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    async def wait_closed(self) -> None:
        """Do nothing: it is closed at once; as servers of asyncio have it."""

    def _listen(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener, self._notice)

    def _notice(self) -> None:
        """Take some connections, now or in a moment."""
        count = self._count() + len(self._beginning)
        if count:
            self._wait(STEP * min(count, MOST), self._resume)
        else:
            self._take()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(seconds, then)

    def _resume(self) -> None:
        self._listen()
        self._take()

    def _take(self) -> None:
        for _ in range(-(-_waiting(self._listener) // PART)):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return  # a sibling was faster, or the client has left
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                _LOG.error("no connection can be accepted: %s", error)
                self._wait(PAUSE, self._listen)
                return
            self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        with suppress(OSError):  # a local socket has no such thing
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._begun(connection))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _begun(self, connection: socket.socket) -> None:
        try:
            await self._begin(connection)
        except OSError as error:  # of TLS, too: the client speaks something else, or has left
            _LOG.debug("a connection did not come about: %s", error)
            connection.close()


def _waiting(listener: socket.socket) -> int:
    """Return how many connections wait; 1, which is all that is known, where the kernel does not tell."""
    if not sys.platform.startswith("linux"):
        return 1
    try:
        told = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except OSError:  # a local socket
        return 1
    waiting: int = _INFO.unpack(told)[0]
    return max(1, waiting)
