"""Processes that share a listening socket get equal parts of the connections; here each is played by an acceptor."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modelyard.serving import acceptor
from modelyard.serving.acceptor import Acceptor
from modelyard.serving.server import loop_factory

FACTORIES = {"asyncio": None, "the server's": loop_factory()}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as found:
        found.setblocking(False)
        yield found


class Process:
    """What one process has accepted."""

    def __init__(self, listener: socket.socket) -> None:
        self.connections: list[socket.socket] = []
        self.acceptor = Acceptor(listener.dup(), self.begin, lambda: len(self.connections))

    async def begin(self, connection: socket.socket) -> None:
        await asyncio.sleep(0)
        self.connections.append(connection)

    def close(self) -> None:
        self.acceptor.close()
        for each in self.connections:
            each.close()


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not ready():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("count", [2, 3])
def test_connections_that_come_at_once_are_divided(listener: socket.socket, factory: str, count: int) -> None:
    clients = [socket.create_connection(listener.getsockname()) for _ in range(12)]

    async def share() -> list[int]:
        processes = [Process(listener) for _ in range(count)]
        await until(lambda: sum(len(each.connections) for each in processes) == 12)
        found = [len(each.connections) for each in processes]
        for each in processes:
            each.close()
        return found

    with asyncio.Runner(loop_factory=FACTORIES[factory]) as runner:
        found = runner.run(share())
    assert max(found) - min(found) <= 2
    for client in clients:
        client.close()


@pytest.mark.parametrize("factory", FACTORIES)
def test_who_has_connections_leaves_new_ones_to_who_has_none(listener: socket.socket, factory: str) -> None:
    async def share() -> list[int]:
        busy = Process(listener)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(6)]
        await until(lambda: len(busy.connections) == 6)
        idle = Process(listener)
        clients += [socket.create_connection(listener.getsockname()) for _ in range(4)]
        await until(lambda: len(busy.connections) + len(idle.connections) == 10)
        found = [len(busy.connections), len(idle.connections)]
        busy.close()
        idle.close()
        for client in clients:
            client.close()
        return found

    with asyncio.Runner(loop_factory=FACTORIES[factory]) as runner:
        busy, idle = runner.run(share())
    assert busy < idle + 6


def test_a_connection_is_served_as_it_was_sent_and_no_other_after_the_end(listener: socket.socket) -> None:
    async def scene() -> None:
        process = Process(listener)
        assert process.acceptor.sockets[0].getsockname() == listener.getsockname()
        with socket.create_connection(listener.getsockname()) as client:
            await until(lambda: len(process.connections) == 1)
            [served] = process.connections
            assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert not served.getblocking()
            client.sendall(b"abc")
            assert await asyncio.get_running_loop().sock_recv(served, 3) == b"abc"
        process.acceptor.close()
        process.acceptor.close()
        await process.acceptor.wait_closed()
        assert process.acceptor.sockets == ()
        with socket.create_connection(listener.getsockname()):  # it is left to siblings
            await asyncio.sleep(0.05)
            assert len(process.connections) == 1
            listener.accept()[0].close()
        process.close()

    asyncio.run(scene())


def test_without_room_it_waits_and_goes_on(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor, "PAUSE", 0.01)

    class Full:
        """A listening socket whose process may open nothing more, once."""

        def __init__(self) -> None:
            self.refused = 0

        def accept(self) -> Any:
            if not self.refused:
                self.refused = 1
                raise OSError(errno.EMFILE, "Too many open files")
            return listener.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(listener, name)

    async def scene() -> None:
        connections: list[socket.socket] = []

        async def begin(connection: socket.socket) -> None:
            connections.append(connection)

        full: Any = Full()
        taking = Acceptor(full, begin, lambda: 0)
        with socket.create_connection(listener.getsockname()):
            await until(lambda: bool(connections))
        taking.close()
        connections[0].close()

    asyncio.run(scene())
    assert caplog.messages == ["no connection can be accepted: [Errno 24] Too many open files"]


def test_a_connection_that_does_not_come_about_is_closed(listener: socket.socket) -> None:
    async def scene() -> None:
        async def begin(connection: socket.socket) -> None:
            raise ConnectionResetError("no handshake")

        taking = Acceptor(listener.dup(), begin, lambda: 0)
        with socket.create_connection(listener.getsockname()) as client:
            client.setblocking(False)
            assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 1), 20) == b""
        taking.close()

    asyncio.run(scene())
