"""What a request says of itself is looked at before any of it is taken: lengths, encodings, names."""

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from modelyard.graphs import Graph
from modelyard.serving.connections import HEAD
from modelyard.serving.limits import Limits
from modelyard.serving.local import LocalServer

LIMIT = 100_000
SECONDS = 60.0
"""So long that nothing here ends because of it."""


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    graph = Graph("echo")
    graph.to(lambda event: {"id": event.id, "body": event.body}, name="echo", full_event=True)
    with LocalServer(graph.open(), limits=Limits(body=LIMIT, seconds=SECONDS), grpc_port=0) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[socket.socket]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        yield connection


def answer(client: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Return the status, the headers and the JSON of one answer, as soon as it is there."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(65536) or pytest.fail("the connection ended")
    head, _, body = received.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    while len(body) < int(headers["content-length"]):
        body += client.recv(65536) or pytest.fail("the connection ended")
    return int(line.split(" ")[1]), headers, json.loads(body)


def head_of(size: int) -> bytes:
    begun, end = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\nx-long: ", b"\r\n\r\n"
    return begun + b"y" * (size - len(begun) - len(end)) + end


def test_a_head_that_is_too_large_is_refused_however_it_comes(client: socket.socket) -> None:
    client.sendall(head_of(HEAD + 1) + b"1")
    status, headers, body = answer(client)
    assert (status, headers["connection"]) == (431, "close")
    assert body["error"]["message"] == f"the line and headers of the request are larger than {HEAD} bytes"


def test_a_head_of_just_the_limit_is_taken(client: socket.socket) -> None:
    client.sendall(head_of(HEAD) + b"7")
    assert answer(client)[2]["body"] == 7


def test_requests_one_after_the_other_are_no_large_head(client: socket.socket) -> None:
    one = b"POST / HTTP/1.1\r\nhost: x\r\nx-long: " + b"y" * 1000 + b"\r\ncontent-length: 1\r\n\r\n7"
    many = one * (3 * HEAD // len(one))
    for start in range(0, len(many), 50_001):  # each piece ends within a head
        client.sendall(many[start : start + 50_001])
    received = b""
    while received.count(b'"body":7') < 3 * HEAD // len(one):
        received += client.recv(65536) or pytest.fail(received[-500:].decode())
    assert received.count(b"HTTP/1.1 200 OK") == received.count(b"HTTP/1.1")


@pytest.mark.parametrize("begun", [b"", b"[1,"])
@pytest.mark.parametrize("path", [b"/", b"/v2/models/echo/infer"])
def test_a_body_that_says_that_it_is_too_large_is_refused_at_once(
    client: socket.socket, path: bytes, begun: bytes
) -> None:
    client.sendall(b"POST " + path + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 100001\r\n\r\n" + begun)
    before = time.monotonic()
    status, headers, body = answer(client)
    assert time.monotonic() - before < SECONDS / 2
    assert (status, headers["connection"]) == (413, "close")
    told = body.get("details", body.get("error"))
    assert told["message"] == "the body is larger than 100000 bytes: 100001 bytes"
    assert told["facts"] == {"limit": 100_000, "bytes": 100_001}


def test_a_body_that_is_too_large_is_not_asked_for(client: socket.socket) -> None:
    client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 100001\r\n\r\n")
    assert answer(client)[0] == 413


def test_a_client_that_sends_on_reads_why_it_was_refused(client: socket.socket) -> None:
    client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n" + b"1" * 300_000)
    assert answer(client)[0] == 413


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_a_packed_body_is_taken_for_what_is_in_it(server: LocalServer, encoding: str) -> None:
    headers = {"content-encoding": encoding, "content-type": "application/json"}
    event = httpx.post(server.url, content=gzip.compress(b'{"x": 1}'), headers=headers)
    assert (event.status_code, event.json()["body"]) == (200, {"x": 1})
    parts = gzip.compress(b"[1,") + gzip.compress(b" 2]")
    assert httpx.post(server.url, content=parts, headers=headers).json()["body"] == [1, 2]
    column = {"name": "x", "shape": [1], "datatype": "INT64", "data": [5]}
    packed = gzip.compress(json.dumps({"id": "a", "inputs": [column]}).encode())
    tensors = httpx.post(f"{server.url}/v2/models/echo/infer", content=packed, headers=headers).json()
    assert tensors["outputs"][0]["data"] == ["a"]
    csv = httpx.post(server.url, content=gzip.compress(b"x\n7\n"), headers={**headers, "content-type": "text/csv"})
    assert [row["body"] for row in csv.json()] == [{"x": 7}]


@pytest.mark.parametrize(
    ("encoding", "raw", "status", "message"),
    [
        ("br", b"\x0b\x02", 415, "the content encoding is 'br'"),
        ("gzip, gzip", b"\x1f\x8b", 415, "the content encoding is 'gzip, gzip'"),
        ("gzip", b"[1]", 400, "the body is not gzip: Error -3 while decompressing data: incorrect header check"),
        ("gzip", gzip.compress(b"[1, 2]")[:-3], 400, "the body is not gzip: it ends too early"),
        ("gzip", gzip.compress(b"0" * LIMIT + b"0"), 413, f"the body is larger than {LIMIT} bytes when it is unpacked"),
        ("gzip", gzip.compress(b"x") + gzip.compress(b"0" * LIMIT), 413, f"the body is larger than {LIMIT} bytes"),
    ],
)
def test_a_packed_body_that_nobody_unpacks_is_refused(
    server: LocalServer, encoding: str, raw: bytes, status: int, message: str
) -> None:
    answered = httpx.post(server.url, content=raw, headers={"content-encoding": encoding})
    assert (answered.status_code, answered.json()["error"]["message"][: len(message)]) == (status, message)
    assert answered.headers.get("accept-encoding") == ("gzip, identity" if status == 415 else None)


RULE = "at most 256 printable characters"


@pytest.mark.parametrize("name", ["7" * 257, "a\tb", "a\x85b"])
def test_a_name_that_no_log_could_hold_is_refused(server: LocalServer, name: str) -> None:
    tensor = {"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [5.0]}
    infer = f"{server.url}/v2/models/echo/infer"
    raw = {b"x-request-id": name.encode("latin-1")}
    for found in (
        httpx.post(server.url, json=1, headers=raw),
        httpx.post(infer, json={"inputs": [tensor]}, headers=raw),
    ):
        told = found.json().get("details", found.json()["error"])
        assert (found.status_code, told["message"]) == (400, f"the header x-request-id is {RULE}, not {name!r:.80}")
    told = f"its id is {RULE}, not {name!r:.80}"
    found = httpx.post(infer, json={"id": name, "inputs": [tensor]})
    assert (found.status_code, found.json()["details"]["message"]) == (400, told)
    column = InferInput("x", [1, 1], "FP64")
    column.set_data_from_numpy(np.ones((1, 1)))
    with (
        closing(InferenceServerClient(server.grpc_address)) as client,
        pytest.raises(InferenceServerException, match=re.escape(told)),
    ):
        client.infer("echo", [column], request_id=name)
    cloud = {"specversion": "1.0", "id": name, "source": "/s", "type": "t"}
    found = httpx.post(server.url, json=cloud, headers={"content-type": "application/cloudevents+json"})
    assert found.json()["error"]["message"] == f"the body is not a CloudEvent: {told}"


def test_a_name_of_just_the_length_is_the_events(server: LocalServer) -> None:
    name = "é" + "7" * 255
    found = httpx.post(server.url, json=1, headers={b"x-request-id": name.encode("latin-1")})
    assert found.json()["id"] == name
