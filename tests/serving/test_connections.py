"""Clients that are slow, or speak something else: each gets a clear answer in time, and holds nobody up."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from modelyard.graphs import Graph
from modelyard.serving.connections import HEAD, Connections, HttpConnection
from modelyard.serving.limits import Limits
from modelyard.serving.local import LocalServer

SECONDS = 0.8
BIG = 30_000_000
HEADERS = b"host: x\r\ncontent-type: application/json\r\n"


def told(body: Any) -> Any:
    return "x" * BIG if body == "much" else body


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    graph = Graph("echo")
    graph.to(told)
    with LocalServer(graph.open(), limits=Limits(seconds=SECONDS)) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[socket.socket]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        yield connection


def answer(client: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Return the status, the headers and the JSON of an answer after which the connection is closed."""
    received = b""
    while piece := client.recv(65536):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return int(line.split(" ")[1]), dict(field.split(": ", 1) for field in fields), json.loads(body)


def echoes(server: LocalServer) -> bool:
    return bool(httpx.post(server.url, json=[7], timeout=20).json() == [7])


@pytest.mark.parametrize("begun", [b"P", b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-le"])
def test_a_head_that_does_not_end_is_answered_and_the_connection_closed(
    server: LocalServer, client: socket.socket, begun: bytes
) -> None:
    client.sendall(begun)
    assert echoes(server)
    status, headers, body = answer(client)
    assert (status, headers["connection"], headers["content-type"]) == (408, "close", "application/json")
    message = f"the headers of the request did not arrive within {SECONDS:g} seconds"
    assert body == {"error": {"type": "HttpRefusal", "kind": "timeout", "message": message}}


def test_a_head_that_trickles_has_no_more_time_than_one_that_stops(client: socket.socket) -> None:
    client.sendall(b"POST / HTTP/1.1\r\n")
    client.settimeout(0.05)
    received = b""
    for number in range(400):
        try:
            client.sendall(b"x-%d: y\r\n" % number)
            received = client.recv(65536)
            break
        except TimeoutError:
            continue
    assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_the_second_request_of_a_connection_has_its_own_time(client: socket.socket) -> None:
    whole = b"POST / HTTP/1.1\r\n" + HEADERS + b"content-length: 3\r\n\r\n[1]"
    client.sendall(whole)
    assert client.recv(65536).endswith(b"[1]")
    time.sleep(2 * SECONDS)  # a connection between two requests may rest longer than a request may take
    client.sendall(whole)
    assert client.recv(65536).endswith(b"[1]")
    client.sendall(whole[:20])
    assert answer(client)[0] == 408


@pytest.mark.parametrize("begun", [b"", b"[1,"])
def test_a_body_that_does_not_end_is_answered(server: LocalServer, client: socket.socket, begun: bytes) -> None:
    client.sendall(b"POST / HTTP/1.1\r\n" + HEADERS + b"connection: close\r\ncontent-length: 30\r\n\r\n" + begun)
    assert echoes(server)
    status, _, body = answer(client)
    assert (status, body["error"]["type"], body["error"]["kind"]) == (408, "RequestTimeout", "timeout")
    expected = f"the body did not arrive within {SECONDS:g} seconds: {len(begun)} bytes did"
    assert body["error"]["message"] == expected


@pytest.mark.parametrize("path", [b"/", b"/v2/models/echo/infer"])
def test_a_part_of_a_body_is_not_taken_for_the_whole(server: LocalServer, path: bytes) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    before = requests(server)
    table = b"host: x\r\ncontent-type: text/csv\r\ncontent-length: 100\r\n\r\na,b\n1,2\n3,4\n"
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(b"POST " + path + b" HTTP/1.1\r\n" + table)
        time.sleep(0.1)  # so that it is there before the end
    deadline = time.monotonic() + 20
    while requests(server) == before:
        assert time.monotonic() < deadline
    assert {status for status, count in requests(server).items() if count != before.get(status, 0)} == {"400"}


def requests(server: LocalServer) -> dict[str, float]:
    """Return how many requests with a body were answered with which status."""
    found: dict[str, float] = {}
    for line in httpx.get(f"{server.url}/metrics", timeout=20).text.splitlines():
        if line.startswith("modelyard_requests_total{") and 'protocol="info"' not in line:
            status = line.partition('status="')[2].partition('"')[0]
            found[status] = found.get(status, 0) + float(line.rpartition(" ")[2])
    return found


def test_a_client_that_does_not_read_its_answer_is_cut_off(server: LocalServer, client: socket.socket) -> None:
    client.sendall(b"POST / HTTP/1.1\r\n" + HEADERS + b"content-length: 6\r\n\r\n" + b'"much"')
    assert echoes(server)
    time.sleep(4 * SECONDS)  # being slow is what is tested
    received = 0
    with suppress(ConnectionResetError):
        while piece := client.recv(1 << 20):
            received += len(piece)
    assert received < BIG


def test_a_client_that_reads_slowly_but_reads_gets_everything(client: socket.socket) -> None:
    client.sendall(b"POST / HTTP/1.1\r\n" + HEADERS + b"connection: close\r\ncontent-length: 6\r\n\r\n" + b'"much"')
    received, begun = 0, time.monotonic()
    while piece := client.recv(1 << 20):
        received += len(piece)
        if time.monotonic() - begun < 3 * SECONDS:
            time.sleep(SECONDS / 8)
    assert time.monotonic() - begun > 2 * SECONDS
    assert received > BIG


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\nbad header: y\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_said_as_json(server: LocalServer, client: socket.socket, sent: bytes) -> None:
    client.sendall(sent)
    status, headers, body = answer(client)
    assert (status, headers["connection"], set(body)) == (400, "close", {"error"})
    assert echoes(server)


def test_a_head_without_end_is_refused_before_it_fills_the_memory(server: LocalServer, client: socket.socket) -> None:
    client.sendall(b"POST / HTTP/1.1\r\nx-long: ")
    sent = 0
    with suppress(OSError):
        while sent < 200_000_000:
            sent += client.send(b"y" * HEAD)
    assert sent < 20_000_000  # what the kernel keeps between the two
    assert echoes(server)


def test_a_large_head_is_told_its_size(client: socket.socket) -> None:
    client.sendall(b"POST / HTTP/1.1\r\nx-long: " + b"y" * (HEAD - 20))
    status, _, body = answer(client)
    assert status == 431
    assert body["error"]["message"] == f"the line and headers of the request are larger than {HEAD} bytes"


class Silent:
    """A connection on which nothing ever arrived."""

    def __init__(self) -> None:
        self.closed = False
        self.transport = SimpleNamespace(get_write_buffer_size=lambda: 0, abort=self.close, close=self.close)

    def close(self) -> None:
        self.closed = True


def test_what_has_nothing_to_wait_for_is_left_alone() -> None:
    connection = Silent()
    connections = Connections(seconds=1.0, idle=2.0)
    for now in range(100):
        connections.look([connection], float(now))
    assert not connection.closed


class Answered:
    response_complete = True


class Resting(HttpConnection):
    """A connection that has had its answer."""

    def __init__(self) -> None:
        self.closed = False
        self.scope: Any = {"method": "GET"}
        self.transport: Any = SimpleNamespace(
            get_write_buffer_size=lambda: 0, is_closing=lambda: self.closed, close=self.close
        )
        self.answered()

    def answered(self) -> None:
        self.cycle: Any = Answered()

    def close(self) -> None:
        self.closed = True


def test_a_connection_rests_for_a_while_after_each_answer() -> None:
    connection = Resting()
    connections = Connections(seconds=1.0, idle=3.0)
    for now in range(3):
        connections.look([connection], float(now))
    connection.answered()
    for now in range(3, 6):
        connections.look([connection], float(now))
        assert not connection.closed
    connections.look([connection], 6.0)
    assert connection.closed
