"""Starts servers, sends them load with wrk, and reads what it cost them."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

FOLDER = Path(__file__).parent
PATH = "/v2/models/model/infer"
PATIENCE = 60.0
"""Seconds that a server may take until it answers."""
_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Load:
    """What some seconds of load came to.

    Parameters
    ----------
    rate
        Requests per second.
    p50, p99
        Milliseconds that half, and all but one in a hundred, of the answers took at most.
    cpu
        CPU microseconds per request: user and system time of all the server's processes and threads.
    """

    rate: float
    p50: float
    p99: float
    cpu: float


class Server:
    """A server's processes.

    Parameters
    ----------
    name
        How messages call it.
    command
        What starts it; it is told the port as its last word but `rest`.
    rest
        What comes after the port.
    requests
        A file of requests, one a line.

    Attributes
    ----------
    cold
        Seconds from the start of the process to the first answer.
    """

    def __init__(self, name: str, command: Sequence[str], requests: Path, rest: Sequence[str] = ()) -> None:
        self.name = name
        self._requests = requests
        self._port = _free_port()
        self._log = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 (it lives as long as the process)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        began = time.perf_counter()
        self._process = psutil.Popen(
            [*command, str(self._port), *rest],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # a busy Linux gives each session its part, not each process: ours is wrk's alone
        )
        self._await_answer(requests.read_bytes().partition(b"\n")[0])
        self.cold = time.perf_counter() - began

    def labels(self) -> list[int]:
        """Return the labels that the requests are answered with."""
        return [_label(self._ask(body)) for body in self._requests.read_bytes().splitlines()]

    def load(self, connections: int, seconds: int) -> Load:
        """Send the first request again and again on so many connections; refuse a server that refuses any."""
        url = f"http://127.0.0.1:{self._port}{PATH}"
        words = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(FOLDER / "load.lua"), url]
        before = self._seconds()
        done = subprocess.run(
            [wrk(), *words, "--", str(self._requests)], capture_output=True, text=True, check=True, timeout=seconds + 60
        )
        used = self._seconds() - before
        told = json.loads(done.stdout.strip().splitlines()[-1])
        if told["refused"] or told["broken"] or not told["requests"]:
            raise SystemExit(f"{self.name}: not every answer was a good one: {told}\n{self._said()}")
        count = told["requests"]
        return Load(count / told["seconds"], told["p50"] / 1e3, told["p99"] / 1e3, used / count * 1e6)

    def memory(self) -> float:
        """Return the proportional set size of all processes, in megabytes."""
        return sum(each.memory_full_info().pss for each in self._tree()) / 1e6

    def close(self) -> None:
        """End all processes."""
        tree = self._tree()
        for each in tree:
            each.kill()
        psutil.wait_procs(tree, timeout=10)
        self._log.close()

    def _tree(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def _seconds(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self._tree())

    def _await_answer(self, body: bytes) -> None:
        until = time.perf_counter() + PATIENCE
        while time.perf_counter() < until:
            if self._process.poll() is not None:
                raise SystemExit(f"{self.name} ended (status {self._process.returncode}):\n{self._said()}")
            try:
                self._ask(body)
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)
        said = self._said()
        self.close()
        raise SystemExit(f"{self.name} did not answer within {PATIENCE:g} s:\n{said}")

    def _ask(self, body: bytes) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("POST", PATH, body, _HEADERS)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status != 200:  # a server that listens before its model is loaded says so
            raise http.client.HTTPException(f"{answer.status} {said!r:.200}")
        return json.loads(said)

    def _said(self) -> str:
        self._log.seek(0)
        return "".join(self._log.readlines()[-20:])


def wrk() -> str:
    """Return where the load generator is."""
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk, which sends the load, is not installed: apt-get install wrk, or brew install wrk")
    return found


def write_models(folder: Path) -> None:
    """Write models, requests and bundles; in a process of its own, so that nobody shares its memory."""
    subprocess.run([sys.executable, str(FOLDER / "models.py"), str(folder)], check=True)


def _label(answer: dict[str, Any]) -> int:
    return int(answer["outputs"][0]["data"][0])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
