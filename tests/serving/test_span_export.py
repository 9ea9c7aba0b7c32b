"""Spans reach a collector that speaks OTLP: from this process, and from the workers of an endpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from collector import attributes_of, collecting
from probe_endpoint import order_for
from tritonclient.grpc import InferenceServerClient, InferInput

from modelyard.deploy.errors import SettingInvalid
from modelyard.deploy.local.records import Deployed, EndpointFolder, read_json
from modelyard.deploy.local.settings import serving_settings
from modelyard.deploy.local.target import LocalTarget
from modelyard.graphs import Graph, Resources
from modelyard.serving.local import LocalServer
from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.span_export import SpanExport
from modelyard.serving.trace_rules import TraceRules, rules_in_force

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ROWS = """
def answer(body):
    return {"double": body["x"] * 2}
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    LocalTarget().undeploy("delays", tmp_path / "state", 10)


def test_what_the_rules_leave_open_the_variables_decide() -> None:
    own = TraceRules("http://a:1", share=0.5)
    base = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:2/v1/traces"}
    assert rules_in_force(own, {}) == own
    assert rules_in_force(None, base) == TraceRules()
    assert rules_in_force(None, {"OTEL_SERVICE_NAME": "x"}) is None
    assert rules_in_force(own, {"OTEL_SDK_DISABLED": "TRUE"}) is None
    assert rules_in_force(own, base | {"OTEL_TRACES_EXPORTER": "none"}) is None


def test_the_settings_of_an_endpoint_are_checked(tmp_path: Path) -> None:
    settings = serving_settings({"traces": {"endpoint": "http://collector:4318", "share": "0.25"}}, tmp_path)
    assert settings.traces == TraceRules("http://collector:4318", share=0.25)
    for wrong, rule in (
        ({"endpoint": "collector:4318"}, "endpoint begins with http:// or https://, not 'collector:4318'"),
        ({"share": -1}, "share is from 0 to 1, not -1"),
        ({"port": 1}, "unknown field `port`"),
    ):
        with pytest.raises(SettingInvalid, match=rule):
            serving_settings({"traces": wrong}, tmp_path)


@pytest.mark.parametrize(("share", "sent"), [(None, ["half", "POST halves"]), (0.0, [])])
def test_the_end_sends_what_still_waits(share: float | None, sent: list[str]) -> None:
    graph = Graph("halves")
    graph.to(lambda body: body / 2, name="half")
    with collecting() as collector:
        with SpanExport(TraceRules(f"{collector.url}/", share=share), "halves", "r1") as export:
            metrics = ServingMetrics(export.tracing)
            with LocalServer(graph.open(metrics.watching(Resources())), metrics=metrics) as server:
                assert httpx.post(server.url, json=3).json() == 1.5
        assert [span.name for span, _ in collector.spans] == sent
        for _, sender in collector.spans:
            assert (sender["service.name"], sender["service.version"]) == ("halves", "r1")


def test_a_trace_that_the_client_began_is_followed_whatever_the_share() -> None:
    graph = Graph("halves")
    graph.to(lambda body: body / 2, name="half")
    with collecting() as collector:
        with SpanExport(TraceRules(collector.url, share=0.0), "halves") as export:
            metrics = ServingMetrics(export.tracing)
            with LocalServer(graph.open(metrics.watching(Resources())), metrics=metrics) as server:
                httpx.post(server.url, json=3, headers={"traceparent": f"00-{TRACE}-{CLIENT}-01"})
                httpx.post(server.url, json=3, headers={"traceparent": f"00-{TRACE}-{CLIENT}-00"})
        assert [(span.name, span.trace_id.hex()) for span, _ in collector.spans] == [
            ("half", TRACE),
            ("POST halves", TRACE),
        ]


@pytest.mark.slow
def test_the_workers_of_an_endpoint_send_theirs(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        order = order_for(state, module=ROWS, settings={"target": "local", "grpc_port": 0})
        endpoint: Any = LocalTarget().deploy(order)
        headers = {"traceparent": f"00-{TRACE}-{CLIENT}-01", "x-request-id": "e7"}
        assert httpx.post(endpoint.url, json={"x": 4}, headers=headers).json() == {"double": 8}
        (step, sender), (whole, _) = collector.wait(2, TRACE)
        assert (step.name, whole.name) == ("answer", "POST delays")
        assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (TRACE, CLIENT)
        assert step.parent_span_id == whole.span_id
        assert (sender["service.name"], sender["service.version"]) == ("delays", endpoint.manifest.revision)
        assert attributes_of(whole)["modelyard.event"] == "e7"

        deployed = read_json(EndpointFolder(state, "delays").deployed, Deployed)
        assert deployed is not None
        rpc = InferenceServerClient(deployed.grpc)
        tensor = InferInput("x", [1], "INT64")
        tensor.set_data_from_numpy(np.array([5]))
        answer = rpc.infer("delays", [tensor], headers={"traceparent": f"00-{TRACE}-{CLIENT}-01"}, request_id="e8")
        assert answer.as_numpy("double").tolist() == [[10]]
        rpc.close()
        called = next(span for span, _ in collector.wait(4, TRACE) if span.name == "ModelInfer delays")
        assert (called.trace_id.hex(), called.parent_span_id.hex()) == (TRACE, CLIENT)
        assert attributes_of(called) == {
            "rpc.system": "grpc",
            "rpc.service": "inference.GRPCInferenceService",
            "rpc.method": "ModelInfer",
            "modelyard.graph": "delays",
            "modelyard.event": "e8",
            "rpc.grpc.status_code": 0,
        }
        assert collector.paths == {"/v1/traces"}
        assert msgspec.json.encode([str(span) for span, _ in collector.spans]).find(b"double") == -1
