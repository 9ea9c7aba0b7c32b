"""Taking over a socket, and giving it up."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import probe_steps
import pytest

from modelyard.graphs import Graph
from modelyard.serving import AddressInvalid, PortTaken
from modelyard.serving.application import Application
from modelyard.serving.server import GraphServer
from modelyard.serving.server_socket import listen


class Held:
    """A step that answers 0 at once and anything else when it is let."""

    def __init__(self) -> None:
        self.inside, self.leave = asyncio.Event(), asyncio.Event()

    async def do(self, body: Any) -> Any:
        if body:
            self.inside.set()
            await self.leave.wait()
        return body


def run(scenario: Callable[[GraphServer, socket.socket], Awaitable[Any]], step: Any = probe_steps.wait) -> Any:
    """Run a scenario beside a server of one waiting step."""
    graph = Graph("g")
    graph.to(step)
    server = GraphServer(Application(graph.open()))

    async def whole() -> Any:
        clock = await server.begin()
        listener = listen("127.0.0.1", 0)
        await server.accept_from(listener)
        try:
            return await scenario(server, listener)
        finally:
            server.stop_accepting()
            server.should_exit = True
            await clock
            await server.drain(idle=0, limit=1)

    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        return runner.run(whole())


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_what_is_under_way_is_finished_and_told_to_go_elsewhere() -> None:
    held = Held()

    async def scenario(server: GraphServer, listener: socket.socket) -> Any:
        async with httpx.AsyncClient() as client:
            url = url_of(listener)
            assert "connection" not in (await client.post(url, json=0)).headers
            request = asyncio.create_task(client.post(url, json=1))
            await held.inside.wait()
            drained = asyncio.create_task(server.drain(idle=60, limit=60))
            await asyncio.sleep(0)
            held.leave.set()
            answer = await request
            with pytest.raises(httpx.ConnectError):
                await client.post(url, json=2)
            return await drained, answer.json(), answer.headers["connection"]

    assert run(scenario, held) == (True, 1, "close")


def test_a_silent_connection_is_left_open_for_a_while() -> None:
    async def scenario(server: GraphServer, listener: socket.socket) -> Any:
        async with httpx.AsyncClient() as client:
            url = url_of(listener)
            await client.post(url, json=0)
            drain = asyncio.create_task(server.drain(idle=60, limit=60))
            await asyncio.sleep(0.3)
            late = await client.post(url, json=1)
            return await drain, late.json(), late.headers["connection"]

    assert run(scenario) == (True, 1, "close")


def test_silence_ends_when_its_time_is_over_and_work_when_the_limit_is() -> None:
    async def scenario(server: GraphServer, listener: socket.socket) -> Any:
        loop = asyncio.get_running_loop()
        async with httpx.AsyncClient() as client:
            await client.get(f"{url_of(listener)}/v2")
            start = loop.time()
            quiet = await server.drain(idle=0.2, limit=120)
            return quiet, loop.time() - start

    quiet, took = run(scenario)
    assert quiet
    assert 0.2 <= took < 40
    held = Held()

    async def stuck(server: GraphServer, listener: socket.socket) -> Any:
        async with httpx.AsyncClient() as client:
            request = asyncio.create_task(client.post(url_of(listener), json=1))
            await held.inside.wait()
            drained = await server.drain(idle=0.1, limit=0.3)
            request.cancel()
            return drained

    assert run(stuck, held) is False


def test_one_connection_can_be_answered_without_a_listener() -> None:
    async def scenario(server: GraphServer, listener: socket.socket) -> Any:
        ours, theirs = socket.socketpair()
        await server.attach(theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(b"GET /v2/health/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    answer = run(scenario)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b'{"ready":true}')


def test_listening_waits_for_a_port_that_gets_free() -> None:
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    with pytest.raises(PortTaken) as caught:
        listen("127.0.0.1", port)
    assert caught.value.facts == {"host": "127.0.0.1", "port": port}
    threading.Timer(0.2, first.close).start()
    start = time.monotonic()
    second = listen("127.0.0.1", port, patience=120)
    assert time.monotonic() - start < 60
    assert second.getsockname()[1] == port
    second.close()


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(AddressInvalid, match=r"nothing can listen on 203\.0\.113\.1, port 0: Cannot assign"):
        listen("203.0.113.1", 0)
    with pytest.raises(AddressInvalid, match="nothing can listen on no such host"):
        listen("no such host", 0)
