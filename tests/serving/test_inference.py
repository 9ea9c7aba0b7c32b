"""Graphs behind the Open Inference Protocol over HTTP, asked by the client of another server, tritonclient."""

import asyncio
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from modelyard.graphs import EventInvalid, Graph, LoadedModel, ModelCard, Resources, Response
from modelyard.serving import PortTaken
from modelyard.serving.limits import Limits
from modelyard.serving.local import LocalServer

HOLD = -1.0
"""A distance at which the model waits until the test lets it go on."""


class Rule:
    """Late is who leaves from 18 o'clock on; the later, the likelier."""

    classes_ = np.array([False, True])
    calls: list[int] = []  # noqa: RUF012 (a probe of what the model is asked)
    inside, leave = Event(), Event()

    def predict(self, matrix: Any) -> Any:
        return matrix[:, 0] >= 18

    def predict_proba(self, matrix: Any) -> Any:
        self.calls.append(len(matrix))
        if matrix[0, 1] == HOLD:
            self.inside.set()
            assert self.leave.wait(60)
        late = matrix[:, 0] / 24
        return np.stack([1 - late, late], axis=1)


class Rules:
    def load(self, reference: str) -> LoadedModel:
        card = ModelCard(("hour", "distance"), ("int64", "double"), "matrix", "classification", (), "late", "", "")
        return LoadedModel(Rule(), card, digest="", classes=(False, True), name=reference)


def parse(body: Any) -> Any:
    if body["hour"] > 23:
        raise EventInvalid("is at most 23", field="hour")
    return [body["hour"], body["distance"]]


def name_it(answer: Any) -> Any:
    return {"late": "late" if answer["label"] else "on time"}


def refuse(event: Any) -> Any:
    return Response({"refused": str(event.error)}, 422)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    graph = Graph("rule")
    graph.model("late", "models:/late/3")
    resources = Resources(models=Rules())
    with LocalServer(graph.open(resources), limits=Limits(rows=1000)) as server:
        yield server.url


@pytest.fixture(scope="module")
def chain() -> Iterator[str]:
    graph = Graph("delays")
    graph.to(parse).model("late", "models:/late/3").to(name_it)
    with LocalServer(graph.open(Resources(models=Rules()))) as server:
        yield server.url


@pytest.fixture
def client(url: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(url.removeprefix("http://")) as client:
        yield client


def tensor(name: str, array: Any, datatype: str, *, binary: bool = True) -> InferInput:
    found = InferInput(name, list(array.shape), datatype)
    found.set_data_from_numpy(array, binary_data=binary)
    return found


def flights(rows: list[list[float]], *, binary: bool = True) -> list[InferInput]:
    hours, distances = np.array(rows).T
    return [
        tensor("hour", hours.astype(np.int64).reshape(-1, 1), "INT64", binary=binary),
        tensor("distance", distances.reshape(-1, 1), "FP64", binary=binary),
    ]


def test_server_graph_and_model_tell_about_themselves(client: InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["name"] == "rule"
    assert client.is_model_ready("rule")
    assert client.is_model_ready("late")
    inputs = [
        {"name": "hour", "datatype": "INT64", "shape": [-1, 1]},
        {"name": "distance", "datatype": "FP64", "shape": [-1, 1]},
    ]
    outputs = [
        {"name": "label", "datatype": "BOOL", "shape": [-1, 1]},
        {"name": "probability", "datatype": "FP64", "shape": [-1, 1]},
    ]
    for name in ("rule", "late"):
        found = client.get_model_metadata(name)
        assert (found["name"], found["inputs"], found["outputs"]) == (name, inputs, outputs)
    index = client.get_model_repository_index()
    assert [(each["name"], each["state"]) for each in index] == [("rule", "READY"), ("late", "READY")]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("model", ["rule", "late"])
def test_named_columns_are_answered_with_columns(client: InferenceServerClient, model: str, binary: bool) -> None:
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("label", "probability")]
    rows = [[19, 2475.0], [6, 100.0], [18, 7.5]]
    found = client.infer(model, flights(rows, binary=binary), outputs=outputs, request_id="a7")
    assert found.as_numpy("label").tolist() == [[True], [False], [True]]
    assert found.as_numpy("probability").tolist() == [[19 / 24], [0.25], [0.75]]
    assert found.get_response()["id"] == "a7"


def test_a_matrix_is_rows_in_the_models_order(client: InferenceServerClient) -> None:
    found = client.infer("rule", [tensor("any", np.array([[6.0, 1.0], [24.0, 1.0]]), "FP64")])
    assert found.as_numpy("probability").tolist() == [[0.25], [1.0]]


def test_only_the_outputs_that_are_asked_for_come(client: InferenceServerClient) -> None:
    found = client.infer("rule", flights([[6, 1.0]]), outputs=[InferRequestedOutput("probability")])
    assert [each["name"] for each in found.get_response()["outputs"]] == ["probability"]
    with pytest.raises(InferenceServerException, match=r"there is no output 'score'. Outputs: label, probability."):
        client.infer("rule", flights([[6, 1.0]]), outputs=[InferRequestedOutput("score")])


@pytest.mark.parametrize(
    ("model", "inputs", "status", "message"),
    [
        ("ruel", flights([[6, 1.0]]), "404", "no model is called 'ruel'. Did you mean rule?"),
        ("rule", flights([[6, 1.0]])[:1], "422", "the feature 'distance' is missing"),
        ("rule", [tensor("x", np.ones((2, 3)), "FP64")], "422", "the model has 2 features, the row has 3 values"),
        ("rule", [tensor("x", np.ones((1001, 2)), "FP64")], "413", "the request has 1001 rows, the limit is 1000"),
        ("rule", [*flights([[6, 1.0]]), tensor("z", np.ones(2), "FP64")], "400", "it has 2 rows, the first tensor 1"),
    ],
)
def test_what_cannot_be_answered_says_why(
    client: InferenceServerClient, model: str, inputs: list[InferInput], status: str, message: str
) -> None:
    with pytest.raises(InferenceServerException) as raised:
        client.infer(model, inputs)
    assert raised.value.status() == status
    assert message in str(raised.value.message())


def test_a_version_that_is_not_served_is_not_found(url: str) -> None:
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [6, 1]}]}
    found = httpx.post(f"{url}/v2/models/rule/versions/9/infer", json=body)
    assert found.status_code == 404
    assert found.json()["error"] == "the version '9' of rule is not served. Ask without a version."


def test_a_failing_row_is_named(chain: str) -> None:
    body = {
        "inputs": [
            {"name": "hour", "shape": [3], "datatype": "INT64", "data": [19, 6, 30]},
            {"name": "distance", "shape": [3], "datatype": "FP64", "data": [1, 2, 3]},
        ]
    }
    found = httpx.post(f"{chain}/v2/models/delays/infer", json=body)
    assert found.status_code == 422
    assert found.json()["error"].startswith("row 2: graph delays, step parse, event ")
    assert found.json()["error"].endswith("hour: is at most 23.")
    assert found.json()["details"]["step"] == "parse"


def test_a_graph_of_several_steps_takes_records_and_gives_columns(chain: str) -> None:
    with InferenceServerClient(chain.removeprefix("http://")) as client:
        found = client.infer("delays", flights([[19, 1.0], [6, 1.0]]))
        assert found.as_numpy("late").tolist() == [[b"late"], [b"on time"]]
        assert client.get_model_metadata("delays")["inputs"] == []
        assert [each["name"] for each in client.get_model_metadata("late")["inputs"]] == ["hour", "distance"]


def test_rows_as_web_clients_send_them(url: str) -> None:
    found = httpx.post(
        f"{url}/v2/models/late/infer", json={"inputs": [[19, 1.0], [6, 1.0]]}, headers={"x-request-id": "7"}
    )
    assert found.json() == {
        "model_name": "late",
        "id": "7",
        "outputs": [{"label": True, "probability": 19 / 24}, {"label": False, "probability": 0.25}],
    }
    records = {"inputs": [{"hour": 6, "distance": 1.0}]}
    assert httpx.post(f"{url}/v2/models/rule/infer", json=records).json()["outputs"] == [
        {"label": False, "probability": 0.25}
    ]
    assert httpx.post(f"{url}/", json={"hour": 6, "distance": 1.0}).json() == {"label": False, "probability": 0.25}
    refused = httpx.post(f"{url}/v2/models/late/infer", json={"inputs": 7})
    assert (refused.status_code, refused.json()["details"]["type"]) == (400, "InferenceRefused")


def test_rows_at_any_path_of_a_graph_that_begins_with_a_model(url: str, chain: str) -> None:
    asked = {"inputs": [[19, 1.0], {"hour": 6, "distance": 1.0}]}
    for path in ("/", "/score"):
        found = httpx.post(f"{url}{path}", json=asked, headers={"x-request-id": "7"}).json()
        outputs = [{"label": True, "probability": 19 / 24}, {"label": False, "probability": 0.25}]
        assert found == {"model_name": "rule", "id": "7", "outputs": outputs}
    many = httpx.post(url, json={"inputs": [[6, 1.0]] * 1001})
    assert (many.status_code, many.json()["error"]["message"]) == (413, "the request has 1001 rows, the limit is 1000")
    wrong = httpx.post(url, json={"inputs": [[6, 1.0], [6]]})
    assert (wrong.status_code, wrong.json()["error"]["facts"]["row"]) == (422, 1)
    assert wrong.json()["error"]["message"].startswith("row 1: graph rule, step late, event ")
    assert wrong.json()["error"]["message"].endswith(": the model has 2 features, the row has 1 values")
    own = httpx.post(
        chain, json={"inputs": [[6, 1.0]]}, headers={"x-request-id": "8"}
    )  # its first step takes a mapping
    assert own.json()["error"]["message"] == "the step raised KeyError: 'hour'"


def test_rows_are_events_where_steps_take_one_each(chain: str) -> None:
    at = f"{chain}/v2/models/delays/infer"
    good, bad = {"hour": 19, "distance": 1.0}, {"hour": 30, "distance": 1.0}
    found = httpx.post(at, json={"inputs": [good, {**good, "hour": 6}]}, headers={"x-request-id": "7"})
    assert found.json() == {"model_name": "delays", "id": "7", "outputs": [{"late": "late"}, {"late": "on time"}]}
    refused = httpx.post(at, json={"inputs": [good, bad]}, headers={"x-request-id": "8"})
    assert refused.status_code == 422
    assert refused.json()["error"] == ("row 1: graph delays, step parse, event 8: hour: is at most 23.")
    assert refused.json()["details"]["facts"]["row"] == 1


def test_rows_of_a_graph_that_waits_are_asked_side_by_side() -> None:
    all_there = asyncio.Barrier(3)

    async def wait(body: Any) -> Any:
        await all_there.wait()
        if body["n"] < 0:
            raise EventInvalid("is not negative", field="n")
        return 2 * body["n"]

    graph = Graph("waits")
    graph.to(wait).filter(lambda n: n != 8, name="odd")
    with LocalServer(graph.open_async) as server:
        at = f"{server.url}/v2/models/waits/infer"
        assert httpx.post(at, json={"inputs": [{"n": 1}, {"n": 2}, {"n": 3}]}).json()["outputs"] == [2, 4, 6]
        refused = httpx.post(at, json={"inputs": [{"n": 1}, {"n": -2}, {"n": -3}]}, headers={"x-request-id": "w"})
        assert (refused.status_code, refused.json()["details"]["facts"]["row"]) == (422, 1)
        filtered = httpx.post(at, json={"inputs": [{"n": 1}, {"n": 4}, {"n": 1}]}, headers={"x-request-id": "w"})
        assert filtered.json()["error"] == "row 1: graph waits, event w: the graph filtered the row out."


def test_a_deadline_counts_from_the_requests_arrival_for_tensors_too(url: str) -> None:
    at = f"{url}/v2/models/rule/infer"
    for datatype in ("FP64", "FP32"):
        row = {"name": "x", "shape": [1, 2], "datatype": datatype, "data": [19, 1]}
        assert httpx.post(at, json={"inputs": [row]}, headers={"x-request-timeout": "20"}).status_code == 200
        wrong = httpx.post(at, json={"inputs": [row]}, headers={"x-request-timeout": "soon"})
        assert (wrong.status_code, wrong.json()["details"]["type"]) == (400, "HeaderInvalid")
        late = httpx.post(at, json={"inputs": [row]}, headers={"x-request-timeout": "1e-9"})
        assert (late.status_code, late.json()["details"]["type"]) == (504, "DeadlineExceeded")


def test_requests_of_one_turn_are_one_call_of_the_model(url: str) -> None:
    address = urlsplit(url)

    def send(connection: socket.socket, hour: float, distance: float) -> None:
        row = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [hour, distance]}
        body = json.dumps({"inputs": [row]}).encode()
        length = f"content-length: {len(body)}"
        connection.sendall(f"POST /v2/models/rule/infer HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n".encode() + body)

    def read(connection: socket.socket) -> Any:
        response = http.client.HTTPResponse(connection)
        response.begin()
        return json.loads(response.read())["outputs"][1]["data"]

    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=60))
            for _ in range(41)
        ]
        Rule.calls.clear()
        send(sockets[0], 12, HOLD)
        assert Rule.inside.wait(60)
        for number, each in enumerate(sockets[1:]):  # they arrive while the loop is held
            send(each, number / 2, 1)
        Rule.leave.set()
        assert [read(each) for each in sockets] == [[0.5], *([number / 48] for number in range(40))]
    assert Rule.calls[0] == 1
    assert sum(Rule.calls[1:]) == 40
    assert 1 < max(Rule.calls) <= 32


def test_an_error_handlers_answer_is_the_status() -> None:
    graph = Graph("strict")
    graph.to(parse).on_error(refuse)
    with LocalServer(graph.open()) as server:
        body = {
            "inputs": [
                {"name": "hour", "shape": [1], "datatype": "INT64", "data": [30]},
                {"name": "distance", "shape": [1], "datatype": "FP64", "data": [1]},
            ]
        }
        found = httpx.post(f"{server.url}/v2/models/strict/infer", json=body)
    assert found.status_code == 422
    assert "the graph answers with status 422: " in found.json()["error"]
    assert "hour: is at most 23." in found.json()["error"]


def test_a_filtered_row_has_no_output() -> None:
    graph = Graph("some")
    graph.filter(lambda body: body["x"] > 0, name="positive")
    with LocalServer(graph.open()) as server:
        body = {"inputs": [{"name": "x", "shape": [1], "datatype": "INT64", "data": [0]}]}
        found = httpx.post(f"{server.url}/v2/models/some/infer", json=body)
    assert (found.status_code, found.json()["details"]["type"]) == (422, "RowFiltered")


def test_a_stream_comes_as_server_sent_events() -> None:
    def count(body: Any) -> Iterator[Any]:
        for number in range(body["n"]):
            if number == 2:
                raise EventInvalid("is below 3", field="n")
            yield {"number": number}

    graph = Graph("counting")
    graph.to(count)
    with LocalServer(graph.open()) as server:
        body = {"inputs": [{"name": "n", "shape": [1], "datatype": "INT64", "data": [3]}]}
        found = httpx.post(f"{server.url}/v2/models/counting/infer_stream", json=body)
    assert found.headers["content-type"] == "text/event-stream"
    events = found.text.split("\n\n")
    assert events[:2] == [
        'data: {"model_name":"counting","outputs":[{"name":"number","datatype":"INT64","shape":[1,1],"data":[0]}]}',
        'data: {"model_name":"counting","outputs":[{"name":"number","datatype":"INT64","shape":[1,1],"data":[1]}]}',
    ]
    assert events[2].startswith('event: error\ndata: {"error":"graph counting, step count, event ')


def test_the_same_graph_answers_grpc(client: InferenceServerClient) -> None:
    graph = Graph("rule")
    graph.model("late", "models:/late/3")
    with (
        LocalServer(graph.open(Resources(models=Rules())), grpc_port=0) as server,
        grpc.InferenceServerClient(server.grpc_address) as other,
    ):
        metadata = other.get_model_metadata("late", as_json=True)
        assert [each["name"] for each in metadata["inputs"]] == ["hour", "distance"]
        given = grpc.InferInput("x", [2, 2], "FP64")
        given.set_data_from_numpy(np.array([[6.0, 1.0], [24.0, 1.0]]))
        found = other.infer("rule", [given])
        assert found.as_numpy("probability").tolist() == [[0.25], [1.0]]
        assert found.as_numpy("label").tolist() == [[False], [True]]


def test_a_taken_grpc_port_is_an_error_where_the_block_begins(url: str) -> None:
    graph = Graph("echo")
    graph.to(name_it)
    port = urlsplit(url).port
    with (
        pytest.raises(PortTaken, match=f"the port {port} on 127.0.0.1 is taken"),
        LocalServer(graph.open(), grpc_port=port),
    ):
        pass


def test_paths_of_the_protocol_that_are_none(url: str) -> None:
    assert httpx.get(f"{url}/v2/nothing").status_code == 404
    assert httpx.get(f"{url}/v2/models/rule/infer").status_code == 405
    assert httpx.post(f"{url}/v2/health/live").status_code == 405
    assert httpx.get(f"{url}/v2/models").json() == {"models": ["rule", "late"]}
    refused = httpx.post(f"{url}/v2/repository/models/late/unload")
    assert refused.status_code == 400
    assert refused.json()["error"] == (
        "late belongs to the graph rule and is served as long as it is. Undeploy the endpoint."
    )


def test_a_model_is_asked_for_a_stream_as_for_a_prediction(url: str) -> None:
    both = {"name": "x", "datatype": "FP64", "shape": [2, 2], "data": [[19.0, 1.0], [6.0, 1.0]]}
    pieces = httpx.post(f"{url}/v2/models/late/infer_stream", json={"inputs": [both]}).text.split("\n\n")
    labels = [json.loads(each.removeprefix("data: "))["outputs"][0]["data"] for each in pieces if each]
    assert labels == [[True], [False]]


def test_a_model_is_loaded_anew(url: str) -> None:
    assert httpx.post(f"{url}/v2/repository/models/late/load", json={"parameters": {}}).status_code == 200
    assert httpx.post(f"{url}/", json={"hour": 6, "distance": 1.0}).json() == {"label": False, "probability": 0.25}
    assert httpx.post(f"{url}/v2/repository/models/other/load").status_code == 404
    refused = httpx.post(f"{url}/v2/repository/models/late/load", json={"parameters": {"version": 3}})
    assert (refused.status_code, refused.json()["details"]["message"]) == (
        400,
        "the parameter 'version' is text, not int",
    )
