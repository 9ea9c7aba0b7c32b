"""Load while everything happens to an endpoint that can: updates, rollbacks, canaries, reloads, killed workers.

The short version runs with the suite, the long one in ``make soak``.
"""

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton
from probe_endpoint import STEPS as MODEL_STEPS
from probe_endpoint import order_for, processes
from probe_models import fitted, save_model
from probe_wrk import Asked, read_load

from modelyard.deploy import read_endpoint
from modelyard.deploy.local.target import LocalTarget

STEPS = """
def answer(body):
    return {"word": %r, "double": 2 * body["x"]}
"""
TARGET = LocalTarget()
SETTINGS = {"target": "local", "workers": 2}
TRIAL = {"gates": {"requests": 50, "latency": 1000}, "seconds": 0.5}
SECONDS = 60.0
PART = 0.8
"""Of what the endpoint can do at most, so much is asked of it."""
LATE, EARLY = '{"a":2.0,"b":0.0,"c":0.0}', '{"a":-2.0,"b":0.0,"c":0.0}'
SAID = {LATE: '"label":true', EARLY: '"label":false'}
RETRY = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
CONFIG = {"methodConfig": [{"name": [{"service": "inference.GRPCInferenceService"}], "retryPolicy": RETRY}]}


def deploy(state: Path, word: str, **changes: Any) -> Any:
    return TARGET.deploy(order_for(state, word, **{"module": STEPS, "settings": SETTINGS, **changes}))


class Load:
    """Some keep-alive clients that check every answer and count what was lost."""

    def __init__(self, url: str, clients: int = 4, pause: float = 0.002) -> None:
        self.answered = self.wrong = 0
        self.lost: list[str] = []
        self._address = urlsplit(url)
        self._pause = pause
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _run(self, seed: int) -> None:
        numbers = random.Random(seed)
        connection = self._connection()
        while not self._done.is_set():
            number = numbers.randrange(10**6)
            try:
                connection.request("POST", "/", json.dumps({"x": number}), {"content-type": "application/json"})
                response = connection.getresponse()
                reply = json.loads(response.read())
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(type(error).__name__)
                connection.close()
                connection = self._connection()
                continue
            self.answered += 1
            self.wrong += response.status != 200 or reply.get("double") != 2 * number
            time.sleep(self._pause)  # a rate below what the machine can do
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=30)


def update_and_roll_back(state: Path, words: "itertools.count[int]") -> None:
    deploy(state, str(next(words)))
    TARGET.rollback(order_for(state, settings=SETTINGS), "")


def try_on_a_part(state: Path, words: "itertools.count[int]") -> None:
    settings = {**SETTINGS, "rollout": TRIAL}
    deploy(state, str(next(words)), settings=settings, traffic={"champion": 70, "challenger": 30})
    deadline = time.monotonic() + 120
    while (status := TARGET.rollout("delays", state)) and status.state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert status is not None
    assert status.state == "promoted", status.reason


@pytest.mark.parametrize("happening", [update_and_roll_back, try_on_a_part])
@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.soak)])
def test_nothing_is_lost_whatever_is_deployed(
    state: Path, happening: Callable[[Path, "itertools.count[int]"], None], seconds: float
) -> None:
    url, words = deploy(state, "first").url, itertools.count()
    end = time.monotonic() + seconds
    with Load(url) as load:
        while time.monotonic() < end:
            happening(state, words)
    print(f"{happening.__name__}: {load.answered} answers, {load.wrong} wrong, {len(load.lost)} lost")
    assert (load.wrong, load.lost) == (0, [])
    assert load.answered > 50 * seconds


@pytest.mark.parametrize(("kills", "pause"), [(2, 2.0), pytest.param(12, 5.0, marks=pytest.mark.soak)])
def test_a_killed_worker_loses_what_it_was_working_on_and_nothing_else(state: Path, kills: int, pause: float) -> None:
    url, clients = deploy(state, "first").url, 4
    chance = random.Random(7)
    with Load(url, clients) as load:
        for _ in range(kills):
            time.sleep(pause)  # the rate of kills is what is tested
            chance.choice(processes(state, "serving")).kill()
        time.sleep(pause)
    print(f"{kills} kills: {load.answered} answers, {load.wrong} wrong, {len(load.lost)} lost {set(load.lost)}")
    assert load.wrong == 0
    assert len(load.lost) <= kills * clients
    assert set(load.lost) <= {"RemoteDisconnected", "ConnectionResetError", "BrokenPipeError"}


class Killer:
    """Kills one of the workers every now and then while its block lasts, and counts whose connections that ended.

    Parameters
    ----------
    state
        The state folder.
    pause
        Seconds between two kills; 0 kills nobody.
    """

    def __init__(self, state: Path, pause: float) -> None:
        self.kills = self.connections = 0
        self._state = state
        self._pause = pause
        self._done = threading.Event()
        self._chance = random.Random(7)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Killer":
        if self._pause:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        if self._pause:
            self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._pause):
            now = read_endpoint(self._state, "delays")
            pids = [each.pid for each in now.workers if (each.revision, each.state) == (now.revision, "accepting")]
            if len(pids) < 2:
                continue  # where nobody is left, nobody can be asked again
            try:
                worker = psutil.Process(self._chance.choice(pids))
                worker.suspend()  # so that nobody connects between looking and killing
                found = worker.net_connections("tcp")
                worker.kill()
            except psutil.NoSuchProcess:
                continue  # it ended by itself, as an update had it
            self.kills += 1
            self.connections += sum(each.status != "LISTEN" for each in found)


def update_reload_and_roll_back(state: Path, url: str, model: Path, words: "itertools.count[int]") -> None:
    deploy(state, str(next(words)), model=model, module=MODEL_STEPS)
    for _ in range(2):
        reloaded = reload_model(url)
        assert reloaded in (200, 0), reloaded
    TARGET.rollback(order_for(state, settings=SETTINGS), "")


def reload_model(url: str) -> int:
    """Reload the model of a worker; 0 if it was killed just then."""
    try:
        return httpx.post(f"{url}/v2/repository/models/delays/load", json={}, timeout=30).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("pause", [0, 5.0])
def test_nothing_but_what_a_killed_worker_had_is_lost_near_the_limit(state: Path, tmp_path: Path, pause: float) -> None:
    model, words = save_model(tmp_path / "model", fitted()), itertools.count()
    url = deploy(state, "first", model=model, module=MODEL_STEPS).url
    asked = Asked(url, tmp_path, SAID)
    between = asked.pause_for(PART)
    with Killer(state, pause) as killer:
        load, rounds = asked.begin(SECONDS, between), 0
        try:
            while load.poll() is None:
                update_reload_and_roll_back(state, url, model, words)
                rounds += 1
            found = read_load(load)
        finally:
            load.kill()
    print(f"{rounds} rounds, {killer.kills} kills, {killer.connections} connections ended")
    print(f"{PART:.0%} with {between:.4f} s between requests is {found.rate:.0f}/s: {found}")
    assert (found.wrong, found.first, found.late) == (0, "", 0)
    assert found.lost <= killer.connections
    assert found.answered > 50 * SECONDS
    assert rounds >= 1
    assert bool(killer.kills) == bool(pause)


@contextmanager
def calling(address: str, clients: int = 4) -> Iterator[list[int]]:
    """Call over gRPC while the block lasts, with the retries of a standard client; yields how many were answered."""
    answered, done = [0] * clients, threading.Event()
    options = [("grpc.service_config", json.dumps(CONFIG)), ("grpc.enable_retries", 1)]

    def run(number: int) -> None:
        numbers = random.Random(number)
        client = triton.InferenceServerClient(address, channel_args=options)
        while not done.is_set():
            wanted = triton.InferInput("x", [1], "INT64")
            value = numbers.randrange(10**6)
            wanted.set_data_from_numpy(np.array([value]))
            assert client.infer("delays", [wanted]).as_numpy("double").item() == 2 * value
            answered[number] += 1
            time.sleep(0.002)  # a rate below what the machine can do
        client.close()

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(run, number) for number in range(clients)]
        try:
            yield answered
        finally:
            done.set()
    for each in running:
        each.result()


@pytest.mark.parametrize("seconds", [pytest.param(3, marks=pytest.mark.slow), pytest.param(60, marks=pytest.mark.soak)])
def test_no_call_fails_with_the_retries_of_a_standard_client(state: Path, seconds: float) -> None:
    settings, words = {**SETTINGS, "grpc_port": 0}, itertools.count()
    first = deploy(state, "first", settings=settings)
    end = time.monotonic() + seconds
    with calling(first.grpc) as answered, Killer(state, min(5.0, seconds / 2)) as killer:
        while time.monotonic() < end or not killer.kills:
            deploy(state, str(next(words)), settings=settings)
            if seconds > 10:
                TARGET.rollback(order_for(state, settings=settings), "")
    print(f"{sum(answered)} calls answered, {killer.kills} kills")
    assert min(answered) > 5 * seconds
