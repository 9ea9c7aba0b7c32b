"""The ports of an endpoint: one listening socket for HTTP that all workers share, and a reserved port for gRPC."""

import select
import socket

from modelyard.deploy.local.settings import ServingSettings
from modelyard.serving.errors import AddressInvalid, PortTaken
from modelyard.serving.server_socket import listen

__all__ = ["Ports"]


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
        except OSError as error:
            failure = error
        else:
            return reserved
    reserved.close()
    if isinstance(failure, PermissionError):
        raise AddressInvalid(settings.host, settings.grpc_port, failure.strerror or str(failure))
    raise PortTaken(settings.host, settings.grpc_port)
