"""How a gRPC server leaves a port that siblings share without a failed call.

To stop a server at once cancels calls that are on their way to it, and its clients are told so. But a connection that
is old is left in peace: the client is asked to open another one, and what is on its way is answered. So connections
never get old here, and a server that leaves takes no new ones, waits until the last one was asked, and stops then.
gRPC has no call for the first part, so that the listening sockets are found among those of this process.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["AGE", "listeners", "stop_listening", "wait_left"]

AGE = 4.0
"""Seconds after which a client is asked to connect anew; which of the siblings it gets then is chance."""
_TICK = 0.05


def listeners(port: int) -> frozenset[int]:
    """Return the descriptors of this process's sockets that listen on `port`."""
    return frozenset(descriptor for descriptor, listens in _sockets(port) if listens)


def stop_listening(descriptors: frozenset[int]) -> None:
    """Let these sockets take no further connections; connections that they took stay."""
    for descriptor in descriptors:
        with suppress(OSError), _borrowed(descriptor) as listener:
            listener.shutdown(socket.SHUT_RDWR)


async def wait_left(port: int, limit: float) -> bool:
    """Wait at most `limit` seconds until this process has no connection to `port`; return whether it has none."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    while any(not listens for _, listens in _sockets(port)):
        if loop.time() >= end:
            return False
        await asyncio.sleep(_TICK)
    return True


def _sockets(port: int) -> Iterator[tuple[int, bool]]:
    """Yield this process's sockets whose own end is `port`, and whether they listen."""
    folder = Path("/dev/fd")
    if not folder.is_dir():
        return
    for descriptor in [int(each.name) for each in folder.iterdir()]:
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with _borrowed(descriptor) as found:
                if found.family not in (socket.AF_INET, socket.AF_INET6) or found.getsockname()[1] != port:
                    continue
                listens = bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
                if listens or found.getpeername():  # which raises where there is nobody at the other end
                    yield descriptor, listens


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    with socket.socket(fileno=os.dup(descriptor)) as found:
        yield found
