"""The listening socket of a server, or of all workers of an endpoint."""

import errno
import socket
import time

from modelyard.serving.errors import AddressInvalid, PortTaken

__all__ = ["BACKLOG", "listen"]

BACKLOG = 2048
"""Connections that wait while all workers are busy."""


def listen(host: str, port: int, *, patience: float = 0.0) -> socket.socket:
    """Return a socket that listens on `host`; port 0 takes a free one.

    Parameters
    ----------
    host, port
        The address.
    patience
        Seconds to wait for whoever holds the port to end.

    Raises
    ------
    PortTaken
        Something else listens there.
    AddressInvalid
        It is no address of this machine, or not one for this user.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return _listen_now(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise AddressInvalid(host, port, error.strerror or str(error)) from error
            if time.monotonic() >= deadline:
                raise PortTaken(host, port) from error
            time.sleep(0.05)


def _listen_now(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
