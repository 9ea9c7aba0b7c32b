"""Merges: within one event, and across events with the same key."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sinks import Sink

from modelyard.graphs import Event, Graph, GraphInvalid, MergeIncomplete, Plan, StepFailed


async def later(body: Any) -> Any:
    await asyncio.sleep(0)
    return body


def same(body: Any) -> Any:
    return body


def sides(sink: Sink | None = None, *, step: Any = same, **options: Any) -> Graph:
    """Return a graph in which events of two sides meet by ``k``."""
    graph = Graph("g")
    choice = graph.to(step, name="first").choice("side")
    left = choice.when("l").to(same, name="left")
    right = choice.when("r").to(same, name="right")
    join = left.merge(right, name="join", **{"key": "k", "into": "list", **options})
    if sink is not None:
        join.to(sink, name="sink")
    return graph


def left(key: Any, **more: Any) -> dict[str, Any]:
    return {"side": "l", "k": key, **more}


def right(key: Any, **more: Any) -> dict[str, Any]:
    return {"side": "r", "k": key, **more}


@pytest.fixture(params=[same, later], ids=["sync", "async"])
def step(request: pytest.FixtureRequest) -> Any:
    return request.param


def reported(plan: Plan) -> list[str]:
    return [str(error) for error in plan.reported]


# --- across events ----------------------------------------------------------------------------------------------------


def test_the_second_event_gets_the_join_in_the_order_of_the_branches(step: Any) -> None:
    with sides(step=step).open() as plan:
        first, second = Event(left(1, v="a")), Event(right(1, v="b"))
        assert (plan.interpret(first), first.status) == (None, 204)
        assert (plan.interpret(second), second.status) == ([left(1, v="a"), right(1, v="b")], 0)
    graph = sides(step=step)
    assert graph.test(left(1, v="a")) is None
    assert graph.test(right(1, v="b")) == [left(1, v="a"), right(1, v="b")]
    assert graph.test(right(2)) is None
    assert graph.test(left(2)) == [left(2), right(2)]


def test_bodies_of_one_branch_wait_in_order_and_none_is_lost(step: Any) -> None:
    graph = sides(step=step)
    assert [graph.test(left(1, n=n)) for n in range(3)] == [None, None, None]
    assert [graph.test(right(1))[0]["n"] for _ in range(3)] == [0, 1, 2]
    assert graph.test(right(1)) is None


def test_a_body_that_waits_is_a_copy() -> None:
    graph = sides()
    body = left(1, values=[1])
    graph.test(body)
    body["values"].append("changed by the sender after the reply")
    assert graph.test(right(1))[0]["values"] == [1]


def test_what_follows_a_join_goes_on_from_the_event_that_completed_it(step: Any) -> None:
    graph = sides(Sink(), step=step)
    plan = graph.replacing(sink=lambda body: body + 1).open()
    plan.interpret(Event(left(1), id="e1"))
    with pytest.raises(StepFailed, match="step sink, event e2: the step raised TypeError") as caught:
        plan.interpret(Event(right(1), id="e2"))
    assert type(caught.value.cause) is TypeError


def test_keys_are_fields_ids_or_keys_of_events() -> None:
    for key in ("$id", "$key", "deep.k"):
        plan = sides(key=key).open()
        body = {"deep": {"k": [1, "x"]}}
        assert plan.run(Event({"side": "l", **body}, id="a", key="a")) is None
        assert plan.run(Event({"side": "l", "deep": {"k": [2]}}, id="b", key="b")) is None
        reply = plan.run(Event({"side": "r", **body}, id="a", key="a"))
        assert [each["side"] for each in reply] == ["l", "r"]


def test_a_key_that_is_missing_or_cannot_be_compared_is_the_events_own_error() -> None:
    graph = sides()
    with pytest.raises(
        StepFailed, match=r"step join, event .*: the body has no 'k': 'k' is missing\. Found: side"
    ) as c:
        graph.test({"side": "l"})
    assert c.value.outcome.http == 422
    with pytest.raises(
        StepFailed, match=r"the key 'k' is a value of type bytearray, which cannot be compared\. Take a"
    ):
        graph.test(left(bytearray(b"x")))


def test_more_incomplete_joins_than_the_limit_give_up_the_oldest_and_never_fail_the_newest(step: Any) -> None:
    graph = sides(step=step, limit=2)
    assert [graph.test(left(key)) for key in "abc"] == [None, None, None]
    plan = graph._plan(None)
    (message,) = reported(plan)
    assert message.startswith("graph g, step join, event ")
    assert message.endswith('nothing arrived from right. Say missing="partial" or missing="drop" if that is all right.')
    assert graph.test(right("a")) is None, "the left part is gone"
    assert graph.test(right("c")) == [left("c"), right("c")]


def test_what_never_joins_goes_to_the_handlers_as_an_error(step: Any) -> None:
    seen: list[Any] = []
    graph = sides(step=step, limit=1)
    graph.on_error(lambda event: seen.append((event.body, type(event.error), event.origin, event.id)), name="dead")
    plan = graph.open()
    plan.interpret(Event(left("a"), id="e1"))
    plan.interpret(Event(left("b"), id="e2"))
    plan.close()
    assert seen == [
        ([left("a")], MergeIncomplete, "join", "e1"),
        ([left("b")], MergeIncomplete, "join", "e2"),
    ]
    assert not plan.reported


def test_what_never_joins_is_dropped(step: Any) -> None:
    sink = Sink()
    graph = sides(sink, step=step, limit=1, missing="drop")
    assert [graph.test(left(key)) for key in "ab"] == [None, None]
    assert graph.test(right("a")) is None
    assert graph.test(right("b")) is None
    graph._plan(None).close()
    assert sink.seen == []
    assert reported(graph._plan(None)) == []


def test_what_never_joins_goes_on_in_part_and_replies_to_nobody(step: Any) -> None:
    sink = Sink()
    graph = sides(sink, step=step, limit=1, missing="partial")
    assert graph.test(left("a")) is None
    assert graph.test(left("b")) is None, "the reply is that of the event, not of the join that made room"
    assert sink.wait(1) == [[left("a")]]
    assert graph.test(right("b")) == [left("b"), right("b")]
    assert reported(graph._plan(None)) == []


def test_a_join_whose_time_is_up_goes_without_another_event(step: Any) -> None:
    sink = Sink()
    graph = sides(sink, step=step, seconds=0.02, missing="partial", into="mapping")
    assert graph.test(left("a")) is None
    assert sink.wait(1) == [{"left": left("a")}]
    assert graph.test(right("a")) is None, "too late"
    assert sink.wait(2)[1:] == [{"right": right("a")}]


def test_time_is_up_on_the_loop_of_the_events() -> None:
    loops = []

    async def where(body: Any) -> Any:
        loops.append(asyncio.get_running_loop())
        done.set()
        return body

    async def scenario() -> None:
        await graph.run(left("a"))
        await asyncio.wait_for(done.wait(), 60)
        assert loops == [asyncio.get_running_loop()]

    done = asyncio.Event()
    graph = sides(seconds=0.01, missing="partial").replacing(first=later)
    graph.add_step(where, name="where", after="join")
    asyncio.run(scenario())


@pytest.mark.parametrize("missing", ["error", "drop", "partial"])
def test_the_policy_holds_when_the_graph_closes(step: Any, missing: str) -> None:
    sink = Sink()
    graph = sides(sink, step=step, missing=missing)
    plan = graph.open()
    plan.interpret(Event(left("a"), id="e1"))
    plan.interpret(Event(right("b"), id="e2"))
    plan.close()
    plan.close()
    assert sink.seen == ([[left("a")], [right("b")]] if missing == "partial" else [])
    found = [str(error).partition(". ")[0] for error in plan.reported]
    assert found == (
        [
            "graph g, step join, event e1: nothing arrived from right",
            "graph g, step join, event e2: nothing arrived from left",
        ]
        if missing == "error"
        else []
    )


def test_every_join_is_made_once_by_threads() -> None:
    plan = sides().open()

    def ask(body: Any) -> Any:
        return plan.run(Event(body))

    bodies = [each for key in range(300) for each in (left(key), right(key))]
    with ThreadPoolExecutor(8) as pool:
        replies = [reply for reply in pool.map(ask, bodies) if reply is not None]
    assert sorted(reply[0]["k"] for reply in replies) == list(range(300))
    assert all(reply == [left(reply[0]["k"]), right(reply[0]["k"])] for reply in replies)
    plan.close()
    assert reported(plan) == []


def test_every_join_is_made_once_by_coroutines() -> None:
    graph = sides(step=later)

    async def scenario() -> list[Any]:
        bodies = [each for key in range(200) for each in (right(key), left(key))]
        return [reply for reply in await asyncio.gather(*(graph.run(body) for body in bodies)) if reply is not None]

    replies = asyncio.run(scenario())
    assert sorted(reply[0]["k"] for reply in replies) == list(range(200))


def test_a_merge_by_key_of_three_branches_updates_one_mapping() -> None:
    graph = Graph("g")
    choice = graph.choice("side")
    ways = [choice.when(name).to(lambda body: {"k": body["k"], body["side"]: 1}, name=name) for name in "abc"]
    ways[0].merge(*ways[1:], key="k", into="update")
    assert [graph.test({"side": side, "k": 1}) for side in "cab"] == [None, None, {"k": 1, "a": 1, "b": 1, "c": 1}]


# --- within one event -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("into", "expected"),
    [("mapping", {"a": {"a": 1}, "b": {"b": 2}}), ("list", [{"a": 1}, {"b": 2}]), ("update", {"a": 1, "b": 2})],
)
def test_branches_of_one_event_meet(step: Any, into: Any, expected: Any) -> None:
    graph = Graph("g")
    first = graph.to(step, name="first")
    one, other = first.to(lambda body: {"a": 1}, name="a"), first.to(lambda body: {"b": 2}, name="b")
    one.merge(other, into=into)
    assert graph.test(0) == expected
    assert asyncio.run(graph.run(0)) == expected


@pytest.mark.parametrize(("missing", "expected"), [("drop", None), ("partial", {"a": 3}), ("error", MergeIncomplete)])
def test_a_branch_that_brings_nothing(step: Any, missing: Any, expected: Any) -> None:
    graph = Graph("g")
    first = graph.to(step, name="first")
    first.to(same, name="a").merge(first.filter(lambda body: body > 9, name="b"), missing=missing)
    if expected is MergeIncomplete:
        with pytest.raises(StepFailed, match=r"graph g, step merge, event .*: nothing arrived from b") as caught:
            graph.test(3)
        assert type(caught.value.cause) is MergeIncomplete
        assert caught.value.outcome.http == 422
    else:
        assert graph.test(3) == expected
    assert graph.test(10) == {"a": 10, "b": 10}


def test_parallel_steps_answer_under_their_names() -> None:
    graph = Graph("g")
    graph.parallel(double=lambda body: body * 2, square=lambda body: body * body)
    assert graph.test(7) == {"double": 14, "square": 49}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit is a whole number, at least 1, not 0"),
        ({"limit": 1.5}, "limit is a whole number, at least 1, not 1.5"),
        ({"seconds": -1}, "seconds is a number of seconds, at least 0, not -1"),
        ({"missing": "ignore"}, "missing is one of error, drop, partial, not 'ignore'"),
        ({"into": "tuple"}, "into is one of mapping, list, update, not 'tuple'"),
        ({"key": 7}, "key is text, not 7"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        sides(**options)
    assert str(caught.value) == f"graph g, step join: {message}."
