"""Spans of gRPC calls, made by a client of another server, read from OpenTelemetry's own exporter in memory."""

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from tritonclient.grpc import InferenceServerClient, InferInput, service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from modelyard.graphs import EventInvalid, Graph, Resources
from modelyard.serving.local import LocalServer
from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.tracing import Tracing

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def check(body: Any) -> Any:
    if body["x"] == 1:
        raise EventInvalid("is not 1", field="x")
    return body


def inverse(body: Any) -> Any:
    return 10 / body["x"]


def count(body: Any) -> Iterator[Any]:
    yield from range(body["x"])


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def serving(exporter: InMemorySpanExporter, graph: Graph) -> LocalServer:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    metrics = ServingMetrics(Tracing(provider))
    return LocalServer(graph.open(metrics.watching(Resources())), metrics=metrics, grpc_port=0)


def tensor(number: int) -> InferInput:
    found = InferInput("x", [1], "INT64")
    found.set_data_from_numpy(np.array([number]))
    return found


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_call_is_a_span_below_the_clients_and_each_step_one_below_it(exporter: InMemorySpanExporter) -> None:
    graph = Graph("inverses")
    graph.to(check).to(inverse)
    with serving(exporter, graph) as server:
        client = InferenceServerClient(server.grpc_address)
        headers = {"traceparent": f"00-{TRACE}-{CLIENT}-01"}
        client.infer("inverses", [tensor(4)], headers=headers, request_id="e7")
        client.close()
    first, second, whole = exporter.get_finished_spans()
    assert (first.name, second.name, whole.name, whole.kind) == (
        *("check", "inverse", "ModelInfer inverses"),
        SpanKind.SERVER,
    )
    assert whole.context is not None
    assert whole.parent is not None
    assert (format_trace_id(whole.context.trace_id), format_span_id(whole.parent.span_id)) == (TRACE, CLIENT)
    assert {step.parent.span_id for step in (first, second) if step.parent} == {whole.context.span_id}
    assert told(whole)["modelyard.event"] == "e7"
    assert (told(whole)["rpc.grpc.status_code"], whole.status.status_code) == (0, StatusCode.UNSET)


@pytest.mark.parametrize(
    ("number", "code", "status"),
    [(0, grpc.StatusCode.UNKNOWN, StatusCode.ERROR), (1, grpc.StatusCode.INVALID_ARGUMENT, StatusCode.UNSET)],
)
def test_a_call_that_fails_says_who_is_to_blame_and_not_what_was_said(
    exporter: InMemorySpanExporter, number: int, code: grpc.StatusCode, status: StatusCode
) -> None:
    graph = Graph("inverses")
    graph.to(check).to(inverse)
    with serving(exporter, graph) as server:
        client = InferenceServerClient(server.grpc_address)
        with pytest.raises(InferenceServerException, match=code.name):
            client.infer("inverses", [tensor(number)])
        client.close()
    *steps, whole = exporter.get_finished_spans()
    assert (told(whole)["rpc.grpc.status_code"], whole.status.status_code) == (code.value[0], status)
    assert told(steps[-1])["error.type"] == {0: "ZeroDivisionError", 1: "EventInvalid"}[number]
    assert "division by zero" not in whole.to_json() + steps[-1].to_json()


def test_a_stream_is_one_span_and_probes_are_none(exporter: InMemorySpanExporter) -> None:
    graph = Graph("counting")
    graph.to(check).to(count)
    with serving(exporter, graph) as server, grpc.insecure_channel(server.grpc_address) as channel:
        asked = service_pb2.ModelInferRequest(model_name="counting", id="e9")
        entry = asked.inputs.add(name="x", datatype="INT64", shape=[1])
        entry.contents.int64_contents.append(3)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        answers = list(
            channel.stream_stream(
                "/inference.GRPCInferenceService/ModelStreamInfer",
                request_serializer=service_pb2.ModelInferRequest.SerializeToString,
                response_deserializer=service_pb2.ModelInferResponse.FromString,
            )(iter([asked]), metadata=(("traceparent", f"00-{TRACE}-{CLIENT}-01"),))
        )
        assert len(answers) == 3
        assert stub.ServerLive(service_pb2.ServerLiveRequest()).live
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status == 1
    names = [span.name for span in exporter.get_finished_spans()]
    assert names == ["check", "ModelStreamInfer counting", "ServerLive counting"]
    step, whole = exporter.get_finished_spans()[:2]
    assert whole.context is not None
    assert step.parent is not None
    assert (step.parent.span_id, format_trace_id(whole.context.trace_id)) == (whole.context.span_id, TRACE)
