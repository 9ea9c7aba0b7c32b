"""A conversation over a real WebSocket."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from modelyard.graphs import EventInvalid, Graph
from modelyard.serving.limits import Limits
from modelyard.serving.local import LocalServer


def double(body: Any) -> Any:
    if isinstance(body, bytes):
        return body + body
    if body["x"] < 0:
        raise EventInvalid("is not negative", field="x")
    return {"double": body["x"] * 2}


def count(body: Any) -> Iterator[Any]:
    yield from range(body)


def address(server: LocalServer) -> str:
    return server.url.replace("http", "ws", 1)


def test_each_message_is_an_event_and_an_error_does_not_end_it() -> None:
    graph = Graph("doubling")
    graph.to(double)
    with LocalServer(graph.open()) as server, connect(f"{address(server)}/talk") as client:
        client.send(json.dumps({"x": 21}))
        assert client.recv(timeout=60) == '{"double":42}'
        client.send(json.dumps({"x": -1}))
        error = json.loads(client.recv(timeout=60))["error"]
        assert (error["message"], error["step"]) == ("x: is not negative", "double")
        client.send("{")
        assert json.loads(client.recv(timeout=60))["error"]["type"] == "RequestMalformed"
        client.send(b"\xff")
        assert client.recv(timeout=60) == b"\xff\xff"
        client.send(json.dumps({"x": 1}))
        assert client.recv(timeout=60) == '{"double":2}'


def test_a_graph_that_streams_sends_a_message_for_each_reply() -> None:
    graph = Graph("counting")
    graph.to(count)
    with LocalServer(graph.open()) as server, connect(address(server)) as client:
        client.send("3")
        assert [client.recv(timeout=60) for _ in range(3)] == ["0", "1", "2"]


def test_a_message_above_the_limit_ends_the_conversation() -> None:
    graph = Graph("doubling")
    graph.to(double)
    with LocalServer(graph.open(), limits=Limits(body=100)) as server, connect(address(server)) as client:
        client.send(json.dumps({"x": "1" * 200}))
        with pytest.raises(ConnectionClosedError) as raised:
            client.recv(timeout=60)
    assert raised.value.rcvd is not None
    assert raised.value.rcvd.code == 1009
