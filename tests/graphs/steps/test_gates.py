import asyncio
from typing import Any

import pytest

from modelyard.graphs import Event, Graph, GraphInvalid, StepFailed
from modelyard.graphs.steps import Deduplicate, RateExceeded, RateLimit, Sample, states


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(states, "monotonic", lambda: now[0])
    return now


def gate(use: Any, **arguments: Any) -> Graph:
    graph = Graph("g")
    graph.filter(use, name="s", **arguments).respond()
    return graph


def passed(graph: Graph, bodies: Any) -> list[Any]:
    return [body for body in bodies if graph.test(body) is not None]


def test_a_share_passes_and_another_seed_takes_another() -> None:
    bodies = [{"user": number} for number in range(2000)]
    first = passed(gate(Sample, rate=0.1, key="user"), bodies)
    assert 150 < len(first) < 250
    assert passed(gate(Sample, rate=0.1, key="user"), bodies) == first
    other = passed(gate(Sample, rate=0.1, key="user", seed=1), bodies)
    assert 150 < len(other) < 250
    assert other != first
    # whoever is in a small sample is in every larger one
    larger = passed(gate(Sample, rate=0.3, key="user"), bodies)
    assert all(body in larger for body in first)


def test_the_share_goes_by_the_event_id() -> None:
    with gate(Sample, rate=0.5).open() as plan:
        replies = {name: [plan.run(Event(1, id=name)) for _ in range(3)] for name in "abcdefgh"}
    assert all(len(set(each)) == 1 for each in replies.values())
    assert {name for name, each in replies.items() if each[0]} == {"a", "c", "e", "f", "g", "h"}


def test_every_nth() -> None:
    assert passed(gate(Sample, every=3), range(1, 8)) == [1, 4, 7]
    assert passed(gate(Sample, every=1), range(1, 4)) == [1, 2, 3]
    assert "state per worker" in gate(Sample, every=3).show().mermaid
    assert "state per worker" not in gate(Sample, rate=0.3).show().mermaid


def test_repetitions_end_with_the_window(clock: list[float]) -> None:
    graph = gate(Deduplicate, key="order", seconds=10)
    assert graph.test({"order": 1, "try": 1}) == {"order": 1, "try": 1}
    clock[0] += 9
    assert graph.test({"order": 1, "try": 2}) is None
    clock[0] += 1  # ten seconds after the first, although the second was a second ago
    assert graph.test({"order": 1, "try": 3}) == {"order": 1, "try": 3}


def test_the_oldest_is_forgotten_first() -> None:
    assert passed(gate(Deduplicate, seconds=0, limit=2), [1, 2, 1, 3, 2, 1]) == [1, 2, 3, 1]
    assert [gate(Deduplicate).test(body) for body in ({"a": 1, "b": 2}, {"b": 2, "a": 1})] == [{"a": 1, "b": 2}] * 2
    graph = gate(Deduplicate)
    assert [graph.test(body) for body in ({"a": 1, "b": 2}, {"b": 2, "a": 1})] == [{"a": 1, "b": 2}, None]


def test_a_repetition_can_be_rejected(clock: list[float]) -> None:
    graph = Graph("g")
    graph.to(Deduplicate, name="s", by_id=True, on_repeat="reject").respond()
    with graph.open() as plan:
        assert plan.run(Event("x", id="a")) == "x"
        clock[0] += 2
        with pytest.raises(StepFailed) as caught:
            plan.run(Event("y", id="a"))
    assert (caught.value.outcome.http, caught.value.facts["ago"]) == (409, 2.0)
    assert "the event 'a' was seen 2.0 s ago" in str(caught.value)


def test_a_bucket_fills_again(clock: list[float]) -> None:
    graph = Graph("g")
    graph.to(RateLimit, name="s", rate=2, seconds=10, burst=3, key="user").respond()

    def asked() -> str:
        try:
            graph.test({"user": "ann"})
        except StepFailed as error:
            return f"{error.outcome.http}, {error.facts['retry_after']}"
        return "ok"

    assert [asked() for _ in range(5)] == ["ok", "ok", "ok", "429, 5.0", "429, 5.0"]
    clock[0] += 5
    assert [asked() for _ in range(2)] == ["ok", "429, 5.0"]
    clock[0] += 1000
    assert [asked() for _ in range(4)] == ["ok", "ok", "ok", "429, 5.0"]


def test_what_is_too_much_can_be_dropped(clock: list[float]) -> None:
    graph = gate(RateLimit, rate=1, on_excess="drop")
    assert [graph.test(number) for number in (1, 2)] == [1, None]
    clock[0] += 1
    assert graph.test(3) == 3


def test_events_can_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))

    monkeypatch.setattr(states, "monotonic", lambda: 0.0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    block = RateLimit(rate=10, burst=1, on_excess="wait", longest_wait=0.25)

    async def both() -> list[Any]:
        return [await block.do(number) for number in range(3)]

    assert asyncio.run(both()) == [0, 1, 2]
    assert slept == [0.1, 0.2]
    with pytest.raises(RateExceeded, match=r"Try again in 0\.05 s"):
        asyncio.run(block.do(4))
    with pytest.raises(RateExceeded, match=r"Try again in 0\.05 s"):  # who is rejected has taken no place
        asyncio.run(block.do(5))


def test_a_predicate_is_not_taken_for_a_step() -> None:
    graph = Graph("g")
    graph.to(Sample, name="s", rate=0.5)
    with pytest.raises(GraphInvalid, match=r"graph g, step s: Sample with these arguments goes with graph\.filter"):
        graph.open()
    for use, arguments in ((RateLimit, {"rate": 1}), (Deduplicate, {"on_repeat": "reject"})):
        with pytest.raises(GraphInvalid, match=r"with these arguments goes with graph\.to"):
            gate(use, **arguments).open()
