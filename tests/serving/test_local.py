import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import probe_steps
import pytest

from modelyard.graphs import Graph, OpeningFailed
from modelyard.serving import PortTaken
from modelyard.serving.local import LocalServer


def echo() -> Graph:
    graph = Graph("echo")
    graph.to(probe_steps.scale)
    return graph


def test_it_listens_on_this_machine_alone_and_ends_with_the_block() -> None:
    with LocalServer(echo().open()) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert httpx.post(server.url, json=2).json() == 2.0
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_taken_port_is_said() -> None:
    with LocalServer(echo().open()) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(PortTaken, match=f"port: the port {port} on 127.0.0.1 is taken. Choose another"):
            LocalServer(echo().open(), port=port)


def test_other_addresses_are_possible() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with LocalServer(echo().open(), host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.post(server.url, json=2).json() == 2.0


def test_serve_answers_until_it_is_interrupted() -> None:
    code = "from modelyard.graphs import Graph; g = Graph('echo'); g.to('operator.neg'); g.serve()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.split()[3]
        assert line == f"echo answers at {url} (Ctrl+C ends it)\n"
        assert httpx.post(url, json=3).json() == -3
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "echo ended\n"
        assert process.wait() == 0


BUSY = """
import asyncio, pathlib
from modelyard.graphs import Graph


async def work(body):
    pathlib.Path(body).touch()
    await asyncio.sleep(0.5)
    return "done"


graph = Graph("busy")
graph.to(work)
graph.serve()
"""


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_what_is_under_way_is_answered_before_serve_ends(tmp_path: Path, asked: int) -> None:
    begun = tmp_path / "begun"
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3]
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(httpx.post, url, json=str(begun), timeout=60)
            until = time.monotonic() + 60
            while not begun.exists() and time.monotonic() < until:
                time.sleep(0.01)
            process.send_signal(asked)
            assert answer.result().json() == "done"
        assert process.stdout.read() == "busy ended\n"
        assert process.wait() == 0


OWN = """
import asyncio
from modelyard.graphs import Graph, OpeningFailed


class Own:
    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *error):
        print("closed on its loop" if asyncio.get_running_loop() is self.loop else "closed elsewhere", flush=True)

    async def do(self, body):
        return "its loop" if asyncio.get_running_loop() is self.loop else "another loop"


graph = Graph("own")
graph.to(Own)
graph.serve()
"""


def test_what_steps_open_belongs_to_the_loop_that_runs_them() -> None:
    with subprocess.Popen([sys.executable, "-c", OWN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3]
        assert httpx.post(url, json=3).json() == "its loop"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "own ended\nclosed on its loop\n"
        assert process.wait() == 0


def test_a_graph_that_does_not_open_is_said_where_the_block_begins() -> None:
    graph = Graph("broken")

    class Broken:
        async def __aenter__(self) -> None:
            raise ValueError("no key")

        async def __aexit__(self, *error: object) -> None:
            pass

        async def do(self, body: object) -> object:
            return body

    graph.to(Broken)
    with pytest.raises(OpeningFailed, match="no key"), LocalServer(graph.open_async):
        pass


def test_requests_are_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    with LocalServer(echo().open()) as server:
        assert httpx.post(server.url, json=2).json() == 2.0
    assert capfd.readouterr() == ("", "")
