"""Branches, merges, replies, streams and cycles; where MLRun 1.12.1 does otherwise, the test says so."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from modelyard.errors import ErrorKind
from modelyard.graphs import (
    CycleExceeded,
    Event,
    EventInvalid,
    Graph,
    HandlerFailed,
    MergeIncomplete,
    OutletUnknown,
    Response,
    StepFailed,
)


def failing(body: Any) -> Any:
    raise ValueError(f"bad {body}")


async def failing_later(body: Any) -> Any:
    raise ValueError(f"bad {body}")


def same(body: Any) -> Any:
    return body


# --- branches ---------------------------------------------------------------------------------------------------------


def test_a_sync_graph_may_branch() -> None:
    """MLRun's sync engine: "doesnt support branches"."""
    graph = Graph("g")
    assert graph.parallel(add=lambda x: x + 1, double=lambda x: x * 2, name="both").respond().name == "both"
    assert graph.test(20) == {"add": 21, "double": 40}


@pytest.mark.parametrize("wait", [False, True])
def test_a_branch_that_changes_its_event_is_not_seen_by_its_sibling(wait: bool) -> None:
    def spoil(body: Any) -> Any:
        body["rows"].append("spoilt")
        return body

    async def spoil_later(body: Any) -> Any:
        return spoil(body)

    graph = Graph("g")
    ways = [graph.to(spoil_later if wait else spoil, name="a"), graph.to(same, name="b")]
    graph.merge(*ways, into="list").respond()
    body = {"rows": [1]}
    assert graph.test(body) == [{"rows": [1, "spoilt"]}, {"rows": [1]}]
    assert body == {"rows": [1]}


def test_branches_that_await_run_concurrently_and_are_merged_in_the_declared_order() -> None:
    finished: list[str] = []
    gate = asyncio.Event()

    async def first(body: Any) -> str:
        await gate.wait()
        finished.append("first")
        return "first"

    async def second(body: Any) -> str:
        finished.append("second")
        gate.set()
        return "second"

    graph = Graph("g")
    graph.merge(graph.to(first), graph.to(second), into="list").respond()
    assert asyncio.run(graph.run(1)) == ["first", "second"]
    assert finished == ["second", "first"]


def test_the_error_of_the_first_declared_branch_wins_whatever_the_timing() -> None:
    async def slow(body: Any) -> Any:
        await asyncio.sleep(0.01)
        raise ValueError("slow")

    graph = Graph("g")
    graph.merge(graph.to(slow), graph.to(failing_later)).respond()
    with pytest.raises(StepFailed, match="step slow"):
        graph.test(1)


def test_fan_in_without_a_merge_passes_each_event_on() -> None:
    seen: list[Any] = []
    graph = Graph("g")
    first = graph.to(same, name="reply").respond()
    first.to(lambda body: body + 1, name="a")
    first.to(lambda body: body + 2, name="b")
    graph.add_step(seen.append, name="end", after=["a", "b"])
    assert graph.test(1) == 1
    assert seen == [2, 3]


def test_a_choice_by_field_or_function() -> None:
    graph = Graph("g")
    choice = graph.choice("flight.kind", name="kind")
    choice.when("late").to(lambda body: "late", name="a")
    choice.when("lost").to(lambda body: "lost", name="b")
    graph.add_step(same, name="end", after=["a", "b"])
    assert graph.test({"flight": {"kind": "lost"}}) == "lost"
    with pytest.raises(StepFailed, match=r"the choice has no outlet 'lat'\. Did you mean late\?") as caught:
        graph.test({"flight": {"kind": "lat"}})
    assert isinstance(caught.value.__cause__, OutletUnknown)
    assert caught.value.outcome.http == 422
    with pytest.raises(StepFailed, match=r"'kind' is missing") as caught:  # MLRun: 500
        graph.test({"flight": {}})
    assert caught.value.outcome.http == 422


def test_a_choice_of_several_outlets_takes_each_once() -> None:
    graph = Graph("g")
    choice = graph.choice(lambda body: body["to"], name="to")
    ways = [choice.when(name).to(lambda body, way: way, name=name, way=name) for name in "abc"]
    ways[0].merge(*ways[1:], into="list", missing="partial").respond()
    assert graph.test({"to": ["c", "a", "a"]}) == ["a", "c"]


# --- merges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("missing", "expected"), [("partial", {"a": 1}), ("drop", None), ("error", MergeIncomplete)])
def test_a_merge_states_what_happens_to_what_never_joins(missing: Any, expected: Any) -> None:
    """MLRun's Merge keeps 64 events in a ring and drops the oldest with a warning; the caller waits for ever."""
    graph = Graph("g")
    graph.to(same, name="a").merge(graph.filter(lambda body: body > 5, name="big"), missing=missing).respond()
    assert graph.test(9) == {"a": 9, "big": 9}
    if missing == "error":
        with pytest.raises(StepFailed, match="nothing arrived from big") as caught:
            graph.test(1)
        assert isinstance(caught.value.__cause__, MergeIncomplete)
    else:
        assert graph.test(1) == expected


def test_many_events_at_once_do_not_push_each_other_out_of_a_merge() -> None:
    """MLRun drops all but 64."""

    async def later(body: Any) -> Any:
        await asyncio.sleep(0.001)
        return -body

    graph = Graph("g")
    graph.merge(graph.to(later), graph.to(same)).respond()

    async def run() -> list[Any]:
        return await asyncio.gather(*(graph.run(number) for number in range(500)))

    assert asyncio.run(run()) == [{"later": -number, "same": number} for number in range(500)]


def test_a_merge_by_key_joins_across_events_and_is_bounded() -> None:
    graph = Graph("g")
    choice = graph.choice("side")
    ways = [choice.when(side).to(same, name=side) for side in ("left", "right")]
    ways[0].merge(ways[1], key="id", into="list", missing="drop", limit=2).respond()
    event = Event({"id": 1, "side": "left"})
    plan = graph.open()
    assert plan.run(event) is None
    assert event.status == 204
    assert plan.run(Event({"id": 1, "side": "right"})) == [{"id": 1, "side": "left"}, {"id": 1, "side": "right"}]
    for number in range(5):
        plan.run(Event({"id": number, "side": "left"}))
    join = plan.keyed[3]
    assert (len(join), join.dropped) == (2, 3)
    partial = Graph("p")
    choice = partial.choice("side")
    ways = [choice.when(side).to(same, name=side) for side in ("left", "right")]
    ways[0].merge(ways[1], key="id", missing="partial", limit=1).to(lambda body: [*body], name="sides").respond()
    assert partial.test({"id": 1, "side": "left"}) is None
    assert partial.test({"id": 2, "side": "right"}) == ["left"]


# --- replies ----------------------------------------------------------------------------------------------------------


def test_what_follows_the_responder_never_changes_the_reply() -> None:
    """MLRun honours a responder with a successor in cyclic graphs alone."""
    seen: list[Any] = []

    def spoil(body: Any) -> Any:
        body["x"] = "spoilt"
        seen.append(body)
        raise RuntimeError("too late")

    graph = Graph("g")
    graph.to(lambda body: {"x": body}, name="answer").respond().to(spoil)
    plan = graph.open()
    assert plan.run(Event(1)) == {"x": 1}
    assert seen == [{"x": "spoilt"}]
    assert [str(error.__cause__) for error in plan.reported] == ["too late"]
    assert graph.trace(1).reply == {"x": 1}
    assert [type(error).__name__ for error in graph.trace(1).reported] == ["StepFailed"]


def test_the_reply_is_handed_out_before_what_follows_it() -> None:
    async def scenario() -> list[str]:
        order: list[str] = []
        gate = asyncio.Event()

        async def after(body: Any) -> None:
            await gate.wait()
            order.append("after")

        graph = Graph("g")
        graph.to(same).respond().to(after)
        plan = graph.open()
        order.append(await plan.run_async(Event("reply")))
        gate.set()
        await plan.drain()
        return order

    assert asyncio.run(scenario()) == ["reply", "after"]


def test_a_filtered_event_has_no_reply_and_says_so() -> None:
    graph = Graph("g")
    graph.filter(lambda body: body > 0, name="positive").to(same)
    for event in (Event(-1), Event(-1)):
        assert graph.open().run(event) is None
        assert event.status == 204
    assert graph.test(2) == 2


def test_a_step_may_reply_with_a_status() -> None:
    graph = Graph("g")
    graph.to(lambda body, context: context.response({"id": body}, status=202, headers={"x-a": "b"}), name="s")
    assert graph.test(1) == Response({"id": 1}, 202, {"x-a": "b"})


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [failing, failing_later])
def test_a_handler_gets_the_exception_itself_and_where_it_came_from(step: Any) -> None:
    """MLRun's sync flow gives a mapping of texts, its async flow the exception."""
    seen: list[Any] = []

    def handle(event: Event) -> Any:
        seen.append((event.error, event.origin, event.body))
        return "answered"

    graph = Graph("g")
    graph.to(same).to(step, name="bad").on_error(handle)
    assert graph.test(1) == "answered"
    error, origin, body = seen[0]
    assert (type(error), str(error), origin, body) == (ValueError, "bad 1", "bad", 1)


def test_a_handler_that_returns_the_event_replies_with_its_body() -> None:
    """MLRun's sync flow makes the event its own body: printing it recurses for ever."""

    def handle(event: Event) -> Event:
        event.body = {"told": str(event.error)}
        return event

    graph = Graph("g").on_error(handle)
    graph.to(failing)
    assert graph.test(1) == {"told": "bad 1"}


def test_handlers_in_a_sync_graph_may_continue() -> None:
    """MLRun's sync flow refuses ``before=``."""
    graph = Graph("g")
    graph.to(failing).on_error(lambda event: -1, name="h", continue_at="end").to(same, name="mid").to(
        lambda body: body * 10, name="end"
    )
    assert graph.test(1) == -10
    skipping = Graph("s")
    skipping.to(failing).on_error(continue_at="end").to(same, name="mid").to(lambda body: body * 10, name="end")
    assert skipping.test(2) == 20


def test_the_nearest_handler_comes_first_and_may_pass_it_on() -> None:
    def again(event: Event) -> Any:
        assert event.error is not None
        raise event.error

    graph = Graph("g").on_error(lambda event: f"graph: {event.origin}", name="last")
    graph.to(failing, name="a").on_error(lambda event: "step", name="h")
    assert graph.test(1) == "step"
    graph = Graph("g").on_error(lambda event: f"graph: {event.origin}", name="last")
    graph.to(failing, name="a").on_error(again)
    assert graph.test(1) == "graph: a"
    graph = Graph("g").on_error(again)
    graph.to(failing, name="a")
    with pytest.raises(StepFailed, match="step a, .*: the step raised ValueError: bad 1"):
        graph.test(1)


def test_a_failing_handler_is_reported_once_with_both_causes() -> None:
    calls: list[str] = []

    def broken(event: Event) -> Any:
        calls.append(event.origin)
        raise KeyError("handler")

    graph = Graph("g").on_error(broken)
    graph.to(failing, name="a")
    with pytest.raises(HandlerFailed) as caught:
        graph.test(1)
    assert calls == ["a"]
    assert (type(caught.value.error), type(caught.value.cause)) == (ValueError, KeyError)
    assert "the error handler raised KeyError: 'handler', while it handled ValueError: bad 1, of step a" in str(
        caught.value
    )


def test_a_handler_may_answer_with_an_error_of_a_kind() -> None:
    def refuse(event: Event) -> Any:
        raise EventInvalid("the flight is bad", field="carrier")

    graph = Graph("g").on_error(refuse)
    graph.to(failing)
    with pytest.raises(HandlerFailed) as caught:
        graph.test(1)
    assert caught.value.error_kind is ErrorKind.INVALID


def test_an_error_in_a_branch_ends_the_event_even_if_its_siblings_wait() -> None:
    graph = Graph("g").on_error(lambda event: {"error": str(event.error)}, name="h")
    graph.merge(graph.to(same, name="a"), graph.to(failing_later, name="b"), graph.to(same, name="c")).respond()
    assert graph.test(1) == {"error": "bad 1"}


# --- cycles -----------------------------------------------------------------------------------------------------------


def counting(bound: int = 0, default: int = 0) -> Graph:
    graph = Graph("g", cycle_bound=default)
    choice = graph.to(lambda body: body + 1, name="inc").choice(lambda body: body < 10, name="more")
    choice.when(True).cycle_to("inc", bound=bound)
    choice.when(False).to(same, name="end")
    return graph


def test_an_event_goes_round_as_often_as_the_bound_says() -> None:
    assert counting(bound=9).test(0) == 10
    with pytest.raises(StepFailed) as caught:
        counting(bound=8).test(0)
    error = caught.value.__cause__
    assert isinstance(error, CycleExceeded)
    assert str(error).startswith(
        "the event went round the cycle more:yes → inc more than 8 times: inc → more → inc → more → inc → more → … → "
    )
    assert caught.value.error_kind is ErrorKind.INVALID


def test_the_bound_counts_each_event_by_itself_and_survives_the_specification() -> None:
    """MLRun lost a step's bound in its specification (its issues 9441 and 9456)."""
    graph = Graph("g")
    choice = graph.to("operator:neg", name="inc").choice("operator:truth", name="more")
    choice.when(True).cycle_to("inc", bound=7)
    choice.when(False).to("operator:pos", name="end")
    assert Graph.from_spec(graph.to_spec()).to_spec().steps[1].cycles[0].bound == 7
    plan = counting(default=9).open()
    assert [plan.run(Event(0)) for _ in range(3)] == [10, 10, 10]


def test_a_long_cycle_needs_no_deep_stack() -> None:
    graph = Graph("g")
    choice = graph.to(lambda body: body + 1, name="inc").choice(lambda body: body < 5000, name="more")
    choice.when(True).cycle_to("inc", bound=5000)
    choice.when(False).to(same, name="end")
    assert graph.test(0) == 5000


# --- streams ----------------------------------------------------------------------------------------------------------


def words(body: str) -> Iterator[str]:
    yield from body.split()


async def words_later(body: str) -> AsyncIterator[str]:
    for word in body.split():
        await asyncio.sleep(0)
        yield word


@pytest.mark.parametrize("step", [words, words_later])
def test_a_generator_makes_the_graph_a_stream(step: Any) -> None:
    graph = Graph("g")
    graph.to(step, name="words").to(str.upper, name="upper").respond()
    assert graph.test("a b c") == ["A", "B", "C"]
    assert list(graph.stream("a b")) == ["A", "B"]


def test_a_stream_comes_as_it_is_made_and_two_generators_nest() -> None:
    """MLRun: "Streaming on top of streaming is not allowed"; and replies came when the generator was done."""
    made: list[str] = []

    def letters(word: str) -> Iterator[str]:
        for letter in word:
            made.append(letter)
            yield letter

    graph = Graph("g")
    graph.to(words).to(letters).respond()
    stream = graph.stream("ab cd")
    assert (next(stream), made) == ("a", ["a"])
    assert list(stream) == ["b", "c", "d"]


def test_an_error_in_a_stream_comes_at_its_place() -> None:
    graph = Graph("g")
    graph.to(words).to(int, name="number").respond()
    stream = graph.stream("1 x 3")
    assert next(stream) == 1
    with pytest.raises(StepFailed, match="step number"):
        next(stream)


def test_flat_map_batch_and_unbatch() -> None:
    graph = Graph("g")
    graph.flat_map(range, name="each").batch(2).to(sum, name="sum").respond()
    assert graph.test(5) == [1, 5, 4]
    graph = Graph("g")
    graph.unbatch().to(lambda body: body * 2, name="double").batch(100).to(list, name="all").respond()
    assert graph.test([1, 2]) == [[2, 4]]


def test_a_queue_has_nothing_to_do_with_the_reply() -> None:
    seen: list[Any] = []

    def work(body: Any) -> None:
        if body == 2:
            raise ValueError("behind")
        seen.append(body)

    graph = Graph("g")
    first = graph.to(same).respond()
    first.queue(name="later", size=10).to(work)
    with graph.open() as plan:
        assert [plan.run(Event(number)) for number in (1, 2, 3)] == [1, 2, 3]
        plan.queues[0].join()
        assert seen == [1, 3]
        assert [str(error.__cause__) for error in plan.reported] == ["behind"]


# --- graphs in graphs, resources, pictures ----------------------------------------------------------------------------


def test_a_graph_in_a_graph() -> None:
    inner = Graph("inner").on_error(lambda event: f"inner: {event.origin}", name="h")
    inner.to(lambda body: body["x"], name="x").to(lambda body: 10 // body, name="divide")
    outer = Graph("outer")
    outer.to(same, name="before").to(inner, name="sub").to(lambda body: body + 1, name="after")
    assert outer.test({"x": 5}) == 3
    assert outer.open().steps == ("before", "sub.x", "sub.divide", "after")
    assert outer.test({"x": 0}) == "inner: sub.divide"
    described = Graph("outer")
    nested = Graph("inner")
    nested.to("operator:neg").to("operator:abs")
    described.to(nested, name="sub").to("operator:pos")
    assert Graph.from_spec(described.to_spec()).test(-4) == 4
    assert Graph.from_spec(described.to_spec()).to_spec() == described.to_spec()


class Connection:
    log: list[str] = []

    def __init__(self, name: str) -> None:
        self.name = name

    async def __aenter__(self) -> "Connection":
        self.log.append(f"open {self.name}")
        return self

    async def __aexit__(self, *error: object) -> None:
        self.log.append(f"close {self.name}")


class Enriching:
    def __init__(self, context: Any) -> None:
        self.context = context

    def do(self, body: Any) -> Any:
        self.context.metric("rows", 1.0)
        return [self.context.resource("db").name, self.context.parameters["limit"], self.context.step, body]


def test_resources_open_and_close_with_the_graph() -> None:
    graph = Graph("g", parameters={"limit": 3}).resource("db", lambda: Connection("db"))
    graph.to(Enriching)
    with graph.open() as plan:
        assert plan.run(Event(1)) == ["db", 3, "Enriching", 1]
        assert Connection.log == ["open db"]
    assert Connection.log == ["open db", "close db"]
    plan.close()


def test_replacing_tracing_and_drawing() -> None:
    graph = Graph("g").on_error(same, name="graph_handler")
    choice = graph.to(failing, name="ask").choice(bool, name="good")
    choice.when(True).to(same, name="yes").respond()
    choice.when(False).cycle_to("ask", bound=2)
    assert graph.replacing(ask=lambda body: body + 1).test(1) == 2
    with pytest.raises(Exception, match=r"there is no step 'aks'\. Did you mean ask\?"):
        graph.replacing(aks=same)
    trace = graph.replacing(ask=lambda body: body + 1).trace(1)
    assert [(step.step, step.input, step.output) for step in trace.steps] == [
        ("ask", 1, 2),
        ("good", 2, True),
        ("yes", 2, 2),
    ]
    assert "reply: 2" in str(trace)
    drawing = graph.show()
    assert str(drawing).splitlines()[:4] == [
        "flowchart LR",
        "    input((input))",
        '    n_ask["ask"]',
        '    n_good{"good"}',
    ]
    assert '    n_good -- "yes" --> n_yes' in drawing.mermaid
    assert '    n_good -. "at most 2 times" .-> n_ask' in drawing.mermaid
    assert drawing.svg.startswith("<svg ")
    assert drawing.svg.count("<rect") == 3


def test_add_step_before_takes_the_place_over() -> None:
    graph = Graph("g")
    graph.to(lambda body: body + 1, name="a").to(lambda body: body * 10, name="c")
    graph.add_step(lambda body: body + 5, name="b", before="c")
    assert graph.steps == ("a", "b", "c")
    assert graph.test(1) == 70


def test_a_whole_graph_goes_to_data_and_back() -> None:
    graph = Graph("g", cycle_bound=4, parameters={"p": 1}).on_error("operator:not_", continue_at="end")
    first = graph.to("operator:pos", name="a", retries=2, timeout=0.0, cache={"key": "id"}, condition="vip")
    ways = first.to("operator:neg", name="n", fallback=3), first.to("operator:abs", name="m")
    joined = ways[0].merge(ways[1], missing="partial")
    joined.on_error(continue_at="end").to("builtins:len", name="end").respond().queue(size=5).to("operator:pos")
    spec = graph.to_spec()
    assert Graph.from_spec(spec).to_spec() == spec
    text = """
    name: told
    steps:
      - {name: a, kind: call, use: "operator:neg"}
      - {name: b, kind: filter, use: "operator:truth", settings: {retries: {attempts: 2}}}
    """
    assert Graph.from_spec(text).test(4) == -4


def test_no_text_is_evaluated_as_code() -> None:
    """MLRun evaluates handlers in parentheses, and the expressions of merges and remote steps."""
    graph = Graph("g")
    graph.to("(event + 1)", name="s")
    with pytest.raises(Exception, match=r"there is no step '\(event \+ 1\)'"):
        graph.test(1)


# --- batches ----------------------------------------------------------------------------------------------------------


class Scaled:
    batches: list[int] = []

    def do(self, body: Any) -> Any:
        return 10 // body

    def do_batch(self, bodies: list[Any]) -> list[Any]:
        self.batches.append(len(bodies))
        return [10 // body for body in bodies]


def test_a_batch_is_vectorised_where_every_step_can_and_only_the_bad_row_fails() -> None:
    graph = Graph("g")
    graph.to(Scaled)
    rows = graph.map([1, 2, 5])
    assert (list(rows), rows.vectorised, Scaled.batches) == ([10, 5, 2], True, [3])
    rows = graph.map([1, 0, 5])
    assert (list(rows), rows.vectorised) == ([10, None, 2], False)
    assert [(row, type(error.__cause__).__name__) for row, error in rows.errors.items()] == [(1, "ZeroDivisionError")]
    with pytest.raises(StepFailed):
        rows[1]
    mixed = Graph("m")
    mixed.to(Scaled).to(lambda body: -body, name="by_row")
    assert list(mixed.map(iter([1, 2]))) == [-10, -5]
