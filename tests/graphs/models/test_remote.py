"""Models behind another server that speaks the Open Inference Protocol."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from inference_service import InferenceService, inference_service

from modelyard.errors import ErrorKind
from modelyard.graphs import Graph, GraphInvalid, Resources, StepFailed
from modelyard.graphs.models import RemoteModel, RemoteModelFailed

pytest.importorskip("httpx")

COLUMNS = {
    "inputs": [
        {"name": "distance", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "origin", "datatype": "BYTES", "shape": [-1, 1]},
    ],
    "outputs": [{"name": "predict", "datatype": "FP64", "shape": [-1, 1]}],
}
MATRIX = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [{"name": "sum", "datatype": "FP32", "shape": [-1]}],
}


def delay(request: dict[str, Any]) -> Any:
    distance, origin = (each["data"] for each in request["inputs"])
    data = [far / 10 + (5 if where == "JFK" else 0) for far, where in zip(distance, origin, strict=True)]
    return [{"name": "predict", "datatype": "FP64", "shape": [len(data), 1], "data": data}]


def summed(request: dict[str, Any]) -> Any:
    (tensor,) = request["inputs"]
    rows, width = tensor["shape"]
    data = [sum(tensor["data"][row * width : (row + 1) * width]) for row in range(rows)]
    both = [[each, -each] for each in data]
    return [
        {"name": "sum", "datatype": "FP32", "shape": [rows], "data": data},
        {"name": "both", "datatype": "FP32", "shape": [rows, 2], "data": both},
    ]


class Failing:
    """Answers with one thing after the other."""

    def __init__(self) -> None:
        self.answers: list[Any] = []

    def __call__(self, request: dict[str, Any]) -> Any:
        return self.answers.pop(0) if self.answers else delay(request)


@pytest.fixture
def failing() -> Failing:
    return Failing()


@pytest.fixture
def service(failing: Failing) -> Iterator[InferenceService]:
    models = {"delays": (COLUMNS, delay), "sum": (MATRIX, summed), "failing": (COLUMNS, failing)}
    with inference_service({**models, "hidden": ({"inputs": 3}, delay)}) as running:  # type: ignore[dict-item]
        yield running


def remote(service: InferenceService, model: str = "delays", **told: Any) -> Graph:
    graph = Graph("g")
    graph.model("m", RemoteModel, url=service.url, remote_model=model, **told)
    return graph


def test_columns_go_out_by_name_and_answers_come_back_by_row(service: InferenceService) -> None:
    graph = remote(service)
    assert graph.test({"origin": "JFK", "distance": 100.0, "extra": 1}) == {"predict": 15.0}
    rows = [{"distance": 100.0, "origin": "JFK"}, [20.0, "EWR"]]
    assert graph.test(rows) == [{"predict": 15.0}, {"predict": 2.0}]
    assert graph.test([]) == []
    assert service.requests[1]["path"] == "/v2/models/delays/infer"
    assert service.requests[1]["body"] == {
        "inputs": [
            {"name": "distance", "datatype": "FP64", "shape": [2, 1], "data": [100.0, 20.0]},
            {"name": "origin", "datatype": "BYTES", "shape": [2, 1], "data": ["JFK", "EWR"]},
        ]
    }


def test_a_lone_input_takes_whole_rows(service: InferenceService) -> None:
    graph = remote(service, "sum", rename={"sum": "label"})
    assert graph.test([1.0, 2.5]) == {"label": 3.5, "both": [3.5, -3.5]}
    assert graph.test([[1.0, 2.5], [0.0, 1.0]]) == [
        {"label": 3.5, "both": [3.5, -3.5]},
        {"label": 1.0, "both": [1.0, -1.0]},
    ]
    assert graph.test({"x": [4.0, 4.0]})["label"] == 8.0
    assert service.requests[0]["body"]["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.5]}
    ]


def test_the_other_servers_metadata_is_the_signature(service: InferenceService) -> None:
    described = remote(service, rename={"predict": "label"}).test(None, path="/v2/models/m", method="GET")
    assert described["inputs"] == COLUMNS["inputs"]
    assert described["outputs"] == [{"name": "label", "datatype": "FP64", "shape": [-1, 1]}]
    assert remote(service).open().models["m"].name == f"{service.url}/v2/models/delays"


def test_version_headers_and_secret_are_sent(service: InferenceService) -> None:
    class Secrets:
        def secret(self, name: str) -> str:
            return {"TOKEN": "s3cret"}[name]

    graph = remote(service, remote_version="7", headers={"x-team": "ops"}, secret="TOKEN")
    graph.test({"origin": "JFK", "distance": 1.0}, resources=Resources(secrets=Secrets()))
    request = service.requests[0]
    assert request["path"] == "/v2/models/delays/versions/7/infer"
    assert (request["headers"]["x-team"], request["headers"]["authorization"]) == ("ops", "Bearer s3cret")


def test_connections_are_kept_and_requests_run_at_the_same_time(service: InferenceService) -> None:
    plan = remote(service).open()
    before = service.connections

    async def ask() -> Any:
        for _ in range(20):
            await plan.run_async(event(1.0))
        alone = service.connections - before
        said = await asyncio.gather(*[plan.run_async(event(float(each))) for each in range(5)])
        await asyncio.to_thread(plan.close)
        return alone, said

    alone, said = asyncio.run(ask())
    assert alone == 0
    assert [each["predict"] for each in said] == [0.0, 0.1, 0.2, 0.3, 0.4]


def event(distance: float) -> Any:
    from modelyard.graphs import Event

    return Event({"distance": distance, "origin": "EWR"})


def test_many_bodies_are_one_request(service: InferenceService) -> None:
    rows = remote(service).map([{"distance": float(each), "origin": "EWR"} for each in range(100)])
    assert rows.vectorised
    assert [each["predict"] for each in rows] == [each / 10 for each in range(100)]
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"distance": 1.0}, "row 0: the feature 'origin' is missing. Given: distance"),
        ([[1.0, "JFK"], [1.0]], "row 1: the model takes 2 values, not [1.0]"),
        ("text", "the model takes a row or a list of rows, not str"),
    ],
)
def test_a_row_that_does_not_fit_is_not_sent(service: InferenceService, body: Any, message: str) -> None:
    with pytest.raises(StepFailed) as caught:
        remote(service).test(body)
    assert message in str(caught.value)
    assert (caught.value.error_kind, service.requests) == (ErrorKind.INVALID, [])
    with pytest.raises(StepFailed, match="the model takes 2 values, the row has 3"):
        remote(service, "sum").test([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        ((400, {"error": "no such column"}), ErrorKind.INVALID, "the remote model answered 400: no such column"),
        ((404, {"error": "gone"}), ErrorKind.NOT_FOUND, "the remote model answered 404: gone"),
        ((500, "broken"), ErrorKind.UNAVAILABLE, "answered 500: broken. Look into the log of that server"),
        ((503, {"detail": "busy"}), ErrorKind.UNAVAILABLE, "answered 503: busy"),
        ((200, "text"), ErrorKind.UNAVAILABLE, "its answer is not JSON"),
        ([{"name": "y", "data": []}], ErrorKind.UNAVAILABLE, "no outputs of one value per row (0 values for 1 rows)"),
        ((200, {"outputs": 3}), ErrorKind.UNAVAILABLE, "its answer has no outputs of one value per row"),
    ],
)
def test_what_the_other_server_says_is_told(
    service: InferenceService, failing: Failing, answer: Any, kind: ErrorKind, message: str
) -> None:
    graph = remote(service, "failing")
    failing.answers = [answer]
    with pytest.raises(StepFailed) as caught:
        graph.test({"distance": 1.0, "origin": "EWR"})
    place = f"{service.url}/v2/models/failing{'' if 'no outputs' in message else '/infer'}: "
    assert f"{place}the remote model " in str(caught.value)
    assert message in str(caught.value)
    assert caught.value.error_kind is kind
    assert isinstance(caught.value.cause, RemoteModelFailed)


def test_it_is_tried_again_where_that_may_help(service: InferenceService, failing: Failing) -> None:
    graph = remote(service, "failing", attempts=3)
    failing.answers = [(503, {}), (502, {})]
    assert graph.test({"distance": 1.0, "origin": "EWR"}) == {"predict": 0.1}
    assert len(service.requests) == 3
    failing.answers = [(400, {"error": "no"}), (400, {"error": "no"})]
    with pytest.raises(StepFailed, match="answered 400"):
        graph.test({"distance": 1.0, "origin": "EWR"})
    assert len(service.requests) == 4


def test_it_does_not_wait_for_ever(service: InferenceService, failing: Failing) -> None:
    graph = remote(service, "failing", seconds=1.0)  # enough for an answer, however busy the machine is

    def hanging(request: dict[str, Any]) -> Any:
        service.stop.wait(60)
        return delay(request)

    graph.test({"distance": 1.0, "origin": "EWR"})
    service.models["failing"] = (COLUMNS, hanging)
    with pytest.raises(StepFailed, match=r"the remote model does not answer: no answer within 1 s"):
        graph.test({"distance": 1.0, "origin": "EWR"})


def test_a_server_that_is_not_there_keeps_the_graph_from_opening(service: InferenceService) -> None:
    with pytest.raises(RemoteModelFailed, match="answered 404: no model nothing"):
        remote(service, "nothing").open()
    with pytest.raises(RemoteModelFailed, match="its metadata names no inputs and outputs"):
        remote(service, "hidden").open()
    graph = Graph("g")
    graph.model("m", RemoteModel, url="http://127.0.0.1:9")
    with pytest.raises(RemoteModelFailed, match="does not answer: ConnectError"):
        graph.open()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"url": "ftp://x"}, "url starts with http:// or https://, not 'ftp://x'"),
        ({"url": "http://x", "seconds": 0}, "seconds is above 0 and attempts at least 1, not 0 and 1"),
        ({"url": "http://x", "attempts": 0}, "not 10.0 and 0"),
    ],
)
def test_what_is_told_wrong_is_refused(told: dict[str, Any], message: str) -> None:
    graph = Graph("g")
    graph.model("m", RemoteModel, **told)
    with pytest.raises(GraphInvalid) as caught:
        graph.open()
    assert message in str(caught.value)


def test_a_model_that_modelyard_serves_answers_as_it_does_here(tmp_path: Any) -> None:
    from probe_models import fitted, save_model
    from probe_served import Folders

    from modelyard.serving.local import LocalServer

    save_model(tmp_path / "delays", fitted())
    here = Graph("served")
    here.model("delays", "delays")
    rows = [{"a": 2.0, "b": 0.0, "c": 0.5}, {"a": -1.0, "b": 1.0, "c": 0.0}]
    with LocalServer(here.open(Resources(models=Folders(tmp_path)))) as server:
        graph = Graph("g")
        graph.model("delays", RemoteModel, url=server.url)
        expected = here.test(rows, resources=Resources(models=Folders(tmp_path)))
        assert graph.test(rows) == expected
        assert graph.test(rows[0]) == expected[0]
        with pytest.raises(StepFailed, match="the feature 'b' is missing"):
            graph.test({"a": 1.0, "c": 2.0})
        graph.close()
