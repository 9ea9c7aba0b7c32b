"""What models saw and said is on disk afterwards, and nobody waited for it."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from modelyard.graphs import Event as GraphEvent
from modelyard.graphs import Graph, Resources
from modelyard.graphs.ensembles import Mean
from modelyard.graphs.models import Model
from modelyard.graphs.routers import ChampionChallenger, Shadow
from modelyard.serving.local import LocalServer
from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.record_rules import RecordRules
from modelyard.serving.records import RecordTap, read_records
from modelyard.serving.traffic import Traffic


class Sums(Model):
    """Adds the numbers of a row up."""

    digest = "sha256:abc"

    def __init__(self, sign: int = 1) -> None:
        self.sign = sign
        self.calls: list[int] = []

    def load(self) -> None:
        self.name = f"models:/sums/{self.sign}"

    def validate(self, inputs: Any) -> None:
        if any(each is None for each in inputs):
            raise ValueError("a number is missing")

    def predict(self, inputs: Any) -> Any:
        return self.sign * sum(inputs)

    def predict_batch(self, inputs: Any) -> Any:
        self.calls.append(len(inputs))
        return [self.predict(each) for each in inputs]


def sums() -> Graph:
    graph = Graph("sums")
    graph.model("sum", Sums)
    return graph


def serve(graph: Graph, tap: RecordTap) -> LocalServer:
    metrics, traffic = ServingMetrics(), Traffic()
    metrics.recorded = tap.counts
    plan = graph.open(metrics.watching(Resources(recorder=tap, batching=traffic.batching())))
    tap.attach(plan, "r1")
    return LocalServer(plan, metrics=metrics, traffic=traffic)


def told(folder: Path, **filters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_records(folder, **filters).to_pylist()
    return rows


def test_a_record_says_which_model_said_what_to_which_event(tmp_path: Path) -> None:
    before = time.time()
    with RecordTap(RecordRules(str(tmp_path))) as tap, serve(sums(), tap) as server:
        assert httpx.post(server.url, json=[1, 2], headers={"x-request-id": "e7"}).json() == 3
        assert httpx.post(server.url, json=[1, None]).status_code == 500
        httpx.get(f"{server.url}/v2/models/sum")
        tap.flush()
        text = httpx.get(f"{server.url}/metrics").text
    [record] = told(tmp_path)
    assert before <= record.pop("time").timestamp() <= time.time()
    assert record == {
        "event": "e7",
        "graph": "sums",
        "revision": "r1",
        "step": "sum",
        "role": "",
        "model": "models:/sums/1",
        "digest": "sha256:abc",
        "row": 0,
        "inputs": "[1,2]",
        "output": "3",
    }
    assert 'modelyard_record_rows_total{graph="sums",outcome="written",revision=""} 1.0' in text


def test_rows_of_the_protocol_are_recorded_one_by_one_and_still_gathered(tmp_path: Path) -> None:
    graph = sums()
    with RecordTap(RecordRules(str(tmp_path))) as tap, serve(graph, tap) as server:
        tensor = {"name": "x", "shape": [3, 2], "datatype": "INT64", "data": [1, 2, 3, 4, 5, 6]}
        answer = httpx.post(f"{server.url}/v2/models/sums/infer", json={"id": "e8", "inputs": [tensor]}).json()
        assert answer["outputs"][0]["data"] == [3, 7, 11]
        text = httpx.get(f"{server.url}/metrics").text
    records = told(tmp_path)
    assert [(each["event"], each["output"]) for each in records] == [("e8", "3"), ("e8", "7"), ("e8", "11")]
    assert 'modelyard_batch_rows_bucket{graph="sums",le="4.0",revision="",step="sum"} 1.0' in text
    assert 'modelyard_batch_rows_bucket{graph="sums",le="2.0",revision="",step="sum"} 0.0' in text


def test_members_of_an_ensemble_are_recorded_under_the_event_that_asked(tmp_path: Path) -> None:
    graph = Graph("mean")
    graph.ensemble(Mean, name="mean", members={"up": Sums}).member("down", Sums, sign=-1)
    with RecordTap(RecordRules(str(tmp_path))) as tap, serve(graph, tap) as server:
        tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}
        answer = httpx.post(f"{server.url}/v2/models/mean/infer", json={"id": "e9", "inputs": [tensor]}).json()
        assert answer["outputs"][0]["data"] == [0.0]
    assert [(each["event"], each["step"], each["output"]) for each in told(tmp_path)] == [
        ("e9", "mean.up", "3.0"),
        ("e9", "mean.down", "-3.0"),
    ]


def test_members_of_a_router_are_recorded_with_their_roles(tmp_path: Path) -> None:
    graph = Graph("split")
    router = graph.router(ChampionChallenger, name="which", champion="old", challenger="new", share=0.5)
    router.member("old", Sums).member("new", Sums, sign=-1)
    with RecordTap(RecordRules(str(tmp_path))) as tap, serve(graph, tap) as server, httpx.Client() as client:
        answers = {
            f"e{i}": client.post(server.url, json=[i], headers={"x-request-id": f"e{i}"}).json() for i in range(40)
        }
    records = told(tmp_path)
    assert {each["event"]: int(each["output"]) for each in records} == answers
    assert {(each["step"], each["role"], each["model"]) for each in records} == {
        ("which.old", "champion", "models:/sums/1"),
        ("which.new", "challenger", "models:/sums/-1"),
    }


def test_a_shadow_is_recorded_once_as_is_the_member_that_answers(tmp_path: Path) -> None:
    graph = Graph("shadowed")
    router = graph.router(Shadow, name="which", champion="old")
    router.member("old", Sums).member("new", Sums, sign=-1)
    with RecordTap(RecordRules(str(tmp_path))) as tap, graph.open(Resources(recorder=tap)) as plan:
        tap.attach(plan)
        assert plan.run(GraphEvent([3], id="e1")) == 3
    found = [(each["event"], each["step"], each["role"], each["output"]) for each in told(tmp_path)]
    assert sorted(found) == [("e1", "which.new", "shadow", "-3"), ("e1", "which.old", "champion", "3")]


def test_the_same_events_are_taken_everywhere(tmp_path: Path) -> None:
    for name in ("a", "b"):
        rules = RecordRules(str(tmp_path / name), share=0.25)
        with RecordTap(rules) as tap, serve(sums(), tap) as server, httpx.Client() as client:
            for i in range(200):
                client.post(server.url, json=[i], headers={"x-request-id": f"e{i}"})
    first, second = ([each["event"] for each in told(tmp_path / name)] for name in ("a", "b"))
    assert first == second
    assert 25 < len(first) < 75


def test_a_model_that_changes_what_it_is_given_does_not_change_the_record(tmp_path: Path) -> None:
    class Greedy(Model):
        def predict(self, inputs: Any) -> Any:
            return inputs.pop("x")

    graph = Graph("greedy")
    graph.model("take", Greedy)
    with RecordTap(RecordRules(str(tmp_path))) as tap, graph.open(Resources(recorder=tap)) as plan:
        tap.attach(plan)
        with LocalServer(plan) as server:
            assert httpx.post(server.url, json={"x": 4}).json() == 4
    [record] = told(tmp_path)
    assert (record["inputs"], record["output"]) == ('{"x":4}', "4")


class Stalled(RecordTap):
    """One whose disk does not answer until it is told to."""

    def __init__(self, rules: RecordRules, **options: Any) -> None:
        self.answers = threading.Event()
        self.stalled = threading.Event()
        super().__init__(rules, **options)

    def _write(self, rows: Any) -> None:
        self.stalled.set()
        assert self.answers.wait(60)
        super()._write(rows)


def test_rows_that_find_no_room_are_dropped_and_counted(tmp_path: Path) -> None:
    tap = Stalled(RecordRules(str(tmp_path), rows=10), size=25)
    with tap, serve(sums(), tap) as server, httpx.Client() as client:
        for i in range(10):
            client.post(server.url, json=[i])
        assert tap.stalled.wait(60)
        for i in range(10, 60):
            assert client.post(server.url, json=[i]).json() == i
        assert tap.counts() == {"taken": 60, "written": 0, "dropped": 25}
        tap.answers.set()
        assert tap.flush()
        assert tap.counts() == {"taken": 60, "written": 35, "dropped": 25}
    assert [json.loads(each["output"]) for each in told(tmp_path)] == list(range(35))


def test_a_disk_that_refuses_loses_records_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RecordTap(RecordRules(str(tmp_path / "records"))) as tap, serve(sums(), tap) as server:
        (tmp_path / "records").rmdir()
        assert httpx.post(server.url, json=[1]).json() == 1
        assert tap.flush()
        assert tap.counts() == {"taken": 1, "written": 0, "dropped": 1}
    assert "1 rows of records are lost" in caplog.text


def test_segments_are_seen_whole_or_not_at_all(tmp_path: Path) -> None:
    with RecordTap(RecordRules(str(tmp_path), rows=4)) as tap, serve(sums(), tap) as server, httpx.Client() as client:
        for i in range(8):
            client.post(server.url, json=[i])
        tap.flush()
    (tmp_path / "99999999999999999999-1-1.part").write_bytes(b"PAR1 and then the power went")
    assert len(told(tmp_path)) == 8
    assert {each.suffix for each in tmp_path.iterdir()} == {".parquet", ".part"}
    middle = told(tmp_path)[4]["time"].timestamp()
    assert [each["output"] for each in told(tmp_path, since=middle)] == ["4", "5", "6", "7"]
    assert told(tmp_path, step="other") == []


@pytest.mark.soak
def test_a_stalled_writer_delays_no_reply(tmp_path: Path) -> None:
    def p99(tap: RecordTap) -> float:
        with tap, serve(sums(), tap) as server, httpx.Client() as client:
            for _ in range(100):
                client.post(server.url, json=[1])
            taken = []
            for _ in range(1500):
                begun = time.perf_counter()
                client.post(server.url, json=[1])
                taken.append(time.perf_counter() - begun)
            if isinstance(tap, Stalled):
                assert tap.stalled.is_set()
                tap.answers.set()
        return float(np.quantile(taken, 0.99))

    ratios = []
    for round_ in range(3):
        well = p99(RecordTap(RecordRules(str(tmp_path / f"well{round_}"), rows=50)))
        ill = p99(Stalled(RecordRules(str(tmp_path / f"ill{round_}"), rows=50), size=100))
        ratios.append(ill / well)
    assert min(ratios) <= 1.1, ratios
