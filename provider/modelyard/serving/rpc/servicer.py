"""The service's calls, carried over gRPC: messages in, the one inference service asked, messages out."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from time import monotonic, perf_counter
from typing import Any, NamedTuple, NoReturn

import grpc
from google.protobuf.message import DecodeError

from modelyard.errors import ErrorKind, ModelyardError, outcome_of
from modelyard.serving.errors import HttpRefusal
from modelyard.serving.inference.errors import InferenceRefused
from modelyard.serving.inference.service import InferenceService
from modelyard.serving.rpc.schema import METHODS, SERVICE, message_class
from modelyard.serving.rpc.tensors import parameters_of, read_infer, write_infer

__all__ = ["Servicer", "service_handler", "status_of"]

_LOG = logging.getLogger("modelyard.serving.rpc")
Context = Any
"""``grpc.aio.ServicerContext``, which has no usable types."""
Answered = Callable[[str, str, float], None]
_MOST = 1000
"""How long a text about an error is at most: clients take 8 KiB of metadata, and nothing of more."""


def status_of(error: BaseException) -> grpc.StatusCode:
    """Return the gRPC status of an error, by its kind.

    Examples
    --------
    >>> from modelyard.serving.inference import TensorInvalid
    >>> status_of(TensorInvalid("x", "no")).name, status_of(ValueError()).name
    ('INVALID_ARGUMENT', 'INTERNAL')
    """
    if isinstance(error, HttpRefusal) and error.kind is ErrorKind.INVALID:
        return grpc.StatusCode.INVALID_ARGUMENT
    kind = error.error_kind if isinstance(error, ModelyardError) else ErrorKind.INTERNAL
    return grpc.StatusCode[outcome_of(kind).grpc]


class RpcCaller(NamedTuple):
    """Who makes a call, in the terms of an HTTP request."""

    path: str
    headers: Mapping[str, str]
    deadline: float | None


class Servicer:
    """Answers the calls of ``inference.GRPCInferenceService``.

    Parameters
    ----------
    service
        Who knows the answers.
    """

    def __init__(self, service: InferenceService) -> None:
        self._service = service

    async def server_live(self, request: Any, context: Context) -> Any:
        """Answer: somebody is here."""
        return _message("ServerLiveResponse", live=True)

    async def server_ready(self, request: Any, context: Context) -> Any:
        """Answer whether every model is loaded."""
        return _message("ServerReadyResponse", ready=self._service.ready())

    async def model_ready(self, request: Any, context: Context) -> Any:
        """Answer whether one model is loaded."""
        return _message("ModelReadyResponse", ready=self._service.model_ready(request.name, request.version))

    async def server_metadata(self, request: Any, context: Context) -> Any:
        """Answer who serves."""
        return _message("ServerMetadataResponse", **self._service.server()._asdict())

    async def model_metadata(self, request: Any, context: Context) -> Any:
        """Answer what goes into a model and comes out."""
        known = self._service.model(request.name, request.version)
        inputs, outputs = ([each._asdict() for each in tensors] for tensors in (known.inputs, known.outputs))
        return _message("ModelMetadataResponse", **{**known._asdict(), "inputs": inputs, "outputs": outputs})

    async def model_infer(self, request: Any, context: Context) -> Any:
        """Answer one request."""
        asked, raw = read_infer(request)
        caller = _caller(context, request)
        response = await self._service.infer(request.model_name, request.model_version, asked, caller)
        return write_infer(response, raw=raw)

    async def model_stream_infer(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        """Answer each request of a stream with one or more responses, in the order of the requests."""
        async for request in requests:
            asked, raw = read_infer(request)
            caller = _caller(context, request)
            answers = self._service.stream(request.model_name, request.model_version, asked, caller)
            async for response in answers:
                yield write_infer(response, raw=raw)

    async def repository_index(self, request: Any, context: Context) -> Any:
        """Answer which models there are."""
        states = self._service.index(ready=request.ready)
        return _message("RepositoryIndexResponse", models=[each._asdict() for each in states])

    async def repository_model_load(self, request: Any, context: Context) -> Any:
        """Load a model anew."""
        await self._service.load(request.model_name, parameters_of(request.parameters))
        return _message("RepositoryModelLoadResponse")

    async def repository_model_unload(self, request: Any, context: Context) -> Any:
        """Stop serving a model."""
        await self._service.unload(request.model_name)
        return _message("RepositoryModelUnloadResponse")


def service_handler(servicer: Servicer, answered: Answered | None = None) -> grpc.GenericRpcHandler:
    """Return what a gRPC server needs to route the service's calls to `servicer`.

    Parameters
    ----------
    servicer
        Who answers.
    answered
        Is told protocol, status and seconds of each inference.
    """
    told = answered or _nobody
    calls: dict[str, Callable[..., Any]] = {
        "ServerLive": servicer.server_live,
        "ServerReady": servicer.server_ready,
        "ModelReady": servicer.model_ready,
        "ServerMetadata": servicer.server_metadata,
        "ModelMetadata": servicer.model_metadata,
        "ModelInfer": servicer.model_infer,
        "ModelStreamInfer": servicer.model_stream_infer,
        "RepositoryIndex": servicer.repository_index,
        "RepositoryModelLoad": servicer.repository_model_load,
        "RepositoryModelUnload": servicer.repository_model_unload,
    }
    handlers: dict[str, Any] = {}
    for name, method in METHODS.items():
        ends: dict[str, Any] = {
            "request_deserializer": _reader(message_class(method.request)),
            "response_serializer": message_class(method.response).SerializeToString,
        }
        if method.streams:
            handlers[name] = grpc.stream_stream_rpc_method_handler(_streamed(calls[name], told), **ends)
        else:
            counted = told if name == "ModelInfer" else _nobody
            handlers[name] = grpc.unary_unary_rpc_method_handler(_answered(calls[name], counted), **ends)
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


class _Unreadable(NamedTuple):
    """Bytes that are no message; gRPC itself would blame the server for them."""

    raw: bytes

    def SerializeToString(self) -> bytes:  # noqa: N802 (as messages have it)
        return self.raw


def _reader(kind: Any) -> Callable[[bytes], Any]:
    def read(raw: bytes) -> Any:
        try:
            return kind.FromString(raw)
        except DecodeError:
            return _Unreadable(raw)

    return read


def _checked(request: Any) -> Any:
    if type(request) is _Unreadable:
        raise InferenceRefused(f"its {len(request.raw)} bytes are no message of the protocol")
    return request


async def _all_checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)


def _answered(
    call: Callable[[Any, Context], Awaitable[Any]], told: Answered
) -> Callable[[Any, Context], Awaitable[Any]]:
    async def answered(request: Any, context: Context) -> Any:
        begun, status = perf_counter(), "CANCELLED"
        try:
            answer = await call(_checked(request), context)
            status = "OK"
            return answer
        except Exception as error:  # noqa: BLE001 (a client gets a status, whatever happens)
            status = status_of(error).name
            await _abort(error, context)
        finally:
            told("grpc", status, perf_counter() - begun)

    return answered


def _streamed(
    call: Callable[[Any, Context], AsyncIterator[Any]], told: Answered
) -> Callable[[Any, Context], AsyncIterator[Any]]:
    async def streamed(requests: Any, context: Context) -> AsyncIterator[Any]:
        begun, status = perf_counter(), "CANCELLED"
        try:
            async for response in call(_all_checked(requests), context):
                yield response
            status = "OK"
        except Exception as error:  # noqa: BLE001 (a client gets a status, whatever happens)
            status = status_of(error).name
            await _abort(error, context)
        finally:
            told("grpc", status, perf_counter() - begun)

    return streamed


async def _abort(error: Exception, context: Context) -> NoReturn:
    status = status_of(error)
    if isinstance(error, ModelyardError):
        if status in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
            _LOG.error("%s", error, exc_info=error)
        told = ((f"x-{name}", error.facts.get(name)) for name in ("graph", "step", "event"))
        trailers = tuple((name, _printable(str(fact))) for name, fact in told if fact)
        await context.abort(status, str(error)[:_MOST], trailers)
    else:
        _LOG.error("a call failed", exc_info=error)
        await context.abort(status, "the server failed; see its log")
    raise AssertionError("abort has raised")


def _printable(text: str) -> str:
    """Return a text as metadata can have it: what is anything else ends the call without its status."""
    return "".join(each if " " <= each <= "~" else "?" for each in text[:_MOST])


def _nobody(protocol: str, status: str, seconds: float) -> None:
    """Count nothing."""


def _message(name: str, /, **fields: Any) -> Any:
    return message_class(name)(**fields)


def _caller(context: Context, request: Any) -> RpcCaller:
    left = context.time_remaining()
    headers = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
    deadline = None if left is None or left > _ETERNITY else monotonic() + left
    version = f"/versions/{request.model_version}" if request.model_version else ""
    return RpcCaller(f"/v2/models/{request.model_name}{version}/infer", headers, deadline)


_ETERNITY = 10**8
"""Seconds; what gRPC calls no deadline is a very late one."""
