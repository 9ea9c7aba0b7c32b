"""Declared endpoints, over real HTTP: exact replies and exact refusals."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from modelyard.graphs import BodyField, Context, Graph, Parameter
from modelyard.serving.local import LocalServer


def seen(body: Any) -> dict[str, Any]:
    return {"seen": body, "nothing": None}


def refused(body: Any, context: Context) -> Any:
    return context.response({"why": body}, status=409)


def counted(body: dict[str, Any]) -> Iterator[dict[str, int]]:
    for number in range(body["to"]):
        yield {"number": number, "square": number * number}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    graph = Graph("flights")
    graph.to(seen)
    hour = Parameter("integer", minimum=0, maximum=23)
    share = Parameter("number", default=0.5)
    carrier = Parameter(choices=("UA", "AA"))
    query = {"hour": hour, "share": share, "dry": bool, "carrier": carrier}
    graph.api("/flights/{id}", method="GET", parameters={"id": "integer"}, query=query)
    graph.api("/flights/all", method="GET")
    graph.api("/flights/{id}", method="DELETE", action="forbid")
    mapping = {
        "time.hour": BodyField("$.flight.times[1].hour", required=True, type="integer"),
        "carrier": BodyField("$.flight.carrier", default="UA"),
        "tail": "$.flight.tail",
    }
    graph.api("/flights", body=mapping, reply={"answer.hour": "$.seen.time.hour", "answer.why": "$.why"})
    graph.api("/flights", method="PUT", query={"day": Parameter("integer", required=True)})
    graph.api("/files/*", method="POST")
    graph.api("/files/secret/*", method="*", action="forbid")
    graph.api(
        "/talk/{id}", method="websocket", parameters={"id": int}, query={"hour": Parameter("integer", required=True)}
    )
    graph.api(
        "/mapped",
        method="WEBSOCKET",
        body={"hour": "$.flight.hour"},
        mandatory=["hour"],
        reply={"answer": "$.seen.hour"},
    )
    with LocalServer(graph.open()) as server, httpx.Client(base_url=server.url) as client:
        yield client


TIMES = {"times": [{"hour": 1}, {"hour": 19}]}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/flights/7?hour=19", None, {"id": 7, "hour": 19, "share": 0.5}),
        (
            "GET",
            "/flights/-7?dry=true&share=1e-1&carrier=AA",
            None,
            {"id": -7, "dry": True, "share": 0.1, "carrier": "AA"},
        ),
        ("GET", "/flights/7?unknown=1", None, {"id": 7, "share": 0.5}),
        ("GET", "/flights/all", None, None),
        ("PUT", "/flights?day=3", {"x": [1]}, {"x": [1], "day": 3}),
        ("PUT", "/flights?day=3", None, {"day": 3}),
        ("POST", "/files/a/b", [1, 2], [1, 2]),
    ],
)
def test_parameters_and_body_become_the_event(
    client: httpx.Client, method: str, path: str, body: Any, expected: Any
) -> None:
    answer = client.request(method, path, json=body) if body is not None else client.request(method, path)
    assert (answer.status_code, answer.json()) == (200, {"seen": expected, "nothing": None})


def test_bodies_are_mapped_both_ways(client: httpx.Client) -> None:
    answer = client.post("/flights", json={"flight": TIMES})
    assert (answer.status_code, answer.json()) == (200, {"answer": {"hour": 19}})


def test_tables_go_through_an_endpoint_that_maps_nothing(client: httpx.Client) -> None:
    answer = client.post("/files/x", content=b"a\n1\n2\n", headers={"content-type": "text/csv"})
    assert answer.json() == [{"seen": {"a": 1}, "nothing": None}, {"seen": {"a": 2}, "nothing": None}]


@pytest.mark.parametrize(
    ("method", "path", "send", "status", "message"),
    [
        ("GET", "/flights/x", {}, 422, "the parameter 'id' in the path is of the type integer, not 'x'"),
        ("GET", "/flights/1?hour=24", {}, 422, "the parameter 'hour' in the query is at most 23, not 24"),
        ("GET", "/flights/1?hour=-1", {}, 422, "the parameter 'hour' in the query is at least 0, not -1"),
        ("GET", "/flights/1?dry=yes", {}, 422, "the parameter 'dry' in the query is true or false, not 'yes'"),
        ("GET", "/flights/1?share=nan", {}, 422, "the parameter 'share' in the query is of the type number, not 'nan'"),
        ("GET", "/flights/1?carrier=DL", {}, 422, "the parameter 'carrier' in the query is one of UA, AA, not 'DL'"),
        ("PUT", "/flights", {"json": {}}, 422, "the parameter 'day' in the query is missing"),
        (
            "PUT",
            "/flights?day=1",
            {"json": {"day": 2}},
            422,
            "the field 'day' is in the body, and is a parameter: send it once",
        ),
        (
            "PUT",
            "/flights?day=1",
            {"json": [1]},
            422,
            "the field '$' is an object, into which the parameters go, not list",
        ),
        (
            "PUT",
            "/flights?day=1",
            {"content": b"a\n1\n", "headers": {"content-type": "text/csv"}},
            415,
            "the content type is text/csv",
        ),
        (
            "POST",
            "/flights",
            {"json": {"flight": {"times": [1]}}},
            422,
            "the body has no $.flight.times[1].hour, from which the field 'time.hour' comes",
        ),
        (
            "POST",
            "/flights",
            {"json": {"flight": {"times": [0, {"hour": "x"}]}}},
            422,
            "the field 'time.hour' is of the type integer, not str",
        ),
        ("POST", "/flights", {}, 422, "the body has no $.flight.times[1].hour, from which the field 'time.hour' comes"),
        ("POST", "/flights", {"content": b"{"}, 400, "the body is not JSON: Input data was truncated"),
        (
            "DELETE",
            "/flights/1",
            {},
            403,
            "DELETE /flights/1 is forbidden: the graph declares so of DELETE /flights/{id}",
        ),
        (
            "PATCH",
            "/files/secret/x",
            {},
            403,
            "PATCH /files/secret/x is forbidden: the graph declares so of * /files/secret/*",
        ),
        ("POST", "/flihgts", {"json": {}}, 404, "the graph declares no endpoint at /flihgts"),
        ("POST", "/flights/", {"json": {}}, 404, "the graph declares no endpoint at /flights/"),
        ("POST", "/files", {"json": {}}, 404, "the graph declares no endpoint at /files"),
        ("POST", "/", {"json": {}}, 405, "/ does not answer POST"),
    ],
)
def test_what_does_not_fit_is_refused(
    client: httpx.Client, method: str, path: str, send: dict[str, Any], status: int, message: str
) -> None:
    answer = client.request(method, path, **send)
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, message)


def test_a_near_path_is_suggested(client: httpx.Client) -> None:
    assert client.get("/flight").json()["error"]["mend"] == "Did you mean /flights? See /docs."


@pytest.mark.parametrize(
    ("path", "allowed"), [("/flights", "POST, PUT"), ("/flights/1", "GET, HEAD"), ("/", "GET, HEAD")]
)
def test_another_method_is_told_which_there_are(client: httpx.Client, path: str, allowed: str) -> None:
    answer = client.patch(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_head_answers_where_get_does(client: httpx.Client) -> None:
    answer = client.head("/flights/all")
    assert (answer.status_code, answer.content) == (200, b"")


def test_what_is_not_the_graphs_own_stays_where_it_is(client: httpx.Client) -> None:
    assert client.get("/").json()["name"] == "flights"
    assert client.get("/v2/health/ready").json() == {"ready": True}
    answer = client.post("/v2/models/flights/infer", json={"inputs": [{"a": 1}]})
    assert answer.json()["outputs"] == [{"seen": {"a": 1}, "nothing": None}]


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/files/secret/x", 403, "WEBSOCKET /files/secret/x is forbidden: the graph declares so of * /files/secret/*"),
        ("/flights/7", 405, "/flights/7 does not answer WEBSOCKET"),
        ("/elsewhere", 404, "the graph declares no endpoint at /elsewhere"),
        ("/talk/7", 422, "the parameter 'hour' in the query is missing"),
        ("/talk/x?hour=1", 422, "the parameter 'id' in the path is of the type integer, not 'x'"),
    ],
)
def test_no_conversation_goes_around_the_endpoints(client: httpx.Client, path: str, status: int, told: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{client.base_url.netloc.decode()}{path}")
    answer = refused.value.response
    assert (answer.status_code, json.loads(answer.body or b"")["error"]["message"]) == (status, told)


def test_a_conversation_at_an_endpoint_has_its_parameters_in_each_event(client: httpx.Client) -> None:
    with connect(f"ws://{client.base_url.netloc.decode()}/talk/7?hour=19") as socket:
        said = []
        for message in ('{"x": 1}', "null", "[1]", '{"id": 8}', b"raw"):
            socket.send(message)
            answer = json.loads(socket.recv(timeout=60))
            said.append(answer.get("seen") or answer["error"]["message"])
    assert said == [
        {"x": 1, "id": 7, "hour": 19},
        {"id": 7, "hour": 19},
        "the field '$' is an object, into which the parameters go, not list",
        "the field 'id' is in the body, and is a parameter: send it once",
        "the field '$' is an object, into which the parameters go, not bytes",
    ]


def test_a_conversation_has_its_messages_and_replies_mapped(client: httpx.Client) -> None:
    with connect(f"ws://{client.base_url.netloc.decode()}/mapped") as socket:
        socket.send('{"flight": {"hour": 19}, "more": 1}')
        assert json.loads(socket.recv(timeout=60)) == {"answer": 19}
        socket.send("{}")
        assert json.loads(socket.recv(timeout=60))["error"]["type"] == "FieldMissing"
    told = client.get("/mapped")
    assert (told.status_code, told.headers["allow"]) == (405, "")


def test_a_reply_without_a_mandatory_field_is_the_graphs_fault() -> None:
    graph = Graph("short").api("/x", reply={"late": BodyField("$.label", required=True)})
    graph.to(seen)
    with LocalServer(graph.open()) as server:
        answer = httpx.post(f"{server.url}/x", json={})
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "the response's field 'late': the reply has nothing at its place"


def test_a_response_that_says_no_is_not_mapped() -> None:
    graph = Graph("no").api("/x", reply={"late": BodyField("$.label", required=True)})
    graph.to(refused)
    with LocalServer(graph.open()) as server:
        answer = httpx.post(f"{server.url}/x", json=1)
    assert (answer.status_code, answer.json()) == (409, {"why": 1})


def test_a_list_of_streamed_replies_is_mapped_one_by_one() -> None:
    graph = Graph("many").api("/x", reply={"is": "$.square"})
    graph.to(counted)
    with LocalServer(graph.open()) as server:
        assert httpx.post(f"{server.url}/x", json={"to": 3}).json() == [{"is": 0}, {"is": 1}, {"is": 4}]
