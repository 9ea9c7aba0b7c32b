"""Flows: chains, branches, fan-in, choices, filters, replies and what follows, graphs in graphs; run in every way."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.graphs import Context, Event, Graph, GraphInvalid, StepFailed


def add(number: int) -> Callable[[Any], Any]:
    return lambda body: body + number


def add_later(number: int) -> Callable[[Any], Any]:
    async def later(body: Any) -> Any:
        await asyncio.sleep(0)
        return body + number

    return later


@pytest.fixture(params=[add, add_later], ids=["sync", "async"])
def plus(request: pytest.FixtureRequest) -> Any:
    return request.param


def replies(graph: Graph, body: Any) -> Any:
    """Return the reply of each way to run one event; they must be the same."""
    with graph.open() as plan:

        async def awaited() -> Any:
            reply = await plan.run_async(Event(body))
            await plan.drain()
            return reply

        found = [plan.run(Event(body)), plan.interpret(Event(body)), asyncio.run(awaited()), graph.test(body)]
        found += list(graph.map([body]))
        graph.close()
    assert all(reply == found[0] for reply in found), found
    return found[0]


# --- chains and branches ----------------------------------------------------------------------------------------------


def test_a_chain_replies_with_its_last_result(plus: Any) -> None:
    graph = Graph("g")
    graph.to(plus(1), name="a").to(plus(10), name="b").to(lambda body: {"x": body}, name="c")
    assert replies(graph, 5) == {"x": 16}


def test_branches_run_in_the_order_of_declaration_and_do_not_see_each_others_changes(plus: Any) -> None:
    """MLRun's sync flows refuse branches."""
    diary: list[Any] = []

    def change(name: str) -> Callable[[Any], Any]:
        def step(body: Any) -> Any:
            body["seen"].append(name)
            diary.append(list(body["seen"]))
            return body

        return step

    graph = Graph("g")
    start = graph.to(lambda body: {"x": body, "seen": []}, name="start")
    start.to(change("a"), name="a")
    start.to(change("b"), name="b").respond()
    start.to(change("c"), name="c").to(change("d"), name="d")
    assert graph.test(1) == {"x": 1, "seen": ["b"]}
    assert diary == [["a"], ["b"], ["c"], ["c", "d"]]
    assert replies(graph, 1) == {"x": 1, "seen": ["b"]}


def test_a_branch_does_not_see_its_siblings_metadata_nor_its_fields() -> None:
    seen: list[Any] = []

    def mark(event: Event) -> Any:
        event.metadata.setdefault("marks", []).append("left")
        event.path = "/changed"
        return event

    graph = Graph("g")
    graph.to(mark, name="left", full_event=True)
    graph.to(lambda event: seen.append((dict(event.metadata), event.path)), name="right", full_event=True).respond()
    with graph.open() as plan:
        plan.run(Event(1, path="/here", metadata={"marks": []}))
        plan.interpret(Event(1, path="/here", metadata={"marks": []}))
    assert seen == [({"marks": []}, "/here")] * 2


def test_a_body_that_cannot_be_copied_is_the_error_of_the_step_that_gave_it() -> None:
    import threading

    graph = Graph("g")
    start = graph.to(lambda body: {"lock": threading.Lock()}, name="start")
    start.to(lambda body: 1, name="a").respond()
    start.to(lambda body: 2, name="b")
    with graph.open() as plan:
        for run in (plan.run, plan.interpret):
            with pytest.raises(StepFailed) as caught:
                run(Event(1, id="e1"))
            assert str(caught.value) == (
                "graph g, step start, event e1: the body, of type dict, cannot be copied for a second branch: cannot "
                "pickle '_thread.lock' object. Let branches start before such a thing is made, or give it a "
                "__deepcopy__."
            )


def test_fan_in_passes_every_event_on(plus: Any) -> None:
    """More than one step before another is no join: each event goes on by itself."""
    seen: list[Any] = []
    graph = Graph("g")
    start = graph.to(plus(0), name="start").respond()
    start.to(plus(1), name="a")
    start.to(plus(2), name="b")
    graph.add_step(seen.append, name="both", after=["a", "b"])
    assert graph.test(10) == 10
    assert seen == [11, 12]


def test_steps_are_added_before_and_after_others_by_name() -> None:
    graph = Graph("g")
    graph.add_step(add(1), name="a")
    graph.add_step(add(3), name="c", after="a")
    graph.add_step(lambda body: body * 10, name="b", after="a", before="c")
    graph.add_step(lambda body: body - 1, name="first", before="a")
    assert graph.steps == ("first", "a", "b", "c")
    assert replies(graph, 5) == 53
    with pytest.raises(GraphInvalid, match=r"there is no step 'd' to come before\. Known: a, b, c, first\."):
        graph.add_step(add(1), name="x", before="d")
    with pytest.raises(GraphInvalid, match="graph g, step x: it cannot come after and before 'c'"):
        graph.add_step(add(1), name="x", before="c", after="c")
    assert graph.steps == ("first", "a", "b", "c")


# --- replies ----------------------------------------------------------------------------------------------------------


def test_a_responder_may_have_steps_after_it(plus: Any) -> None:
    """MLRun allows that in cyclic graphs only."""
    seen: list[Any] = []

    def keep(body: Any) -> None:
        body["x"] += 100
        seen.append(body)

    graph = Graph("g")
    graph.to(lambda body: {"x": body}, name="a").respond().to(lambda body: body, name="b").to(keep)
    assert graph.test(7) == {"x": 7}
    assert seen == [{"x": 107}]
    assert replies(graph, 7) == {"x": 7}


def test_an_event_that_is_filtered_out_has_status_204_and_no_reply(plus: Any) -> None:
    graph = Graph("g")
    graph.to(plus(0), name="start").filter(lambda body: body > 3, name="big").to(plus(1), name="next")
    assert replies(graph, 9) == 10
    assert replies(graph, 1) is None
    with graph.open() as plan:
        event = Event(1)
        assert (plan.run(event), event.status) == (None, 204)
        event = Event(9)
        assert (plan.run(event), event.status) == (10, 0)


def test_a_reply_may_be_nothing_at_all(plus: Any) -> None:
    graph = Graph("g")
    graph.to(plus(0), name="a").to(lambda body: None, name="b")
    event = Event(1)
    with graph.open() as plan:
        assert (plan.run(event), event.status) == (None, 0)


def test_a_reply_before_a_filter_is_kept(plus: Any) -> None:
    graph = Graph("g")
    graph.to(plus(1), name="a").respond().filter(lambda body: False, name="none").to(plus(5), name="never")
    assert replies(graph, 1) == 2


# --- choices ----------------------------------------------------------------------------------------------------------


def test_a_choice_sends_an_event_to_one_outlet_or_several_or_to_the_others(plus: Any) -> None:
    graph = Graph("g")
    choice = graph.choice("to")
    choice.when("a").to(lambda body: "a", name="a")
    choice.when("b").to(lambda body: "b", name="b")
    choice.otherwise().to(lambda body: "other", name="other")
    graph.add_step(lambda body: body, name="end", after=["a", "b", "other"])
    assert [replies(graph, {"to": to}) for to in ("a", "b", "c", None, 7)] == ["a", "b", "other", "other", "other"]


def test_the_ends_behind_the_outlets_of_a_choice_all_reply(plus: Any) -> None:
    graph = Graph("g")
    choice = graph.choice(lambda body: body > 0, name="positive")
    choice.when(True).to(plus(1), name="more")
    less = choice.when(False).choice(lambda body: body < -10, name="far")
    less.when(True).to(lambda body: "far", name="a")
    less.when(False).to(lambda body: "near", name="b").respond()
    graph.definition.change("more", respond=True)
    graph.definition.change("a", respond=True)
    assert [replies(graph, body) for body in (4, -4, -40)] == [5, "near", "far"]
    graph.definition.change("b", respond=False)
    graph.definition.change("more", respond=False)
    graph.definition.change("a", respond=False)
    assert [replies(graph, body) for body in (4, -4, -40)] == [5, "near", "far"], "the ends, if nobody says"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("c", "the choice has no outlet 'c'. Known: a, b."),
        (None, "the choice named no outlet. Known: a, b."),
        ([], "the choice named no outlet. Known: a, b."),
        (["a", "x"], "the choice has no outlet 'x'. Known: a, b."),
        (3, "the choice has no outlet 3. Known: a, b."),
    ],
)
def test_an_outlet_that_is_not_there_is_the_senders_fault(said: Any, message: str) -> None:
    """In MLRun a missing field is a 500, None a 400, an empty list a 500."""
    graph = Graph("g")
    choice = graph.choice("to")
    choice.when("a").to(lambda body: "a", name="a")
    choice.when("b").to(lambda body: "b", name="b")
    with graph.open() as plan:
        for run in (plan.run, plan.interpret):
            with pytest.raises(StepFailed) as caught:
                run(Event({"to": said}, id="e1"))
            assert str(caught.value) == f"graph g, step to, event e1: {message}"
            assert caught.value.outcome.http == 422


def test_outlets_named_twice_get_one_event() -> None:
    """MLRun answers 400 to duplicates."""
    seen: list[Any] = []
    graph = Graph("g")
    choice = graph.to(lambda body: body, name="start").respond().choice(lambda body: ["a", "b", "a"], name="both")
    choice.when("a").to(lambda body: seen.append("a"), name="a")
    choice.when("b").to(lambda body: seen.append("b"), name="b")
    assert graph.test(1) == 1
    assert seen == ["a", "b"]


# --- several events of one, and back ----------------------------------------------------------------------------------


def test_a_batch_without_a_size_ends_a_stream(plus: Any) -> None:
    graph = Graph("g")
    graph.flat_map(range, name="each").to(plus(10), name="plus").batch().to(sum, name="total")
    assert replies(graph, 3) == 33
    assert replies(graph, 0) == 0, "also if there are none"
    assert list(graph.stream(2)) == [21]


def test_a_batch_within_an_event_has_a_rest(plus: Any) -> None:
    graph = Graph("g")
    graph.flat_map(range, name="each").to(plus(0), name="plus").batch(2)
    assert graph.test(5) == [[0, 1], [2, 3], [4]]
    assert graph.test(4) == [[0, 1], [2, 3]]
    assert graph.test(0) == []


def test_batches_in_batches(plus: Any) -> None:
    graph = Graph("g")
    first = graph.flat_map(range, name="each").batch(name="all").flat_map(lambda body: [*body, *body], name="twice")
    first.filter(lambda body: body % 2 == 0, name="even").batch(name="evens")
    assert replies(graph, 5) == [0, 2, 4, 0, 2, 4]
    assert replies(graph, 0) == []


def test_unbatch_makes_events_of_items() -> None:
    graph = Graph("g")
    graph.unbatch().to(lambda body: body * 2, name="double").batch(name="again")
    assert replies(graph, [1, 2, 3]) == [2, 4, 6]


# --- graphs in graphs -------------------------------------------------------------------------------------------------


def inner_graph(plus: Any) -> Graph:
    inner = Graph("inner", parameters={"limit": 7, "own": True})
    choice = inner.to(plus(1), name="one").choice(lambda body: body > 5, name="big")
    choice.when(True).to(plus(100), name="hundred")
    choice.when(False).to(plus(10), name="ten")
    inner.add_step(lambda body: body, name="end", after=["hundred", "ten"])
    return inner


def test_a_graph_is_a_step_of_another(plus: Any) -> None:
    outer = Graph("outer")
    outer.to(plus(0), name="start").to(inner_graph(plus)).to(lambda body: {"x": body}, name="end")
    assert [replies(outer, body) for body in (1, 9)] == [{"x": 12}, {"x": 110}]
    with pytest.raises(StepFailed, match=r"graph outer, step inner\.big, event .*: the step raised TypeError"):
        outer.replacing(**{"inner.one": str}).test(1)
    assert outer.replacing(**{"inner.ten": lambda body: "fake"}).test(1) == {"x": "fake"}
    assert outer.replacing(inner=lambda body: "whole").test(1) == {"x": "whole"}


def test_a_graph_may_be_a_branch_and_gives_its_part_a_name(plus: Any) -> None:
    outer = Graph("outer")
    start = outer.to(plus(0), name="start")
    join = start.to(inner_graph(plus)).merge(start.to(plus(5), name="five"))
    outer.add_step(lambda body: body, name="end", after=join.name)
    assert replies(outer, 1) == {"inner": 12, "five": 6}
    deeper = Graph("deeper")
    deeper.to(outer)
    assert replies(deeper, 1) == {"inner": 12, "five": 6}


def test_a_graph_inside_keeps_its_parameters_and_resources() -> None:
    def tell(body: Any, context: Context) -> Any:
        return {
            "parameters": dict(context.parameters),
            "resource": context.resource("r"),
            "shared": context.resource("shared"),
            "graph": context.graph,
            "step": context.step,
        }

    inner = Graph("inner", parameters={"limit": 7, "own": True}).resource("r", lambda: "of inner")
    inner.to(tell)
    outer = Graph("outer", parameters={"limit": 1, "other": 2}).resource("r", lambda: "of outer")
    outer.resource("shared", lambda: "of both")
    outer.to(inner).merge(outer.to(lambda body, context: context.resource("r"), name="own"))
    assert outer.test() == {
        "inner": {
            "parameters": {"limit": 7, "other": 2, "own": True},
            "resource": "of inner",
            "shared": "of both",
            "graph": "outer",
            "step": "inner.tell",
        },
        "own": "of outer",
    }


def test_cycles_and_handlers_lead_into_graphs_inside(plus: Any) -> None:
    outer = Graph("outer", cycle_bound=9)
    outer.to(plus(0), name="start").to(inner_graph(plus)).to(plus(0), name="after")
    more = outer.add_step(plus(0), name="look", after="after").choice(lambda body: body < 120, name="more")
    more.when(True).cycle_to("inner")
    more.when(False).to(plus(0), name="end")
    assert replies(outer, 1) == 214  # 1, 12, 113, 214: each round adds 11, or 101 from 5 on
    outer = Graph("outer")
    outer.to(lambda body: 1 / 0, name="bad").on_error(lambda event: 3, name="three", continue_at="inner")
    outer.add_step(plus(50), name="never", after="bad").to(inner_graph(plus))
    assert replies(outer, 1) == 14


def test_a_graph_inside_may_lead_back_itself(plus: Any) -> None:
    inner = Graph("inner", cycle_bound=3)
    choice = inner.to(plus(1), name="one").choice(lambda body: body < 4, name="more")
    choice.when(True).cycle_to("one")
    choice.when(False).to(plus(10), name="ten")
    outer = Graph("outer")
    outer.to(inner)
    assert replies(outer, 1) == 14
    with pytest.raises(StepFailed, match=r"went round the cycle inner\.more:yes → inner\.one more than 3 times"):
        outer.test(-1)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"timeout": 2.0, "retries": 3}, "a graph in a graph has no timeout or retries"),
        ({"factor": 2}, "a graph in a graph has no arguments"),
        ({"full_event": True}, "a graph in a graph has no full_event"),
    ],
)
def test_what_a_graph_inside_cannot_be_told_is_refused(options: dict[str, Any], rule: str) -> None:
    outer = Graph("outer")
    outer.to(inner_graph(add), **options)
    with pytest.raises(GraphInvalid) as caught:
        outer.open()
    assert str(caught.value) == f"graph outer, step inner: {rule}. Say it of a step in it."


def test_a_graph_is_no_part_of_itself() -> None:
    one, other = Graph("one"), Graph("other")
    one.to(other)
    other.to(one)
    with pytest.raises(GraphInvalid, match=r"graph one: the graph 'one' is a part of itself"):
        one.open()


# --- queues -----------------------------------------------------------------------------------------------------------


def test_what_is_behind_a_queue_runs_in_order_in_a_worker_of_its_own(plus: Any) -> None:
    import threading

    seen: list[Any] = []
    graph = Graph("g")
    queue = graph.to(plus(1), name="answer").respond().queue(name="later")
    queue.to(plus(10), name="plus").to(lambda body: seen.append((body, threading.current_thread().name)), name="keep")
    assert [graph.test(number) for number in range(5)] == [1, 2, 3, 4, 5]
    assert [body for body, _ in seen] == [11, 12, 13, 14, 15]
    assert "MainThread" not in {name for _, name in seen}
    graph.close()


def test_a_full_queue_refuses_with_429_and_closing_works_off_what_is_there() -> None:
    import threading

    gate, begun, seen = threading.Event(), threading.Event(), []

    def slow(body: Any) -> None:
        begun.set()
        gate.wait(60)
        seen.append(body)

    graph = Graph("g")
    graph.queue(name="later", size=2).to(slow)
    graph.to(lambda body: body, name="answer").respond()
    plan = graph.open()
    assert plan.run(Event(0)) == 0
    assert begun.wait(60)
    assert [plan.run(Event(number)) for number in (1, 2)] == [1, 2]
    with pytest.raises(StepFailed, match=r"graph g, step later, event e3: the queue later holds 2 events") as caught:
        plan.run(Event(3, id="e3"))
    assert caught.value.outcome.http == 429
    gate.set()
    plan.close()
    assert seen == [0, 1, 2]


def test_what_waits_in_a_queue_is_a_copy() -> None:
    seen: list[Any] = []
    graph = Graph("g")
    graph.to(lambda body: body, name="answer").respond()
    graph.queue().to(seen.append)
    body = {"x": [1]}
    with graph.open() as plan:
        plan.run(Event(body))
        body["x"].append("changed after the reply")
    assert seen == [{"x": [1]}]
