"""Makes a span of each gRPC call, as `modelyard.serving.tracing` does of each HTTP request."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc

from modelyard.serving.rpc.schema import SERVICE
from modelyard.serving.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["TraceInterceptor"]

_OURS = frozenset(
    (
        *(grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS),
        *(grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.DEADLINE_EXCEEDED),
    )
)
"""What a call ends with if the server is to blame, as OpenTelemetry has it."""


class TraceInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Answers each call of the inference service within a span; steps are spans below it.

    The span is below that of the client if the call's metadata names one (``traceparent``).

    Parameters
    ----------
    tracing
        Makes the spans.
    graph
        How they call the graph.
    """

    def __init__(self, tracing: Tracing, graph: str) -> None:
        self._tracing = tracing
        self._graph = graph

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return who answers this call."""
        handler: Any = await continuation(handler_call_details)
        service, _, method = handler_call_details.method.lstrip("/").partition("/")
        if handler is None or service != SERVICE:
            return handler
        ends = handler.request_deserializer, handler.response_serializer
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(self._streamed(handler.stream_stream, method), *ends)
        return grpc.unary_unary_rpc_method_handler(self._answered(handler.unary_unary, method), *ends)

    def _answered(self, call: Callable[[Any, Any], Awaitable[Any]], method: str) -> Callable[[Any, Any], Any]:
        async def answered(request: Any, context: Any) -> Any:
            span = self._begin(method, context, getattr(request, "id", ""))
            try:
                with self._tracing.inside(span):
                    return await call(request, context)
            finally:
                self._end(span, context)

        return answered

    def _streamed(self, call: Callable[[Any, Any], AsyncIterator[Any]], method: str) -> Callable[[Any, Any], Any]:
        async def streamed(requests: Any, context: Any) -> AsyncIterator[Any]:
            span = self._begin(method, context, "")
            answers = call(requests, context)
            try:
                while True:
                    with self._tracing.inside(span):  # not around the yield: the block belongs to who works in it
                        answer = await anext(answers, None)
                    if answer is None:
                        return
                    yield answer
            finally:
                self._end(span, context)

        return streamed

    def _begin(self, method: str, context: Any, event: str) -> "Span":
        metadata = context.invocation_metadata() or ()
        headers = {name: value for name, value in metadata if isinstance(value, str)}
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": SERVICE,
            "rpc.method": method,
            "modelyard.graph": self._graph,
            "modelyard.event": event,
        }
        return self._tracing.begin(f"{method} {self._graph}", headers, attributes)

    def _end(self, span: "Span", context: Any) -> None:
        code = context.code() or grpc.StatusCode.OK
        status = code if isinstance(code, grpc.StatusCode) else _BY_NUMBER[code]
        span.set_attribute("rpc.grpc.status_code", status.value[0])
        if status in _OURS:
            self._tracing.failed(span)
        span.end()


_BY_NUMBER = {each.value[0]: each for each in grpc.StatusCode}
