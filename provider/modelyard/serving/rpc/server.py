"""A gRPC server for one inference service, with the health service and reflection that clients of the field expect."""

import asyncio
from collections.abc import Callable, Sequence

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from modelyard.serving.errors import PortTaken
from modelyard.serving.inference.service import InferenceService
from modelyard.serving.rpc.leaving import AGE, listeners, stop_listening, wait_left
from modelyard.serving.rpc.schema import SERVICE, file_descriptor
from modelyard.serving.rpc.servicer import Servicer, service_handler

__all__ = ["RpcServer"]


class RpcServer:
    """Answers gRPC calls until it is stopped; to be used within a running event loop.

    Parameters
    ----------
    service
        Who knows the answers.
    host, port
        Where to listen; port 0 takes a free one. This machine only, unless you say otherwise.
    message_limit
        The largest message, in bytes.
    credentials
        TLS, and whose certificates are asked for; none is plain text.
    interceptors
        What looks at calls before they are answered.
    share_port
        Whether sibling processes listen on the same port: each connection goes to one of them.
    path
        The path of a local socket to listen on instead of `host` and `port`.
    answered
        Is told protocol, status and seconds of each inference.

    Attributes
    ----------
    port
        Where it listens, once it has started.
    """

    def __init__(
        self,
        service: InferenceService,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        message_limit: int = 16 * 1024 * 1024,
        credentials: grpc.ServerCredentials | None = None,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        share_port: bool = False,
        path: str = "",
        answered: Callable[[str, str, float], None] | None = None,
    ) -> None:
        self._answered = answered
        self._service = service
        self._path = path
        self._address = f"[{host}]" if ":" in host else host
        self._credentials = credentials
        self._shared = share_port and not path
        self._listeners = frozenset[int]()
        options = [
            ("grpc.max_receive_message_length", message_limit),
            ("grpc.max_send_message_length", message_limit),
            ("grpc.so_reuseport", int(share_port)),  # two servers on one port each get a part of the connections
        ]
        if self._shared:
            options.append(("grpc.max_connection_age_ms", int(AGE * 1000)))
        self._server = grpc.aio.server(interceptors=list(interceptors), options=options)
        self._health = health.aio.HealthServicer()
        self.port = port

    async def start(self) -> None:
        """Listen, and say so to the health service.

        Raises
        ------
        PortTaken
            Something else listens there.
        """
        server = self._server
        server.add_generic_rpc_handlers((service_handler(Servicer(self._service), self._answered),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server, pool=_reflected())
        address = f"unix:{self._path}" if self._path else f"{self._address}:{self.port}"
        before = listeners(self.port) if self._shared else frozenset[int]()
        try:
            if self._credentials is None:
                self.port = server.add_insecure_port(address)
            else:
                self.port = server.add_secure_port(address, self._credentials)
        except RuntimeError:
            raise PortTaken(self._address, self.port) from None
        await server.start()
        if self._shared:
            self._listeners = listeners(self.port) - before
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, limit: float) -> None:
        """Take no further connections, let clients go to the siblings, and give calls under way `limit` seconds."""
        await self._health.enter_graceful_shutdown()
        clock = asyncio.get_running_loop().time
        end = clock() + limit
        if self._listeners:
            stop_listening(self._listeners)
            await wait_left(self.port, min(limit, 2 * AGE))
        await self._server.stop(max(end - clock(), 0.0))


def _reflected() -> DescriptorPool:
    """Return a pool for reflection: the protocol beside the services that live in protobuf's default pool."""
    from grpc_reflection.v1alpha import reflection_pb2

    pool = DescriptorPool()
    pool.Add(file_descriptor())
    for module in (health_pb2, reflection_pb2):
        copied = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(copied)
        pool.Add(copied)
    return pool
