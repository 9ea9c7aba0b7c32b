"""The ports of an endpoint: one listening socket for HTTP that all workers share, and a reserved port for gRPC."""

import secrets
import select
import socket
from pathlib import Path
from typing import NamedTuple

from modelyard.deploy.local.settings import ServingSettings
from modelyard.serving.errors import AddressInvalid, PortTaken
from modelyard.serving.server_socket import BACKLOG, listen

__all__ = ["InnerSockets", "Ports"]

_FROM_BUNDLE = "../../../sockets"
"""The way from where a worker runs to the local sockets."""


class Ports:
    """Holds the ports of an endpoint as long as its supervisor lives.

    HTTP has one listening socket: a worker that is killed takes no waiting connection with it. gRPC's library listens
    by itself, so there each worker has a socket of its own on the same port (``SO_REUSEPORT``), and a client's
    channel that waited for a killed worker connects anew. The supervisor holds the number with a socket that is bound
    and does not listen.

    Parameters
    ----------
    listener
        The socket for HTTP.
    reserved
        The socket that holds gRPC's port; None without gRPC.
    settings
        What they were opened for.
    """

    def __init__(self, listener: socket.socket, reserved: socket.socket | None, settings: ServingSettings) -> None:
        self.listener = listener
        self._reserved = reserved
        self._wanted = (settings.host, settings.grpc_port)
        self._host = settings.host

    @classmethod
    def open(
        cls,
        settings: ServingSettings,
        port: int,
        grpc_port: int,
        *,
        chosen: bool = True,
        patience: float = 0.0,
        before: "Ports | None" = None,
    ) -> "Ports":
        """Open the ports.

        Parameters
        ----------
        settings
            The address, and whether gRPC is wanted.
        port
            The port of HTTP; 0 takes a free one.
        grpc_port
            The port that gRPC had, for settings that do not choose one.
        chosen
            Whether it must be `port`, or another one will do.
        patience
            Seconds to wait for whoever holds the port to end.
        before
            The ports of now, whose socket is used on where it is the same.

        Raises
        ------
        PortTaken, AddressInvalid
            They cannot be had.
        """
        if before and before.listener.getsockname()[:2] == (settings.host, port):
            listener = before.listener.dup()
        else:
            try:
                listener = listen(settings.host, port, patience=patience)
            except PortTaken:
                if chosen:
                    raise
                listener = listen(settings.host, 0)
        try:
            reserved = _reserve(settings, grpc_port)
        except BaseException:
            listener.close()
            raise
        return cls(listener, reserved, settings)

    @property
    def port(self) -> int:
        """Where HTTP is answered."""
        number: int = self.listener.getsockname()[1]
        return number

    @property
    def grpc_port(self) -> int:
        """Where gRPC is answered; 0 if it is not."""
        number: int = self._reserved.getsockname()[1] if self._reserved else 0
        return number

    @property
    def grpc(self) -> str:
        """Where gRPC is answered, as ``host:port``; empty if it is not."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.grpc_port}" if self._reserved else ""

    def suit(self, settings: ServingSettings, port: int) -> bool:
        """Return whether these are the ports that the settings want."""
        return (settings.host, settings.grpc_port) == self._wanted and self.listener.getsockname()[1] == port

    def somebody_waits(self) -> bool:
        """Return whether a connection waits to be accepted."""
        return bool(select.select([self.listener], [], [], 0)[0])

    def close(self) -> None:
        """Give the ports up."""
        self.listener.close()
        if self._reserved:
            self._reserved.close()


def _reserve(settings: ServingSettings, kept: int) -> socket.socket | None:
    if settings.grpc_port is None:
        return None
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    reserved = socket.socket(family, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    for port in (settings.grpc_port,) if settings.grpc_port else (kept, 0):
        try:
            reserved.bind((settings.host, port))
        except PermissionError as error:
            reserved.close()
            raise AddressInvalid(settings.host, port, error.strerror or str(error)) from error
        except OSError:
            continue
        return reserved
    reserved.close()
    raise PortTaken(settings.host, settings.grpc_port)


class InnerSockets(NamedTuple):
    """Where the workers of a revision that is tried take what the stable ones hand on.

    Paths are relative to where workers run: that of a local socket has at most 107 bytes.

    Parameters
    ----------
    listener
        The socket for HTTP that they share.
    http
        Its path.
    rpc
        The path of each worker's own socket for gRPC.
    pattern
        The same, with ``{}`` for the worker's number.
    """

    listener: socket.socket
    http: str
    rpc: tuple[str, ...]
    pattern: str

    @classmethod
    def open(cls, folder: Path, revision: str, workers: int) -> "InnerSockets":
        """Open the sockets in `folder`, which must be the one called ``sockets`` in the current folder."""
        folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{revision[:8]}-{secrets.token_hex(2)}"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"sockets/{name}.http")
        listener.listen(BACKLOG)
        listener.setblocking(False)
        pattern = f"{_FROM_BUNDLE}/{name}-{{}}.rpc"
        rpc = tuple(pattern.format(number) for number in range(workers))
        return cls(listener, f"{_FROM_BUNDLE}/{name}.http", rpc, pattern)
