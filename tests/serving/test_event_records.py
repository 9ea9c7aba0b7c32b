"""How each event ended is on disk beside what models saw of it, whichever door it came by."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException
from websockets.sync.client import connect

from modelyard.graphs import Context, Graph, Resources
from modelyard.graphs.models import Model
from modelyard.serving.event_records import read_events
from modelyard.serving.local import LocalServer
from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.record_rules import RecordRules
from modelyard.serving.records import RecordTap, read_records

PATH = "/v2/models/late/infer"


def parse(body: Any) -> Any:
    hour = body["hour"]
    if hour > 23:
        raise ValueError("there is no such hour")
    return [hour]


def tell(late: Any, context: Context) -> Any:
    return context.response("not at this hour", status=409) if late is None else late


class Late(Model):
    def predict(self, inputs: Any) -> Any:
        return None if inputs[0] == 13 else inputs[0] > 17

    def predict_batch(self, inputs: Any) -> Any:
        return [self.predict(each) for each in inputs]


def judged() -> Graph:
    graph = Graph("late")
    graph.to(parse).model("predict", Late).to(tell)
    return graph


def serving(graph: Graph, tap: RecordTap, **options: Any) -> LocalServer:
    metrics = ServingMetrics()
    plan = graph.open(metrics.watching(Resources(recorder=tap)))
    metrics.recorded, metrics.runs = tap.counts, tap.runs(plan)
    tap.attach(plan, "r1")
    return LocalServer(plan, metrics=metrics, **options)


def ends(folder: Path) -> list[tuple[Any, ...]]:
    found = read_events(folder).to_pylist()
    return [tuple(each[name] for name in ("event", "path", "status", "error", "step")) for each in found]


def test_each_event_has_one_row_that_joins_with_its_models(tmp_path: Path) -> None:
    with RecordTap(RecordRules(str(tmp_path))) as tap, serving(judged(), tap) as server, httpx.Client() as client:
        for number, hour in enumerate((19, 8, 25)):
            client.post(f"{server.url}/a", json={"hour": hour}, headers={"x-request-id": f"e{number}"})
        client.post(server.url, content=b"{")  # no event: nothing was read
    assert ends(tmp_path) == [
        ("e0", "/a", 200, "", ""),
        ("e1", "/a", 200, "", ""),
        ("e2", "/a", 500, "ValueError", "parse"),
    ]
    events, models = read_events(tmp_path), read_records(tmp_path)
    joined = events.join(models, "event", join_type="inner", right_suffix="_model").sort_by("event")
    assert joined["event"].to_pylist() == ["e0", "e1"]
    assert joined["output"].to_pylist() == ["true", "false"]
    assert set(joined["revision"].to_pylist()) == {"r1"}
    assert all(0 < each < 10 for each in joined["seconds"].to_pylist())
    assert tap.counts() == {"taken": 5, "written": 5, "dropped": 0}
    middle = events["time"].to_pylist()[1].timestamp()
    assert read_events(tmp_path, since=middle)["event"].to_pylist() == ["e1", "e2"]


def test_every_door_tells(tmp_path: Path) -> None:
    tensor = {"name": "hour", "shape": [2], "datatype": "INT64", "data": [19, 8]}
    with (
        RecordTap(RecordRules(str(tmp_path))) as tap,
        serving(judged(), tap, grpc_port=0) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        one = {**tensor, "shape": [1], "data": [19]}
        assert client.post(PATH, json={"id": "tensor", "inputs": [one]}).json()["outputs"][0]["data"] == [True]
        assert client.post(PATH, json={"inputs": [tensor]}).json()["outputs"][0]["data"] == [True, False]
        client.post("/csv", content=b"hour\n19\n25\n", headers={"content-type": "text/csv"})
        with connect(f"{server.url.replace('http', 'ws')}/talk") as socket:
            socket.send('{"hour": 13}')
            assert socket.recv(timeout=60) == '"not at this hour"'
        rpc = InferenceServerClient(server.grpc_address)
        given = InferInput("hour", [1], "INT64")
        given.set_data_from_numpy(np.array([25]))
        with pytest.raises(InferenceServerException):
            rpc.infer("late", [given], request_id="rpc")
        rpc.close()
    found = ends(tmp_path)
    assert found[0] == ("tensor", PATH, 200, "", "")
    assert [each[1:] for each in found[1:]] == [
        (PATH, 200, "", ""),
        (PATH, 200, "", ""),
        ("/csv", 200, "", ""),
        ("/csv", 500, "ValueError", "parse"),
        ("/talk", 409, "", ""),
        (PATH, 500, "ValueError", "parse"),
    ]
    assert found[-1][0] == "rpc"
    assert len({each[0] for each in found}) == len(found)
    models = read_records(tmp_path)["event"].to_pylist()
    assert sorted(models) == sorted(each[0] for each in found if each[2] != 500)


def test_a_stream_ends_once(tmp_path: Path) -> None:
    def count(body: Any) -> Iterator[int]:
        yield from range(body)
        if body == 3:
            raise ValueError("three is enough")

    graph = Graph("counting")
    graph.to(count)
    lines = {"accept": "application/x-ndjson"}
    with RecordTap(RecordRules(str(tmp_path))) as tap, serving(graph, tap) as server:
        assert httpx.post(server.url, json=2, headers={**lines, "x-request-id": "two"}).text == "0\n1\n"
        httpx.post(server.url, json=3, headers={**lines, "x-request-id": "three"})
        assert httpx.post(server.url, json=1, headers={"x-request-id": "list"}).json() == [0]
    assert ends(tmp_path) == [
        ("two", "/", 200, "", ""),
        ("three", "/", 500, "ValueError", "count"),
        ("list", "/", 200, "", ""),
    ]


def test_the_same_events_are_sampled_as_by_their_models(tmp_path: Path) -> None:
    rules = RecordRules(str(tmp_path), share=0.5)
    with RecordTap(rules) as tap, serving(judged(), tap) as server, httpx.Client() as client:
        for number in range(60):
            client.post(server.url, json={"hour": 19}, headers={"x-request-id": f"e{number}"})
    events = read_events(tmp_path)["event"].to_pylist()
    assert 15 < len(events) < 45
    assert events == read_records(tmp_path)["event"].to_pylist()


def test_events_that_find_no_room_are_counted_with_the_others(tmp_path: Path) -> None:
    with RecordTap(RecordRules(str(tmp_path), seconds=60), size=5) as tap, serving(judged(), tap) as server:
        for _ in range(4):
            httpx.post(server.url, json={"hour": 19})
        assert tap.counts() == {"taken": 8, "written": 0, "dropped": 3}
        told = httpx.get(f"{server.url}/v2/statistics").json()["graphs"][0]
        assert told["records"] == {"taken": 8, "written": 0, "dropped": 3}
    assert read_events(tmp_path).num_rows + read_records(tmp_path).num_rows == 5
    assert json.dumps(tap.counts()) == '{"taken": 8, "written": 5, "dropped": 3}'
