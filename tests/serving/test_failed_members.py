"""Whoever asks an ensemble that answers without some of its members is told so, by whichever door."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput

from modelyard.graphs import Graph
from modelyard.graphs.ensembles import Mean
from modelyard.graphs.models import Model
from modelyard.serving.local import LocalServer


class Sum(Model):
    def __init__(self, limit: float = 1e9) -> None:
        self.limit = limit

    def predict(self, inputs: Any) -> Any:
        if sum(inputs) > self.limit:
            raise ValueError("too much")
        return float(sum(inputs))

    def predict_batch(self, inputs: Any) -> Any:
        return [self.predict(each) for each in inputs]


def voted(body: Any) -> Iterator[Any]:
    yield from (body, body)


def mean(*, streams: bool = False) -> Graph:
    graph = Graph("mean")
    members = {"well": {"use": Sum}, "ill": {"use": Sum, "limit": 10}}
    ensemble = graph.ensemble(Mean, name="both", members=members, on_member_error="answer")
    if streams:
        ensemble.to(voted)
    return graph


def tensor(*rows: list[float]) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP64", "shape": [len(rows), 2], "data": rows}]}


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(mean().open(), grpc_port=0) as server:
        yield server


URL = "/v2/models/mean/infer"


@pytest.mark.parametrize(
    ("rows", "said", "failed"),
    [
        (([1.0, 2.0],), [3.0], ""),
        (([1.0, 20.0],), [21.0], "both.ill"),
        (([1.0, 2.0], [1.0, 20.0]), [3.0, 21.0], "both.ill"),
        (([1.0, 2.0], [2.0, 2.0]), [3.0, 4.0], ""),
    ],
)
def test_the_protocol_names_them_in_parameters_and_in_the_header(
    server: LocalServer, rows: Any, said: list[float], failed: str
) -> None:
    for _ in range(2):  # at first, and on the way that is known then
        answer = httpx.post(f"{server.url}{URL}", json=tensor(*rows))
        assert answer.json()["outputs"][0]["data"] == said
        assert answer.json().get("parameters", {}).get("modelyard_failed", "") == failed
        assert answer.headers.get("x-modelyard-failed", "") == failed


def test_binary_answers_and_calls_name_them(server: LocalServer) -> None:
    given = InferInput("x", [1, 2], "FP64")
    given.set_data_from_numpy(np.array([[1.0, 20.0]]))
    client = InferenceServerClient(server.grpc_address)
    told = client.infer("mean", [given]).get_response()
    client.close()
    assert told.parameters["modelyard_failed"].string_param == "both.ill"
    asked = {**tensor([1.0, 20.0]), "parameters": {"binary_data_output": True}}
    answer = httpx.post(f"{server.url}{URL}", json=asked)
    assert (answer.headers["x-modelyard-failed"], "inference-header-content-length" in answer.headers) == (
        "both.ill",
        True,
    )


def test_streams_name_those_that_failed_before_the_first_reply() -> None:
    with LocalServer(mean(streams=True).open()) as server:
        for accept in ("text/event-stream", "application/x-ndjson"):
            answer = httpx.post(server.url, json=[1.0, 20.0], headers={"accept": accept})
            assert (answer.status_code, answer.headers["x-modelyard-failed"]) == (200, "both.ill")
            well = httpx.post(server.url, json=[1.0, 2.0], headers={"accept": accept})
            assert "x-modelyard-failed" not in well.headers
        pieces = httpx.post(f"{server.url}/v2/models/mean/infer_stream", json=tensor([1.0, 20.0])).text
    assert pieces.count('"parameters":{"modelyard_failed":"both.ill"}') == 2
