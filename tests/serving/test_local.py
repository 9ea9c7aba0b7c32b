import signal
import socket
import subprocess
import sys

import httpx
import probe_steps
import pytest

from modelyard.graphs import Graph
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
