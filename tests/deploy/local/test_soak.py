"""Load while everything happens to an endpoint that can: updates, rollbacks, canaries, killed workers.

The short version runs with the suite, the long one in ``make soak``.
"""

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from probe_endpoint import order_for, processes

from modelyard.deploy.local.target import LocalTarget

STEPS = """
def answer(body):
    return {"word": %r, "double": 2 * body["x"]}
"""
TARGET = LocalTarget()
SETTINGS = {"target": "local", "workers": 2}
TRIAL = {"gates": {"requests": 50, "latency": 50}, "seconds": 0.5}


def deploy(state: Path, word: str, **changes: Any) -> Any:
    given = {"settings": SETTINGS, **changes}
    return TARGET.deploy(order_for(state, word, module=STEPS, **given))


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
    deadline = time.monotonic() + 60
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
