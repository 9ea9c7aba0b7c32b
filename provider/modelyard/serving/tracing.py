"""Spans of OpenTelemetry: one for each request, and one for each call of a step in it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from time import time_ns
from typing import TYPE_CHECKING, Any

from modelyard.graphs import LibraryMissing
from modelyard.serving.asgi import Message, Receive, Scope, Send
from modelyard.serving.event_ids import MOST

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["Tracing"]

_SERVER_ERROR = 500


class Tracing:
    """Makes the spans; a `modelyard.graphs.StepObserver`, so it opens with the graph.

    What a request or a step carries is in no span: names, times, statuses and the types of errors are.

    Parameters
    ----------
    provider
        Whose spans they are; None is the process's own, as OpenTelemetry is set up there.

    Raises
    ------
    LibraryMissing
        OpenTelemetry is not installed.
    """

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ModuleNotFoundError as error:
            raise LibraryMissing("opentelemetry", "traces", "otel") from error
        self._trace = trace
        self._tracer = trace.get_tracer("modelyard.serving", tracer_provider=provider)
        self._extract = TraceContextTextMapPropagator().extract

    def around(self, application: Any, graph: str) -> Any:
        """Return an ASGI application that answers with another one, each HTTP request within a span.

        The span is below that of the client if the request names one (``traceparent``).

        Parameters
        ----------
        application
            What answers.
        graph
            How spans call it.
        """

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await application(scope, receive, send)
                return
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            attributes = {
                "http.request.method": scope["method"],
                "url.path": scope["path"],
                "modelyard.graph": graph,
                "modelyard.event": headers.get("x-request-id", "")[:MOST],
            }
            with self.inside(self.begin(f"{scope['method']} {graph}", headers, attributes), ends=True) as span:

                async def watched(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                        if message["status"] >= _SERVER_ERROR:
                            self.failed(span)
                    await send(message)

                await application(scope, receive, watched)

        return traced

    def begin(self, name: str, headers: Mapping[str, str], attributes: Mapping[str, str]) -> "Span":
        """Return the span of a request, below that of the client if the headers name one; whoever asks ends it.

        Parameters
        ----------
        name
            The span's.
        headers
            Of the request; lower-case names.
        attributes
            What is known of it; those without a value are left out.
        """
        known = {key: value for key, value in attributes.items() if value}
        return self._tracer.start_span(name, self._extract(headers), self._trace.SpanKind.SERVER, known)

    def inside(self, span: "Span", *, ends: bool = False) -> "AbstractContextManager[Span]":
        """Return the block within which steps belong to a request's span; with `ends` the span ends with the block."""
        return self._trace.use_span(span, end_on_exit=ends, record_exception=False, set_status_on_exception=False)

    def failed(self, span: "Span") -> None:
        """Mark a span as one of an error that is the server's."""
        span.set_status(self._trace.StatusCode.ERROR)

    def step(self, name: str) -> Callable[[float, BaseException | None], None]:
        """Return what makes a span of each call of a step that belongs to a request."""
        trace, tracer = self._trace, self._tracer

        def observe(seconds: float, error: BaseException | None) -> None:
            if not trace.get_current_span().is_recording():
                return
            now = time_ns()
            span = tracer.start_span(name, start_time=now - int(seconds * 1e9), attributes={"modelyard.step": name})
            if error is not None:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(trace.StatusCode.ERROR)
            span.end(now)

        return observe
