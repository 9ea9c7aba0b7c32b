"""Cycles: bounded per way back or per graph, counted per event, the same in every way of running."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from modelyard.graphs import CycleExceeded, Event, Graph, GraphInvalid, StepFailed


def one_more(body: Any) -> Any:
    return {**body, "n": body["n"] + 1}


async def one_more_later(body: Any) -> Any:
    await asyncio.sleep(0)
    return one_more(body)


@pytest.fixture(params=[one_more, one_more_later], ids=["sync", "async"])
def inc(request: pytest.FixtureRequest) -> Any:
    """MLRun has cycles in async flows only."""
    return request.param


def counting(inc: Callable[[Any], Any], *, bound: int = 0, cycle_bound: int = 0) -> Graph:
    graph = Graph("g", cycle_bound=cycle_bound)
    choice = graph.to(inc, name="inc").choice(lambda body: body["n"] < body["to"], name="more")
    choice.when(True).cycle_to("inc", bound=bound)
    choice.when(False).to(lambda body: body["n"], name="end")
    return graph


def ways_to_run(graph: Graph) -> list[Callable[[Any], Any]]:
    plan = graph.open()
    return [
        lambda body: plan.run(Event(body, id="e1")),
        lambda body: plan.interpret(Event(body, id="e1")),
        lambda body: asyncio.run(plan.run_async(Event(body, id="e1"))),
        lambda body: graph.map([body])[0],
        lambda body: next(iter(graph.stream(body))),
    ]


@pytest.mark.parametrize("bounds", [{"bound": 3}, {"cycle_bound": 3}, {"bound": 3, "cycle_bound": 99}])
def test_a_bound_of_three_lets_an_event_go_back_three_times(inc: Any, bounds: dict[str, int]) -> None:
    for run in ways_to_run(counting(inc, **bounds)):
        assert run({"n": 0, "to": 4}) == 4
        assert run({"n": 0, "to": 1}) == 1
        with pytest.raises(StepFailed) as caught:
            run({"n": 0, "to": 5})
        assert type(caught.value.cause) is CycleExceeded
        assert str(caught.value.cause) == (
            "the event went round the cycle more:yes → inc more than 3 times: "
            "inc → more → inc → more → inc → more → inc → more → inc. "
            "Raise the bound, or let the event leave the cycle."
        )
        assert str(caught.value).startswith("graph g, step inc, event ")
        assert caught.value.outcome.http == 422
        assert caught.value.facts["path"] == ["inc", "more"] * 4 + ["inc"]
        assert caught.value.facts["bound"] == 3


def test_a_long_path_is_told_in_short(inc: Any) -> None:
    with pytest.raises(
        StepFailed, match="inc → more → inc → more → inc → more → … → more → inc → more → inc → more → inc"
    ):
        counting(inc, bound=20).test({"n": 0, "to": 99})


def test_each_event_has_its_own_count(inc: Any) -> None:
    graph = counting(inc, bound=5)
    plan = graph.open()

    async def together() -> list[Any]:
        return await asyncio.gather(*(plan.run_async(Event({"n": 0, "to": 6})) for _ in range(50)))

    assert asyncio.run(together()) == [6] * 50
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: plan.run(Event({"n": 0, "to": 6})), range(50))) == [6] * 50


def test_there_is_no_bound_but_the_one_that_was_said(inc: Any) -> None:
    """MLRun cuts at 100 if nobody says, storey at 10 000; and deep cycles do not fill the stack."""
    assert counting(inc, bound=20_000).test({"n": 0, "to": 12_000}) == 12_000
    with pytest.raises(
        GraphInvalid, match=r"step more: the cycle to 'inc' has no bound\. Say cycle_to\('inc', bound=…\)"
    ):
        counting(inc).test({"n": 0, "to": 2})


def test_bounds_of_several_cycles_are_counted_apart(inc: Any) -> None:
    graph = Graph("g")
    choice = graph.to(inc, name="inc").choice("next", name="next")
    choice.when("a").to(lambda body: {**body, "next": "b", "n": body["n"] + 10}, name="a").cycle_to("inc", bound=1)
    choice.when("b").to(lambda body: {**body, "next": "end", "n": body["n"] + 100}, name="b").cycle_to("inc", bound=1)
    end = choice.when("end").to(lambda body: body["n"], name="end").respond()
    assert end.name == "end"
    assert graph.test({"n": 0, "next": "a"}) == 113


def test_a_handler_looks_at_an_event_that_went_round_too_often(inc: Any) -> None:
    graph = counting(inc, bound=2)
    graph.on_error(lambda event: {"error": type(event.error).__name__, "origin": event.origin, "n": event.body["n"]})
    for run in ways_to_run(graph):
        assert run({"n": 0, "to": 9}) == {"error": "CycleExceeded", "origin": "inc", "n": 3}


def test_a_bound_goes_into_the_specification_and_out_of_it() -> None:
    graph = Graph("g", cycle_bound=9)
    choice = graph.to("operator:neg", name="a").choice("more")
    choice.when("x").cycle_to("a", bound=4)
    choice.when("y").to("operator:neg", name="b")
    again = Graph.from_spec(graph.to_yaml())
    assert [(each.to, each.bound, each.outlet) for each in again.definition.nodes["more"].cycles] == [("a", 4, "x")]
    assert again.definition.cycle_bound == 9


def test_a_cycle_leads_through_no_queue() -> None:
    graph = Graph("g", cycle_bound=3)
    graph.to(one_more, name="a").respond().queue().to(one_more, name="b").cycle_to("a")
    with pytest.raises(GraphInvalid) as caught:
        graph.check()
    assert str(caught.value) == (
        "graph g, step b: the cycle to 'a' leads through the queue 'queue', and cannot be counted. Lead back from "
        "before the queue, or from behind it to behind it.\n"
        "  input → a (responds)\n  a → queue\n  queue → b\n  b → ↩ a"
    )


def test_a_cycle_around_branches_and_a_merge(inc: Any) -> None:
    graph = Graph("g", cycle_bound=5)
    start = graph.to(inc, name="start")
    join = start.to(inc, name="a").merge(start.to(inc, name="b"), name="join", into="list")
    both = join.to(lambda body: {"n": sum(each["n"] for each in body), "to": body[0]["to"]}, name="sum")
    choice = both.choice(lambda body: body["n"] < body["to"], name="more")
    choice.when(True).cycle_to("start")
    choice.when(False).to(lambda body: body["n"], name="end")
    for run in ways_to_run(graph):
        assert run({"n": 0, "to": 20}) == 28  # 0 → 2·(0 + 2) = 4 → 12 → 28
