"""What a client sees, over real HTTP."""

import asyncio
import datetime
import http.client
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import httpx
import msgspec
import numpy as np
import probe_steps
import pytest

from modelyard.graphs import Graph
from modelyard.serving.application import Application
from modelyard.serving.errors import ScopeUnsupported
from modelyard.serving.local import LocalServer

LIMIT = 1000


class Reply(msgspec.Struct):
    number: int


REPLIES: dict[str, Any] = {
    "nan": {"share": float("nan")},
    "array": {"labels": np.array([[1, 2], [3, 4]]), "one": np.float64(0.5), "flag": np.bool_(True)},
    "struct": Reply(3),
    "keys": {1: "one"},
    "time": {"at": datetime.datetime(2013, 1, 1, 5, tzinfo=datetime.UTC)},
    "none": None,
    "bad": {"what": object()},
    "bytes": b"raw",
}


def reply(body: Any) -> Any:
    if body == "crash":
        raise RuntimeError("secret path /etc/passwd")
    return REPLIES.get(body, body) if isinstance(body, str) else body


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    graph = Graph("replies")
    graph.to(reply)
    with LocalServer(graph.open(), body_limit=LIMIT) as server:
        yield server.url


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


def test_probes_and_metadata(client: httpx.Client, url: str) -> None:
    assert client.get(f"{url}/v2/health/live").json() == {"live": True}
    assert client.get(f"{url}/v2/health/ready").json() == {"ready": True}
    assert client.get(f"{url}/v2").json() == {
        "name": "replies",
        "version": version("modelyard"),
        "extensions": ["binary_tensor_data", "model_repository"],
        "steps": ["reply"],
        "models": {},
    }
    assert client.get(url).json()["name"] == "replies"
    head = client.head(f"{url}/v2")
    assert (head.status_code, head.content, int(head.headers["content-length"]) > 10) == (200, b"", True)


@pytest.mark.parametrize("path", ["/", "/v1/predict", "/any/path"])
def test_an_event_goes_in_and_its_reply_comes_back(client: httpx.Client, url: str, path: str) -> None:
    answer = client.post(url + path, json={"x": [1, 2.5, None, "ü", True]})
    assert answer.json() == {"x": [1, 2.5, None, "ü", True]}
    assert answer.headers["content-type"] == "application/json"
    assert "connection" not in answer.headers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nan", {"share": None}),
        ("array", {"labels": [[1, 2], [3, 4]], "one": 0.5, "flag": True}),
        ("struct", {"number": 3}),
        ("keys", {"1": "one"}),
        ("time", {"at": "2013-01-01T05:00:00+00:00"}),
        ("none", None),
    ],
)
def test_replies_become_json(client: httpx.Client, url: str, name: str, expected: Any) -> None:
    answer = client.post(url, json=name)
    assert (answer.status_code, answer.json()) == (200, expected)


def test_a_body_is_optional(client: httpx.Client, url: str) -> None:
    assert client.post(url).json() is None


@pytest.mark.parametrize(
    ("send", "status", "type_", "message"),
    [
        ({"content": b"{x"}, 400, "RequestMalformed", "the body is not JSON: JSON is malformed"),
        ({"content": b"\xff"}, 400, "RequestMalformed", "the body is not JSON"),
        ({"content": b"[1,"}, 400, "RequestMalformed", "the body is not JSON: Input data was truncated"),
        ({"data": {"x": "1"}}, 415, "MediaTypeUnsupported", "the content type is application/x-www-form-urlencoded"),
        ({"content": b"1", "headers": {"content-type": "text/html"}}, 415, "MediaTypeUnsupported", "text/html"),
        ({"content": b"\xff", "headers": {"content-type": "text/plain"}}, 400, "RequestMalformed", "is not UTF-8 text"),
        ({"content": b"1" * (LIMIT + 1)}, 413, "BodyTooLarge", "the body is larger than 1000 bytes"),
        ({"content": iter([b"1" * 600, b"1" * 600])}, 413, "BodyTooLarge", "larger than 1000 bytes"),
        ({"json": "crash"}, 500, "RuntimeError", "the step raised RuntimeError: secret path /etc/passwd"),
        ({"json": "bad"}, 500, "ReplyInvalid", "the reply is not JSON"),
        ({"method": "PUT", "json": 1}, 405, "MethodNotAllowed", "/ does not answer PUT"),
        ({"method": "DELETE", "path": "/v2"}, 405, "MethodNotAllowed", "/v2 does not answer DELETE"),
        ({"method": "GET", "path": "/x"}, 404, "PathNotFound", "nothing answers at /x"),
        ({"path": "/v2/models/x", "json": 1}, 404, "ModelUnknown", "no model is called 'x'"),
    ],
)
def test_what_cannot_be_answered_is_said_as_json(
    client: httpx.Client, url: str, send: dict[str, Any], status: int, type_: str, message: str
) -> None:
    method, path = send.pop("method", "POST"), send.pop("path", "/")
    answer = client.request(method, url + path, **send)
    body = answer.json()
    # below /v2 an error has the form of the protocol
    error = body["details"] if path.startswith("/v2") else body["error"]
    assert (answer.status_code, error["type"]) == (status, type_)
    assert message in error["message"]
    assert not path.startswith("/v2") or message in body["error"]
    assert "Traceback" not in answer.text
    assert client.post(url, json=1).json() == 1


def test_an_error_names_graph_step_and_the_event_of_the_request(client: httpx.Client, url: str) -> None:
    answer = client.post(url, json="crash", headers={"x-request-id": "e7"})
    assert answer.json() == {
        "error": {
            "type": "RuntimeError",
            "kind": "user_code",
            "message": "the step raised RuntimeError: secret path /etc/passwd",
            "graph": "replies",
            "step": "reply",
            "event": "e7",
        }
    }
    assert client.put(url, json=1).headers["allow"] == "GET, HEAD, POST"


def test_a_refused_event_has_the_status_of_its_kind() -> None:
    graph = Graph("g")
    graph.to(probe_steps.refuse)
    with LocalServer(graph.open()) as server:
        answer = httpx.post(server.url, json={})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "scheduled: must be a time such as 17:45"
    assert answer.json()["error"]["mend"] == "Send HH:MM."
    assert answer.json()["error"]["facts"] == {"field": "scheduled"}


def test_the_body_limit_is_inclusive(client: httpx.Client, url: str) -> None:
    exact = b'"' + b"x" * (LIMIT - 2) + b'"'
    assert client.post(url, content=exact).status_code == 200


def test_a_body_far_above_the_limit_is_answered_or_cut_off(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.putrequest("POST", "/")
    connection.putheader("content-length", str(LIMIT * 1000))
    connection.endheaders()
    connection.send(b"1" * (LIMIT * 8))
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection")) == (413, "close")
    connection.close()


def test_a_client_that_goes_away_harms_nobody(client: httpx.Client, url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    for piece in (b"", b"POST / HTTP/1.1\r\ncontent-length: 50\r\n\r\n{", b"\x00\xff garbage\r\n\r\n"):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(piece)
    assert client.post(url, json=1).json() == 1


def test_slow_coroutine_steps_do_not_wait_for_each_other() -> None:
    meeting = asyncio.Barrier(10)

    async def meet(body: Any) -> Any:
        async with asyncio.timeout(60):
            await meeting.wait()
        return body

    graph = Graph("g")
    graph.to(meet)
    with LocalServer(graph.open()) as server, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda number: httpx.post(server.url, json=number).json(), range(10)))
    assert answers == list(range(10))


def test_a_step_sees_how_the_event_arrived() -> None:
    graph = Graph("g")
    graph.to(probe_steps.describe, full_event=True)
    with LocalServer(graph.open()) as server:
        answer = httpx.post(f"{server.url}/flights", json=5, headers={"x-request-id": "r1", "user-agent": "me"})
    assert answer.json() == {"id": "r1", "path": "/flights", "agent": "me", "body": 5}


def test_it_runs_on_any_asgi_server() -> None:
    graph = Graph("echo")
    graph.to(reply)
    application = Application(graph.open(), description={"revision": "abc"})

    async def ask() -> tuple[Any, Any]:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            before = await client.post("/", json={"x": 1})
            application.draining = True
            after = await client.get("/v2")
            return (before.json(), before.headers.get("connection")), (after.json(), after.headers["connection"])

    before, after = asyncio.run(ask())
    assert before == ({"x": 1}, None)
    assert after == (
        {
            "name": "echo",
            "version": version("modelyard"),
            "extensions": ["binary_tensor_data", "model_repository"],
            "steps": ["reply"],
            "models": {},
            "revision": "abc",
        },
        "close",
    )


def test_the_lifespan_of_other_servers_is_answered() -> None:
    graph = Graph("echo")
    graph.to(reply)
    sent: list[str] = []

    async def live(send_types: Callable[[], str]) -> None:
        async def receive() -> Any:
            return {"type": send_types()}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await Application(graph.open())({"type": "lifespan"}, receive, send)

    messages = iter(["lifespan.startup", "lifespan.shutdown"])
    asyncio.run(live(lambda: next(messages)))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_what_is_no_protocol_of_http_is_refused_with_an_error() -> None:
    async def nothing(*given: Any) -> Any:
        raise AssertionError(given)

    graph = Graph("echo")
    graph.to(lambda body: body, name="echo")
    told = "a graph answers http and websocket, and not 'mqtt'"
    with graph.open() as plan, pytest.raises(ScopeUnsupported, match=told):
        asyncio.run(Application(plan)({"type": "mqtt"}, nothing, nothing))
