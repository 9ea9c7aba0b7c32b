"""A whole response goes out with one write, and is what uvicorn would have sent message by message."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from modelyard.graphs import Graph
from modelyard.serving.application import Application
from modelyard.serving.asgi import Message, Receive, Scope, Send
from modelyard.serving.server import GraphServer

ROW = b'{"inputs": [{"name": "rows", "shape": [1, 2], "datatype": "FP64", "data": [2.0, 0.5]}]}'


class Transport:
    """Keeps what is written to it, write by write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Sums:
    """Adds up rows; what is no row stays as it is."""

    def do(self, body: Any) -> Any:
        return {"sum": sum(body)} if isinstance(body, list | tuple) else body

    def do_batch(self, bodies: list[Any]) -> list[Any]:
        return [self.do(body) for body in bodies]


def graph() -> Graph:
    made = Graph("sums")
    made.to(Sums, name="sum")
    return made


def request(head: str, body: bytes = b"") -> bytes:
    return f"{head}\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


REQUESTS = {
    "row": request("POST /v2/models/sums/infer HTTP/1.1", ROW),
    "event": request("POST / HTTP/1.1", b'{"a": 1}'),
    "error": request("POST / HTTP/1.1", b"{"),
    "nobody": request("GET /nothing HTTP/1.1"),
    "head": request("HEAD / HTTP/1.1"),
    "last": request("POST / HTTP/1.1\r\nconnection: close", b"[1, 2]"),
    "old": request("POST / HTTP/1.0", b"[1, 2]"),
    "expecting": request("POST / HTTP/1.1\r\nexpect: 100-continue", b"[1, 2]"),
    "two": request("POST / HTTP/1.1", b"[1, 2]") + request("POST / HTTP/1.1", b"[3]"),
}


@asynccontextmanager
async def connected(application: Application) -> AsyncIterator[tuple[Any, Transport]]:
    """Give a connection of a server; what it has begun is waited for."""
    server = GraphServer(application)
    server.config.load()
    server.server_state.default_headers = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
    connection: Any = server._protocol()
    transport = Transport()
    connection.connection_made(transport)
    yield connection, transport
    async with asyncio.timeout(30):
        while server.server_state.tasks:  # the next request of a connection begins when the one before is answered
            await asyncio.wait(list(server.server_state.tasks))


async def sent(which: str, *, draining: bool = False) -> tuple[Transport, Transport]:
    """Return what the connection sends, and what it sends if the application gives messages, as to any ASGI server."""
    application = Application(graph().open())
    application.draining = draining

    async def masked(scope: Scope, receive: Receive, send: Send) -> None:
        async def plain(message: Message) -> None:
            await send(message)

        await application(scope, receive, plain)

    async with connected(application) as (connection, whole):
        connection.data_received(REQUESTS[which])
    async with connected(application) as (connection, plainly):
        connection.app = masked
        connection.data_received(REQUESTS[which])
    return whole, plainly


@pytest.mark.parametrize("draining", [False, True], ids=["serving", "draining"])
@pytest.mark.parametrize("which", REQUESTS)
def test_a_whole_response_has_the_bytes_of_uvicorns_own(which: str, draining: bool) -> None:
    whole, plainly = asyncio.run(sent(which, draining=draining))
    assert b"".join(whole.writes) == b"".join(plainly.writes)
    assert b"HTTP/1.1 " in plainly.writes[0]
    assert whole.closed == plainly.closed == (draining or which in ("last", "old"))


@pytest.mark.parametrize(
    ("which", "writes", "messages"),
    [("row", 1, 2), ("event", 1, 2), ("two", 2, 4), ("head", 1, 1), ("expecting", 2, 3)],
)
def test_it_takes_one_write(which: str, writes: int, messages: int) -> None:
    whole, plainly = asyncio.run(sent(which))
    assert (len(whole.writes), len(plainly.writes)) == (writes, messages)


def test_the_quick_way_of_one_row_says_what_the_long_one_does() -> None:
    application = Application(graph().open())
    assert "/v2/models/sums/infer" in application.service.lanes
    body = asyncio.run(sent("row"))[0].writes[0].partition(b"\r\n\r\n")[2]
    assert json.loads(body) == {
        "model_name": "sums",
        "outputs": [{"name": "sum", "datatype": "FP64", "shape": [1, 1], "data": [2.5]}],
    }


def test_a_client_that_takes_nothing_is_waited_for() -> None:
    async def scene() -> tuple[list[bytes], list[bytes]]:
        async with connected(Application(graph().open())) as (connection, transport):
            connection.pause_writing()
            connection.data_received(REQUESTS["event"])
            for _ in range(50):
                await asyncio.sleep(0)
            before = list(transport.writes)
            connection.resume_writing()
        return before, transport.writes

    before, after = asyncio.run(scene())
    assert before == []
    assert after[-1] == b'{"a":1}'


def test_who_went_away_is_sent_nothing() -> None:
    async def scene() -> list[bytes]:
        async with connected(Application(graph().open())) as (connection, transport):
            connection.data_received(REQUESTS["event"])
            connection.connection_lost(None)
        return transport.writes

    assert asyncio.run(scene()) == []
