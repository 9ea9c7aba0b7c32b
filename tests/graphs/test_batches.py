"""Batches across events: by number, by time, by key, and what is left when the graph closes."""

import asyncio
from typing import Any

import pytest
from sinks import Sink

from modelyard.graphs import Event, Graph, GraphInvalid, StepFailed


def plain(body: Any) -> Any:
    return body


async def waiting(body: Any) -> Any:
    await asyncio.sleep(0)
    return body


@pytest.fixture(params=[plain, waiting], ids=["sync", "async"])
def step(request: pytest.FixtureRequest) -> Any:
    return request.param


def gathering(step: Any, sink: Sink | None = None, **options: Any) -> Graph:
    graph = Graph("g")
    batch = graph.to(step, name="first").batch(**options)
    if sink is not None:
        batch.to(sink, name="sink")
    return graph


def test_the_event_that_completes_a_list_goes_on_with_it(step: Any) -> None:
    graph = gathering(step, size=3, across=True)
    assert [graph.test(number) for number in range(7)] == [None, None, [0, 1, 2], None, None, [3, 4, 5], None]
    with graph.open() as plan:
        event = Event(1)
        assert (plan.interpret(event), event.status) == (None, 204)


def test_a_list_whose_time_is_up_goes_on_as_it_is(step: Any) -> None:
    sink = Sink()
    graph = gathering(step, sink, size=100, seconds=0.02)
    assert graph.test(1) is None
    assert graph.test(2) is None
    seen = sink.wait(1)
    assert [each for batch in seen for each in batch][:1] == [1]
    graph.close()
    assert [each for batch in sink.seen for each in batch] == [1, 2]


def test_lists_are_kept_apart_by_key_and_their_number_is_bounded(step: Any) -> None:
    sink = Sink()
    graph = gathering(step, sink, size=2, key="k", limit=2)
    bodies = [{"k": key, "n": number} for number, key in enumerate("abbacd")]
    replies = [graph.test(body) for body in bodies]
    assert [reply and [each["n"] for each in reply] for reply in replies] == [None, None, [1, 2], [0, 3], None, None]
    assert graph.test({"k": "e", "n": 6}) is None, "c had to go"
    assert [[each["n"] for each in batch] for batch in sink.seen] == [[1, 2], [0, 3], [4]]
    graph.close()
    assert [[each["n"] for each in batch] for batch in sink.seen][3:] == [[5], [6]]


def test_what_is_left_goes_on_when_the_graph_closes_and_its_errors_are_reported(step: Any) -> None:
    graph = Graph("g")
    graph.to(step, name="first").batch(5, across=True).to(lambda body: body[99], name="bad")
    plan = graph.open()
    assert plan.interpret(Event(1, id="e1")) is None
    plan.close()
    (error,) = plan.reported
    assert str(error) == "graph g, step bad, event e1: the step raised IndexError: list index out of range."
    assert isinstance(error, StepFailed)


def test_a_body_that_waits_is_a_copy(step: Any) -> None:
    graph = gathering(step, size=2, across=True)
    body = {"x": [1]}
    graph.test(body)
    body["x"].append("changed after the reply")
    assert graph.test({}) == [{"x": [1]}, {}]


def test_many_events_at_once_lose_none() -> None:
    graph = gathering(waiting, size=10, across=True)

    async def scenario() -> list[Any]:
        return await asyncio.gather(*(graph.run(number) for number in range(200)))

    lists = [reply for reply in asyncio.run(scenario()) if reply is not None]
    assert [len(each) for each in lists] == [10] * 20
    assert sorted(each for reply in lists for each in reply) == list(range(200))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": -1}, "size is a whole number, at least 0, not -1"),
        ({"size": 2.5}, "size is a whole number, at least 0, not 2.5"),
        ({"size": True}, "size is a whole number, at least 0, not True"),
        ({"size": 0, "across": True}, "size is a whole number, at least 1, not 0"),
        ({"size": 2, "seconds": -1}, "seconds is a number of seconds, at least 0, not -1"),
        ({"size": 2, "key": "k", "limit": 0}, "limit is a whole number, at least 1, not 0"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        Graph("g").batch(**options)
    assert str(caught.value) == f"graph g, step batch: {message}."
