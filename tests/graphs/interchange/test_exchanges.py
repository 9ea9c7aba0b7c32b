import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.graphs import Context, Event, Graph, Plan, StepFailed
from modelyard.graphs.errors import EventInvalid
from modelyard.graphs.interchange import (
    Exchange,
    ExchangeLog,
    ExchangesInvalid,
    ReplayDiffers,
    exchange,
    read_exchanges,
    recorded,
    replay,
)
from modelyard.graphs.steps import Fold
from modelyard.serving.application import Application


def graph_of(*steps: Any) -> Graph:
    graph = Graph("g")
    place: Any = graph
    for number, step in enumerate(steps):
        place = place.to(step, name=f"s{number}")
    place.respond()
    return graph


def half(body: dict[str, Any]) -> dict[str, Any]:
    if body["x"] == 0:
        raise EventInvalid("must not be 0", field="x")
    body["half"] = np.float64(body["x"]) / 2
    return body


def test_a_request_and_its_reply_are_written_down(tmp_path: Path) -> None:
    event = Event(
        {"x": 3},
        id="a7",
        path="/in",
        headers={"authorization": "Bearer s3cr3t", "x-api-key": "s3cr3t", "cookie": "s3cr3t", "accept": "*/*"},
        timestamp=1.5,
    )
    with graph_of(half).open() as plan, ExchangeLog(tmp_path / "log.jsonl") as log:
        log.write(exchange(plan, event))
        log.write(exchange(plan, Event({"x": 0}, id="b")))
    text = (tmp_path / "log.jsonl").read_text()
    assert "s3cr3t" not in text
    first, second = map(json.loads, text.splitlines())
    assert first == {
        "id": "a7",
        "body": {"x": 3},
        "path": "/in",
        "headers": {"accept": "*/*"},
        "timestamp": 1.5,
        "reply": {"x": 3, "half": 1.5},
    }
    assert (second["status"], second["error"]) == (422, "EventInvalid")
    assert second["message"] == "graph g, step s0, event b: x: must not be 0."
    assert [each.id for each in read_exchanges(tmp_path / "log.jsonl")] == ["a7", "b"]


def test_filtered_events_and_replies_with_a_status_are_told() -> None:
    def answer(body: int, context: Context) -> Any:
        return context.response({"late": None}, status=202)

    graph = Graph("g")
    graph.filter(lambda body: body > 0, name="positive").to(answer).respond()
    with graph.open() as plan:
        found = [exchange(plan, Event(body)) for body in (1, 0)]
    assert [(each.reply, each.status) for each in found] == [({"late": None}, 202), (None, 204)]


def test_a_replay_is_equal_or_shows_what_is_not(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with graph_of(half).open() as plan, ExchangeLog(path) as log:
        for number, x in enumerate((1, 0, 4)):
            log.write(exchange(plan, Event({"x": x}, id=f"e{number}")))
    assert replay(graph_of(half), path).equal
    replay(graph_of(half), path).check()

    def third(body: dict[str, Any]) -> dict[str, Any]:
        return {"x": body["x"], "half": body["x"] / 2.001} if body["x"] < 4 else {"x": 4, "more": True}

    found = replay(graph_of(third), path)
    assert (found.total, [each.number for each in found.different]) == (3, [1, 2, 3])
    assert str(found) == (
        "#1 POST / (event e0)\n  $.half\n    - 0.5\n    + 0.49975012493753124\n"
        "#2 POST / (event e1)\n  status\n    - 422\n    + 200\n  error\n    - 'EventInvalid'\n    + ''\n"
        "  $\n    - None\n    + {'x': 0, 'half': 0.0}\n"
        "#3 POST / (event e2)\n  $.half\n    - 2.0\n    + (nothing)\n  $.more\n    - (nothing)\n    + True\n"
        "0 of 3 replies are as recorded"
    )
    with pytest.raises(ReplayDiffers, match="3 of 3 replies differ from the recorded ones: #1, #2, #3") as caught:
        found.check()
    assert caught.value.outcome.exit_code == 6
    close = replay(graph_of(third), path, tolerance=0.001, ignore=["$.more"])
    assert [each.number for each in close.different] == [2, 3]


def test_an_error_that_is_new_is_told_with_its_message() -> None:
    found = replay(graph_of(half), [Exchange(id="a", body={"y": 1}, reply=1)])
    assert "graph g, step s0, event a: the step raised KeyError: 'x'." in str(found)


def test_a_replay_begins_with_an_empty_state(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(Fold, aggregates={"n": "count"}).respond()
    with graph.open() as plan, ExchangeLog(tmp_path / "log") as log:
        for _ in range(3):
            log.write(exchange(plan, Event({})))
    assert graph.test({}) == {"n": 1}
    with ExchangeLog(tmp_path / "again") as log:
        assert replay(graph, tmp_path / "log", log=log).equal
    assert (tmp_path / "again").read_text() == (tmp_path / "log").read_text()


def test_async_and_streaming_graphs() -> None:
    async def wait(body: int) -> int:
        return body + 1

    def several(body: int) -> Any:
        yield from range(body)

    with graph_of(wait).open() as plan:
        assert exchange(plan, Event(1)).reply == 2
    with graph_of(several).open() as plan:
        assert exchange(plan, Event(3)).reply == [0, 1, 2]


@pytest.mark.parametrize("waits", [False, True])
def test_a_server_can_record(waits: bool, tmp_path: Path) -> None:
    async def wait(body: Any) -> Any:
        return body

    graph = graph_of(half, wait) if waits else graph_of(half)

    async def ask(app: Application, body: bytes) -> int:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"x-request-id", b"id-1"), (b"authorization", b"s3cr3t")]
        await app({"type": "http", "method": "POST", "path": "/in", "headers": headers}, receive, send)
        return int(sent[0]["status"])

    with graph.open() as plan, ExchangeLog(tmp_path / "log") as log:
        app = Application(recorded(plan, log))
        assert [asyncio.run(ask(app, body)) for body in (b'{"x": 5}', b'{"x": 0}')] == [200, 422]
    found = list(read_exchanges(tmp_path / "log"))
    assert [(each.id, each.path, each.body, each.reply, each.status) for each in found] == [
        ("id-1", "/in", {"x": 5}, {"x": 5, "half": 2.5}, 200),
        ("id-1", "/in", {"x": 0}, None, 422),
    ]
    assert all(each.headers == {"x-request-id": "id-1"} for each in found)


def test_streams_are_recorded_once_and_whole(tmp_path: Path) -> None:
    def several(body: int) -> Any:
        for number in range(body):
            if number == 3:
                raise EventInvalid("too many")
            yield number

    async def ways(plan: Plan) -> None:
        assert [reply async for reply in plan.stream_async(Event(2))] == [0, 1]
        assert await plan.run_async(Event(1)) == [0]

    with graph_of(several).open() as plan, ExchangeLog(tmp_path / "log") as log:
        recorded(plan, log)
        assert plan.run(Event(2)) == [0, 1]
        assert list(plan.stream(Event(3))) == [0, 1, 2]
        asyncio.run(ways(plan))
        with pytest.raises(StepFailed):
            list(plan.stream(Event(4)))
    found = list(read_exchanges(tmp_path / "log"))
    assert [(each.body, each.reply, each.error) for each in found] == [
        (2, [0, 1], ""),
        (3, [0, 1, 2], ""),
        (2, [0, 1], ""),
        (1, [0], ""),
        (4, None, "EventInvalid"),
    ]


def test_what_cannot_be_recorded_does_not_change_the_reply(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    thing = object()
    with graph_of(lambda body: thing).open() as plan, ExchangeLog(tmp_path / "log") as log:
        recorded(plan, log)
        assert plan.run(Event(1)) is thing
        assert (log.written, log.lost) == (0, 1)
        log.close()
        log.write(Exchange(id="a"))
        assert log.lost == 2
    assert "an exchange is not written: a object is no JSON value" in caplog.text


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text('{"id": "a"}\n{"body": 1}\n')
    with pytest.raises(ExchangesInvalid, match="bad:2: the line is no exchange: Object missing required field `id`"):
        list(read_exchanges(tmp_path / "bad"))
    with pytest.raises(ExchangesInvalid, match="none: the file cannot be read: No such file"):
        list(read_exchanges(tmp_path / "none"))


def test_a_recording_of_nothing_is_no_gate(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.to(len, name="count").respond()
    (tmp_path / "golden.jsonl").write_text("\n")
    with pytest.raises(ExchangesInvalid, match=r"golden\.jsonl: there is no exchange to send again"):
        replay(graph, tmp_path / "golden.jsonl")
    with pytest.raises(ExchangesInvalid, match="exchanges: there is no exchange to send again"):
        replay(graph, [])


def test_one_place_to_ignore_is_not_taken_for_its_letters() -> None:
    graph = Graph("g")
    graph.to(lambda body: {"p": body, "at": 2}, name="tell").respond()
    kept = [Exchange(id="a", body=1, reply={"p": 5, "at": 1})]
    assert [each.path for each in replay(graph, kept, ignore="$.at").different[0].differences] == ["$.p"]


@pytest.mark.parametrize("tolerance", [-1, "0.1", float("nan"), True])
def test_a_tolerance_is_a_number_from_0(tolerance: Any) -> None:
    graph = Graph("g")
    graph.to(len, name="count").respond()
    with pytest.raises(ValueError, match="tolerance is a number from 0, not "):
        replay(graph, [Exchange(id="a", body="x", reply=1)], tolerance=tolerance)
