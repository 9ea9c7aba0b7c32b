"""Load while a model is exchanged: every request gets the answer of one of the two models, whole and at once."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx

from modelyard.graphs import Graph, Resources
from modelyard.graphs.models import Model
from modelyard.serving.local import LocalServer
from modelyard.serving.traffic import Traffic

RELOADS = 30
NUMBERS = count()


class Signed(Model):
    """Says its own number, and what it was asked."""

    def load(self) -> None:
        self.number = next(NUMBERS)
        self.open = True

    def predict_batch(self, inputs: Any) -> Any:
        assert self.open, "a model answers that was closed already"
        return [{"by": self.number, "asked": each} for each in inputs]

    def predict(self, inputs: Any) -> Any:
        return self.predict_batch([inputs])[0]

    def close(self) -> None:
        self.open = False


def test_a_model_is_exchanged_under_load_without_a_lost_or_mixed_answer() -> None:
    graph, traffic, done, answered = Graph("numbers"), Traffic(), threading.Event(), threading.Event()
    graph.model("number", Signed)
    plan = graph.open(Resources(batching=traffic.batching()))
    with plan, LocalServer(plan, traffic=traffic) as server:

        def ask(client: int) -> Counter[int]:
            seen: Counter[int] = Counter()
            with httpx.Client(timeout=30) as http:
                while not done.is_set():
                    body = {"client": client, "number": seen.total()}
                    reply = http.post(server.url, json=body).json()
                    assert reply["asked"] == body, reply
                    seen[reply["by"]] += 1
                    answered.set()
            return seen

        with ThreadPoolExecutor(4) as pool, httpx.Client(timeout=30) as admin:
            asking = [pool.submit(ask, client) for client in range(4)]
            try:
                for _ in range(RELOADS):
                    answered.clear()
                    assert answered.wait(60)  # however busy the machine is, each model answers somebody
                    url = f"{server.url}/v2/repository/models/number/load"
                    assert admin.post(url, json={}).status_code == 200
            finally:
                done.set()
            seen = sum((each.result() for each in asking), Counter[int]())
        assert httpx.post(server.url, json={}).json()["by"] == RELOADS
    assert len(seen) > 2
    assert set(seen) <= set(range(RELOADS + 1))
