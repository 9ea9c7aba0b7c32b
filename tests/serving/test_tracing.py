"""Spans of a real server, read from OpenTelemetry's own exporter in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from websockets.sync.client import connect

from modelyard.graphs import Graph, Resources
from modelyard.serving.local import LocalServer
from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.tracing import Tracing

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def half(body: Any) -> Any:
    return 10 / body


async def later(body: Any) -> Any:
    return body + 1


@contextmanager
def traced() -> Iterator[tuple[Callable[[], list[ReadableSpan]], LocalServer, ServingMetrics]]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    metrics = ServingMetrics(Tracing(provider))
    graph = Graph("halves")
    graph.to(half, name="half").to(later, name="later")
    plan = graph.open(metrics.watching(Resources()))
    with LocalServer(plan, metrics=metrics) as server:
        yield lambda: list(exporter.get_finished_spans()), server, metrics


def spans_of(*bodies: Any, headers: dict[str, str] | None = None) -> list[ReadableSpan]:
    with traced() as (spans, server, metrics):
        for body in bodies:
            httpx.post(server.url, json=body, headers=headers or {})
    assert metrics.tally().steps["half"].seconds.count == len(bodies)
    return spans()


def test_a_request_is_a_span_below_the_clients_and_each_step_one_below_it() -> None:
    headers = {"traceparent": f"00-{TRACE}-{CLIENT}-01", "x-request-id": "e7"}
    first, second, whole = spans_of(5, headers=headers)
    assert (first.name, second.name, whole.name, whole.kind) == ("half", "later", "POST halves", SpanKind.SERVER)
    assert whole.context is not None
    assert whole.parent is not None
    assert (format_trace_id(whole.context.trace_id), format_span_id(whole.parent.span_id)) == (TRACE, CLIENT)
    for step in (first, second):
        assert step.parent is not None
        assert step.parent.span_id == whole.context.span_id
        assert (whole.start_time or 0) <= (step.start_time or 0) <= (step.end_time or 0)
    assert dict(whole.attributes or {}) == {
        "http.request.method": "POST",
        "url.path": "/",
        "modelyard.graph": "halves",
        "modelyard.event": "e7",
        "http.response.status_code": 200,
    }


def test_an_error_is_in_the_spans_by_its_type_and_not_with_what_it_says() -> None:
    step, whole = spans_of(0)
    assert (step.name, step.status.status_code, dict(step.attributes or {})["error.type"]) == (
        "half",
        StatusCode.ERROR,
        "ZeroDivisionError",
    )
    assert (whole.status.status_code, dict(whole.attributes or {})["http.response.status_code"]) == (
        StatusCode.ERROR,
        500,
    )
    assert "division by zero" not in step.to_json() + whole.to_json()


def test_requests_without_a_trace_begin_one() -> None:
    traces = {span.context.trace_id for span in spans_of(1, 2) if span.context}
    assert len(traces) == 2


def test_each_message_of_a_conversation_is_a_span_below_that_of_the_handshake() -> None:
    with traced() as (spans, server, _):
        address = server.url.replace("http", "ws", 1)
        with connect(f"{address}/talk", additional_headers={"traceparent": f"00-{TRACE}-{CLIENT}-01"}) as client:
            for message in ("5", "0", "{"):
                client.send(message)
                client.recv(timeout=60)
    named = [(span.name, span.status.status_code) for span in spans()]
    assert named == [
        ("half", StatusCode.UNSET),
        ("later", StatusCode.UNSET),
        ("WEBSOCKET halves", StatusCode.UNSET),
        ("half", StatusCode.ERROR),
        ("WEBSOCKET halves", StatusCode.ERROR),
    ]
    half, later, first, _, second = spans()
    for whole in (first, second):
        assert whole.context is not None
        assert whole.parent is not None
        assert (format_trace_id(whole.context.trace_id), format_span_id(whole.parent.span_id)) == (TRACE, CLIENT)
        attributes = dict(whole.attributes or {})
        assert attributes.pop("modelyard.event")
        assert attributes == {"url.path": "/talk", "modelyard.graph": "halves"}
    assert first.context is not None
    assert [step.parent.span_id for step in (half, later) if step.parent] == [first.context.span_id] * 2
    assert (first.attributes or {})["modelyard.event"] != (second.attributes or {})["modelyard.event"]
