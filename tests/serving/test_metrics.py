"""What a server tells Prometheus: read with Prometheus' own parser, from real servers."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelyard.graphs import Context, Graph, Resources
from modelyard.serving.limits import Limits
from modelyard.serving.local import LocalServer
from modelyard.serving.metrics import MOST_SERIES, ServingMetrics

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Checked:
    """A step that measures, and that can fail."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def do(self, body: Any) -> Any:
        self.context.metric("length", len(body["text"]), kind="text")
        if body["text"] == "bad":
            raise ValueError("no")
        return len(body["text"])


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    matching = [each for (known, own), each in found.items() if known == name and labels.items() <= dict(own).items()]
    assert len(matching) == 1, (name, labels, matching)
    return matching[0]


def serve(graph: Graph, **options: Any) -> LocalServer:
    metrics = ServingMetrics()
    return LocalServer(graph.open(metrics.watching(Resources())), metrics=metrics, **options)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    graph = Graph("texts")
    graph.to(Checked, name="check").to(lambda length: 2 * length, name="double")
    with serve(graph) as running, httpx.Client() as client:
        for text in ("abc", "abcd", "bad"):
            client.post(running.url, json={"text": text})
        client.post(running.url, content=b"{")
        yield running


def test_requests_are_counted_by_protocol_and_status(server: LocalServer) -> None:
    found = samples(httpx.get(f"{server.url}/metrics").text)
    assert value(found, "modelyard_requests_total", protocol="event", status="200") == 2
    assert value(found, "modelyard_requests_total", protocol="event", status="500") == 1
    assert value(found, "modelyard_requests_total", protocol="event", status="400") == 1
    assert value(found, "modelyard_request_errors_total", protocol="event") == 2
    assert value(found, "modelyard_request_seconds_count", protocol="event", graph="texts") == 4
    assert value(found, "modelyard_request_seconds_bucket", protocol="event", le="+Inf") == 4


def test_steps_are_timed_and_their_errors_counted(server: LocalServer) -> None:
    found = samples(httpx.get(f"{server.url}/metrics").text)
    assert value(found, "modelyard_step_seconds_count", step="check") == 3
    assert value(found, "modelyard_step_seconds_count", step="double") == 2
    assert value(found, "modelyard_step_errors_total", step="check") == 1
    assert value(found, "modelyard_step_errors_total", step="double") == 0


def test_what_steps_measure_is_a_summary(server: LocalServer) -> None:
    found = samples(httpx.get(f"{server.url}/metrics").text)
    assert value(found, "modelyard_custom_length_sum", kind="text", graph="texts", step="check") == 3 + 4 + 3
    assert value(found, "modelyard_custom_length_count", kind="text") == 3


def test_the_process_is_described(server: LocalServer) -> None:
    found = samples(httpx.get(f"{server.url}/metrics").text)
    assert value(found, "modelyard_process_cpu_seconds") > 0
    assert value(found, "modelyard_process_memory_bytes") > 2**20
    assert value(found, "modelyard_process_open_fds") > 3


def test_pages_read_the_same_as_json(server: LocalServer) -> None:
    [told] = httpx.get(f"{server.url}/v2/statistics").json()["graphs"]
    assert (told["graph"], told["requests"], told["errors"], told["in_flight"]) == ("texts", 4, 2, 0)
    assert told["protocols"]["event"]["statuses"] == {"200": 2, "500": 1, "400": 1}
    assert (told["steps"]["check"]["count"], told["steps"]["check"]["errors"]) == (3, 1)


def test_prometheus_may_ask_for_openmetrics(server: LocalServer) -> None:
    answer = httpx.get(f"{server.url}/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


def test_who_is_inside_who_waits_and_who_was_refused() -> None:
    leave = threading.Event()

    async def hold(body: Any) -> Any:
        assert await asyncio.to_thread(leave.wait, 60)
        return body

    graph = Graph("slow")
    graph.to(hold)
    with serve(graph, limits=Limits(in_flight=1, queue=1)) as server:
        statuses: list[int] = []
        asking = [threading.Thread(target=lambda: statuses.append(post(server))) for _ in range(2)]
        for each in asking:
            each.start()
        wait_for(server, "modelyard_requests_waiting", 1)
        assert post(server) == 429
        found = samples(httpx.get(f"{server.url}/metrics").text)
        assert value(found, "modelyard_refused_requests_total") == 1
        assert value(found, "modelyard_requests_in_flight") == 1
        leave.set()
        for each in asking:
            each.join()
        assert statuses == [200, 200]
        found = samples(httpx.get(f"{server.url}/metrics").text)
        assert value(found, "modelyard_requests_waiting") == 0
        assert value(found, "modelyard_requests_total", protocol="event", status="429") == 1


def post(server: LocalServer) -> int:
    return httpx.post(server.url, json=1).status_code


def wait_for(server: LocalServer, name: str, wanted: float) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if value(samples(httpx.get(f"{server.url}/metrics").text), name) == wanted:
            return
    raise AssertionError(name)


def test_what_is_no_number_fails_no_step(caplog: pytest.LogCaptureFixture) -> None:
    metrics = ServingMetrics()
    metrics.emit("hour", "late", {"step": "parse"})  # type: ignore[arg-type]
    assert metrics.tally().measured == {}
    assert caplog.messages == ["hour is measured in numbers, not as str"]


def test_series_have_a_bound() -> None:
    metrics = ServingMetrics()
    for index in range(MOST_SERIES + 5):
        metrics.emit("seen", 1.0, {"client": str(index)})
    metrics.emit("seen", 1.0, {"client": "0"})
    assert len(metrics.tally().measured["seen"]) == MOST_SERIES
    assert metrics.tally().measured["seen"][0].count == 2


def test_calls_over_grpc_and_messages_of_web_sockets_are_requests_too() -> None:
    grpc = pytest.importorskip("tritonclient.grpc")
    connect = pytest.importorskip("websockets.sync.client").connect
    graph = Graph("echo")
    graph.to(lambda body: body, name="echo")
    with serve(graph, grpc_port=0) as server:
        with connect(server.url.replace("http", "ws")) as socket:
            for text in ("1", "{"):
                socket.send(text)
                socket.recv()
        client = grpc.InferenceServerClient(server.grpc_address)
        tensor = grpc.InferInput("x", [1, 1], "FP64")
        tensor.set_data_from_numpy(np.ones((1, 1)))
        client.infer("echo", [tensor])
        with pytest.raises(grpc.InferenceServerException, match="NOT_FOUND"):
            client.infer("other", [tensor])
        client.close()
        found = samples(httpx.get(f"{server.url}/metrics").text)
    assert value(found, "modelyard_requests_total", protocol="websocket", status="200") == 1
    assert value(found, "modelyard_requests_total", protocol="websocket", status="400") == 1
    assert value(found, "modelyard_requests_total", protocol="grpc", status="OK") == 1
    assert value(found, "modelyard_requests_total", protocol="grpc", status="NOT_FOUND") == 1
