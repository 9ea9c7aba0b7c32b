"""Streams: several replies to one event, as they come, in order; errors and ends in the middle."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from modelyard.graphs import Event, Graph, StepFailed


def letters(body: Any) -> Iterator[Any]:
    yield from body


async def letters_later(body: Any) -> AsyncIterator[Any]:
    for each in body:
        await asyncio.sleep(0)
        yield each


class Letters:
    def do(self, body: Any) -> Iterator[Any]:
        yield from body


class LettersLater:
    async def do_event(self, event: Event) -> AsyncIterator[Any]:
        for each in event.body:
            yield each


@pytest.fixture(params=[letters, letters_later, Letters, LettersLater], ids=lambda step: step.__name__)
def step(request: pytest.FixtureRequest) -> Any:
    return request.param


async def collected(graph: Graph, body: Any) -> list[Any]:
    return [reply async for reply in graph.stream_async(body)]


def streams(graph: Graph, body: Any) -> list[list[Any]]:
    """Return the replies of each way to run one event."""
    plan = graph.open()
    return [
        graph.test(body),
        list(graph.stream(body)),
        asyncio.run(collected(graph, body)),
        plan.run(Event(body)),
        plan.interpret(Event(body)),
        asyncio.run(plan.run_async(Event(body))),
        graph.map([body])[0],
    ]


def test_each_item_of_a_generator_goes_through_the_rest_of_the_graph_in_order(step: Any) -> None:
    """In MLRun streaming works over HTTP only, and one step of a graph may do it."""
    graph = Graph("g")
    graph.to(step, name="letters").to(lambda body: body.upper(), name="upper")
    assert streams(graph, "abc") == [["A", "B", "C"]] * 7
    assert streams(graph, "") == [[]] * 7


def test_a_generator_behind_a_generator(step: Any) -> None:
    graph = Graph("g")
    graph.to(step, name="words").to(step, name="letters").filter(lambda body: body != "b", name="no b")
    assert streams(graph, ["ab", "", "cb"]) == [["a", "c"]] * 7


def test_items_go_on_one_by_one_before_the_next_is_made() -> None:
    diary: list[str] = []

    def produce(body: Any) -> Iterator[Any]:
        for each in body:
            diary.append(f"made {each}")
            yield each

    graph = Graph("g")
    graph.to(produce).to(lambda body: (diary.append(f"took {body}"), body)[1], name="take")
    replies = graph.stream("ab")
    assert next(replies) == "a"
    assert diary == ["made a", "took a"]
    assert list(replies) == ["b"]
    assert diary == ["made a", "took a", "made b", "took b"]


def test_whoever_stops_listening_closes_the_generators(step: Any) -> None:
    closed: list[str] = []

    def endless(body: Any) -> Iterator[Any]:
        try:
            while True:
                yield body
        finally:
            closed.append("sync")

    graph = Graph("g")
    graph.to(endless).to(step, name="letters")
    replies = graph.stream("ab")
    assert [next(replies) for _ in range(3)] == ["a", "b", "a"]
    replies.close()  # type: ignore[attr-defined]
    assert closed == ["sync"]

    async def endless_later(body: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield body
        finally:
            closed.append("async")

    graph = Graph("g")
    graph.to(endless_later).to(step, name="letters")

    async def some() -> list[Any]:
        found = []
        stream = graph.stream_async("ab")
        async for reply in stream:
            found.append(reply)
            if len(found) == 3:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return found

    assert asyncio.run(some()) == ["a", "b", "a"]
    assert closed == ["sync", "async"]


def test_an_error_in_the_middle_comes_after_the_replies_before_it(step: Any) -> None:
    def strict(body: Any) -> Any:
        if body == "b":
            raise ValueError("no b")
        return body

    graph = Graph("g")
    graph.to(step, name="letters").to(strict)
    replies = graph.stream("abc")
    assert next(replies) == "a"
    with pytest.raises(StepFailed, match=r"graph g, step strict, event .*: the step raised ValueError: no b"):
        next(replies)
    with pytest.raises(StepFailed):
        graph.test("abc")
    graph.on_error(lambda event: f"({event.error})")
    assert streams(graph, "abc") == [["a", "(no b)"]] * 7, "the answer of a handler ends the stream"


def test_a_handler_that_continues_keeps_the_stream_going(step: Any) -> None:
    def strict(body: Any) -> Any:
        if body == "b":
            raise ValueError("no b")
        return body

    graph = Graph("g")
    first = graph.to(step, name="letters").to(strict)
    first.to(lambda body: body.upper(), name="end").respond()
    first.on_error(lambda event: "?", name="handler", continue_at="end")
    assert streams(graph, "abc") == [["A", "?", "C"]] * 7


def test_a_generator_that_fails_is_the_step_that_failed() -> None:
    def breaks(body: Any) -> Iterator[Any]:
        yield 1
        raise ValueError("dry")

    async def breaks_later(body: Any) -> AsyncIterator[Any]:
        yield 1
        raise ValueError("dry")

    for step in (breaks, breaks_later):
        graph = Graph("g")
        graph.to(step, name="s").on_error(lambda event: f"{event.origin}: {event.error}", name="handler")
        assert streams(graph, 0) == [[1, "s: dry"]] * 7


def test_a_sync_generator_blocks_no_other_event() -> None:
    """In storey sync generators blocked the loop."""
    gate = threading.Event()

    def slow(body: Any) -> Iterator[Any]:
        yield 1
        assert gate.wait(60)
        yield 2

    graph = Graph("g")
    graph.to(slow)
    plan = graph.open()
    replies = plan.stream(Event(0))
    assert next(replies) == 1
    other = plan.stream(Event(0))
    assert next(other) == 1
    gate.set()
    assert [*replies, *other] == [2, 2]


def test_a_stream_beside_the_reply_is_no_stream(step: Any) -> None:
    seen: list[Any] = []
    graph = Graph("g")
    graph.to(lambda body: body, name="answer").respond().to(step, name="letters").to(seen.append, name="keep")
    assert graph.test("ab") == "ab"
    assert seen == ["a", "b"]


def test_an_item_may_be_an_event_of_its_own() -> None:
    def events(event: Event) -> Iterator[Event]:
        for each in event.body:
            item = event.branch(each)
            item.path = f"/{each}"
            yield item

    graph = Graph("g")
    graph.to(events, full_event=True).to(lambda event: (event.path, event.body), name="tell", full_event=True)
    assert streams(graph, "ab") == [[("/a", "a"), ("/b", "b")]] * 7


def test_a_stream_is_bounded_by_the_deadline() -> None:
    import time

    async def slow(body: Any) -> AsyncIterator[Any]:
        yield 1
        await asyncio.sleep(30)
        yield 2

    graph = Graph("g")
    graph.to(slow)
    replies = graph.open().stream(Event(0, deadline=time.monotonic() + 0.5))
    assert next(replies) == 1
    with pytest.raises(StepFailed, match="the event's deadline passed") as caught:
        next(replies)
    assert caught.value.outcome.http == 504
