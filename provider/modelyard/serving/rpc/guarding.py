"""Refuses gRPC calls of those who may not make them, as HTTP requests are refused."""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc

from modelyard.serving.access import ADMIN, INFER, Access
from modelyard.serving.errors import AccessRefused, RoleMissing
from modelyard.serving.rpc.schema import SERVICE

__all__ = ["AccessInterceptor"]

_ADMIN = {f"/{SERVICE}/RepositoryModelLoad", f"/{SERVICE}/RepositoryModelUnload"}
_OPEN = {f"/{SERVICE}/ServerLive", f"/{SERVICE}/ServerReady"}
_HEALTH = "/grpc.health.v1.Health/"


class AccessInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Looks at each call's ``authorization``; probes pass without.

    Parameters
    ----------
    access
        Who may do what.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return who answers this call: the one who knows, or one who refuses."""
        details: Any = handler_call_details
        said = next((value for name, value in details.invocation_metadata if name == "authorization"), "")
        try:
            self._access.check(_role(details.method), said if isinstance(said, str) else "")
        except AccessRefused as error:
            return _refusing(await continuation(handler_call_details), error)
        return await continuation(handler_call_details)


def _role(method: str) -> str:
    if method in _OPEN or method.startswith(_HEALTH):
        return ""
    return ADMIN if method in _ADMIN else INFER


def _refusing(handler: Any, error: AccessRefused) -> Any:
    status = grpc.StatusCode.PERMISSION_DENIED if isinstance(error, RoleMissing) else grpc.StatusCode.UNAUTHENTICATED

    async def refuse(asked: Any, context: Any) -> NoReturn:
        await context.abort(status, str(error), (("www-authenticate", error.challenge),))
        raise AssertionError("abort has raised")

    if handler is None:
        return None
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    return make(refuse, handler.request_deserializer, handler.response_serializer)
