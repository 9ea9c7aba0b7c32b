"""How the engine runs a router: sync, async, streamed, in batches; errors by member; as data; in a whole graph."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from modelyard.graphs import Event, Graph, GraphInvalid, StepFailed
from modelyard.graphs.ensembles import Vote
from modelyard.graphs.groups import RouterStrategy
from modelyard.graphs.routers import ByField, ByPath, ChampionChallenger, WeightedSplit


def double(body: Any) -> Any:
    return body * 2


def plus_one(body: Any) -> Any:
    return body + 1


async def double_later(body: Any) -> Any:
    await asyncio.sleep(0)
    return body * 2


def parity(event: Event) -> str:
    return "odd" if event.body % 2 else "even"


def at_least(event: Event, limit: int = 0) -> str:
    return "big" if event.body >= limit else "small"


class Parity(RouterStrategy):
    """Looks at the body alone."""

    def select_body(self, body: Any) -> str:
        return "odd" if body % 2 else "even"


class Both(RouterStrategy):
    """Sends every event to both."""

    def select(self, event: Event) -> Any:
        return ["b", "a"]


def test_a_function_with_arguments_chooses() -> None:
    graph = Graph("g")
    graph.router(at_least, routes={"big": double, "small": plus_one}, limit=10)
    assert [graph.test(number) for number in (9, 10)] == [10, 20]
    assert Graph.from_spec(graph.to_spec()).test(10) == 20


@pytest.mark.parametrize("even", [double, double_later, {"use": double, "concurrency": "thread"}])
def test_one_member_answers_however_it_runs(even: Any) -> None:
    graph = Graph("g")
    graph.router(Parity, routes={"odd": plus_one, "even": even})
    assert [graph.test(number) for number in (3, 4)] == [4, 8]
    assert asyncio.run(graph.run(4)) == 8
    assert list(graph.map([3, 4, 5])) == [4, 8, 6]


def test_several_routes_answer_with_a_mapping_each_on_a_copy() -> None:
    def push(body: Any) -> Any:
        body.append(1)
        return len(body)

    async def push_later(body: Any) -> Any:
        return push(body)

    for member in (push, push_later):
        graph = Graph("g")
        graph.router(Both, name="pick", routes={"a": member, "b": member})
        assert graph.test([]) == {"b": 1, "a": 1}
        broken = graph.replacing(**{"pick.a": lambda body: 1 / 0})
        with pytest.raises(StepFailed, match=r"step pick\.a, .*ZeroDivisionError"):
            broken.test([])


def test_an_error_names_router_and_member_and_is_the_members_own() -> None:
    def failing(body: Any) -> Any:
        raise ValueError("no")

    for member in (failing, {"use": failing, "concurrency": "thread"}):
        graph = Graph("g")
        graph.router(parity, name="pick", routes={"odd": member, "even": double})
        with pytest.raises(StepFailed) as caught:
            graph.test(3)
        assert caught.value.facts["step"] == "pick.odd"
        assert type(caught.value.cause) is ValueError
        assert caught.value.__cause__ is caught.value.cause
        told = graph.trace(3).error
        assert told is not None
        assert told.what == caught.value.what == "the step raised ValueError: no"


def test_an_error_handler_sees_the_members_error_and_name() -> None:
    graph = Graph("g")
    step = graph.router(parity, name="pick", routes={"odd": lambda body: 1 // 0, "even": double})
    step.on_error(lambda event: (event.origin, type(event.error).__name__), name="handle")
    assert graph.test(3) == ("pick.odd", "ZeroDivisionError")
    assert graph.test(4) == 8


def test_an_error_deep_in_a_graph_that_is_a_member_names_the_way() -> None:
    inner = Graph("inner")
    inner.to(plus_one).router(parity, name="deep", routes={"odd": double, "even": lambda body: 1 // 0})
    graph = Graph("g")
    graph.router(parity, name="pick", routes={"odd": inner, "even": inner})
    with pytest.raises(StepFailed) as caught:
        graph.test(1)
    assert caught.value.facts["step"] == "pick.odd.deep.even"
    assert type(caught.value.cause) is ZeroDivisionError
    assert graph.test(2) == 6
    rows = graph.map([1, 2])
    assert list(rows) == [None, 6]
    assert rows.errors[0].facts["step"] == "pick.odd.deep.even"  # type: ignore[attr-defined]


def test_a_route_that_is_none_is_not_found() -> None:
    for said in ("x", 7, None, {"a": 1}):
        graph = Graph("g")
        graph.router(lambda event, said=said: said, name="pick", routes={"a": double})
        with pytest.raises(StepFailed, match="there is no route") as caught:
            graph.test(1)
        assert caught.value.outcome.http == 404


def test_metadata_says_the_route() -> None:
    graph = Graph("g")
    graph.router(parity, name="pick", routes={"odd": double, "even": double_later}).to(
        lambda event: event.metadata["pick"], name="see", full_event=True
    )
    assert [graph.test(number) for number in (3, 4)] == [{"route": "odd"}, {"route": "even"}]


def test_a_member_may_take_the_whole_event() -> None:
    def where(event: Event) -> Any:
        return (event.path, event.body)

    graph = Graph("g")
    graph.router(ByPath, routes={"a": {"use": where, "full_event": True}, "b": double})
    assert graph.test(3, path="/v2/models/a/infer") == ("/v2/models/a/infer", 3)
    assert graph.test(3, path="/v2/models/b/infer") == 6


def test_a_member_that_yields_makes_the_router_a_stream() -> None:
    def count(body: int) -> Iterator[int]:
        yield from range(body)

    graph = Graph("g")
    graph.router(parity, routes={"odd": count, "even": double})
    assert graph.test(3) == [0, 1, 2]
    assert graph.test(4) == [8]
    graph = Graph("h")
    graph.router(parity, name="pick", routes={"odd": count, "even": double_later})
    assert list(graph.stream(3)) == [0, 1, 2]
    assert list(graph.stream(4)) == [8]

    def breaking(body: int) -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    broken = graph.replacing(**{"pick.odd": breaking})
    with pytest.raises(StepFailed, match=r"step pick\.odd, .*no more"):
        broken.test(3)


def test_a_graph_that_is_a_member_is_opened_and_closed_with_the_outer_one() -> None:
    life: list[str] = []

    class Opened:
        def __enter__(self) -> "Opened":
            life.append("open")
            return self

        def __exit__(self, *error: object) -> None:
            life.append("closed")

        def do(self, body: Any) -> Any:
            return body + 1

    inner = Graph("inner")
    inner.to(Opened)
    graph = Graph("g")
    graph.router(parity, routes={"odd": inner, "even": Opened})
    plan = graph.open()
    assert life == ["open", "open"]
    assert (plan.run(Event(1)), plan.run(Event(2))) == (2, 3)
    plan.close()
    assert life == ["open", "open", "closed", "closed"]


def test_what_follows_a_reply_in_a_member_has_run_when_test_returns() -> None:
    seen: list[int] = []

    async def note_later(body: int) -> None:
        await asyncio.sleep(0)
        seen.append(body)

    for after in (seen.append, note_later):
        inner = Graph("inner")
        inner.to(double).respond().queue().to(after, name="note") if after is not note_later else inner.to(
            double
        ).respond().to(after, name="note")
        graph = Graph("g")
        graph.router(parity, routes={"odd": inner, "even": plus_one})
        seen.clear()
        assert graph.test(3) == 6
        assert seen == [6]


def test_an_event_that_a_member_graph_filters_out_has_no_answer() -> None:
    inner = Graph("inner")
    inner.filter(lambda body: body > 5, name="big").to(double)
    graph = Graph("g")
    graph.router(parity, routes={"odd": inner, "even": plus_one}).to(repr)
    assert [graph.test(number) for number in (3, 7)] == ["None", "14"]


def test_settings_of_the_router_and_of_a_member_work() -> None:
    tries: list[int] = []

    def seldom(body: Any) -> Any:
        tries.append(body)
        if len(tries) < 3:
            raise ConnectionError("away")
        return body

    graph = Graph("g")
    graph.router(parity, routes={"odd": {"use": seldom, "retries": {"attempts": 3, "base": 0.0}}, "even": double})
    assert graph.test(3) == 3
    tries.clear()
    graph = Graph("h")
    graph.router(parity, routes={"odd": seldom, "even": double}, retries={"attempts": 3, "base": 0.0})
    assert graph.test(3) == 3
    graph = Graph("i")
    graph.router(parity, routes={"odd": lambda body: 1 / 0, "even": double}, fallback="none", input_path="x")
    assert [graph.test({"x": number}) for number in (3, 4)] == ["none", 8]


def test_arrays_go_by_route_and_come_back_as_an_array() -> None:
    class Sign(RouterStrategy):
        """Looks at whole arrays."""

        def select_body(self, body: Any) -> str:
            return "plus" if body > 0 else "minus"

        def select_batch(self, bodies: Any) -> Any:
            return np.where(np.asarray(bodies) > 0, "plus", "minus").tolist()

    graph = Graph("g")
    routes = {"plus": {"use": double, "vectorised": True}, "minus": {"use": plus_one, "vectorised": True}}
    graph.router(Sign, routes=routes)
    rows = graph.map(np.array([1.0, -1.0, 3.0, -4.0]))
    assert isinstance(rows.values, np.ndarray)
    assert rows.values.tolist() == [2.0, 0.0, 6.0, -3.0]


def test_the_specification_makes_the_same_graph_again() -> None:
    graph = Graph("g")
    step = graph.router(ByField, name="pick", field="kind", routes={"a": f"{__name__}:body_x"}, default="a")
    step.member("b", body_x, retries=2, cache=True).respond()
    spec = graph.to_spec()
    again = Graph.from_spec(spec)
    assert again.to_spec() == spec
    assert again.test({"x": 4}) == 4
    assert again.definition.nodes["pick"].members["b"].settings.retries.attempts == 2  # type: ignore[union-attr]


def body_x(body: Any) -> Any:
    return body["x"]


@pytest.mark.parametrize(
    ("member", "told"),
    [
        (
            {"name": "a", "kind": "filter", "use": "operator:neg"},
            "a member is a call, a model or a graph, not a filter",
        ),
        ({"name": "a", "kind": "call", "use": "operator:neg", "respond": True}, "a member has no neighbours"),
        ({"name": "a", "kind": "call", "use": ""}, "it is not a dotted path"),
    ],
)
def test_a_specification_with_wrong_members_is_refused(member: dict[str, Any], told: str) -> None:
    spec = {
        "name": "g",
        "steps": [{"name": "pick", "kind": "router", "use": f"{__name__}:parity", "members": [member]}],
    }
    with pytest.raises(Exception, match=told):
        Graph.from_spec(spec).open()


def test_strategies_that_are_none_are_refused() -> None:
    class Nothing:
        pass

    for strategy, told in (
        (Nothing, "the class Nothing has no method select"),
        ("operator:missing", "there is no step 'operator:missing'"),
    ):
        graph = Graph("g")
        graph.router(strategy, name="pick", routes={"a": double})
        with pytest.raises(Exception, match=told):
            graph.open()
    with pytest.raises(GraphInvalid, match=r"step pick: a step is a function, .*, not int"):
        Graph("g").router(3, name="pick", routes={"a": double})
    graph = Graph("g")
    graph.router(parity, name="pick")
    with pytest.raises(GraphInvalid, match="step pick: a router has at least one route"):
        graph.check()


def test_a_graph_cannot_be_a_member_of_itself() -> None:
    graph, other = Graph("g"), Graph("other")
    graph.router(parity, routes={"odd": double, "even": other})
    other.to(plus_one).to(graph)
    for work in (graph.check, lambda: graph.test(1), lambda: other.test(1), lambda: graph.models):
        with pytest.raises(GraphInvalid, match=r"the graph '(g|other)' is a part of itself"):
            work()


def test_what_is_wrong_with_a_graph_that_is_a_member_shows_before_it_opens() -> None:
    inner = Graph("inner")
    graph = Graph("g")
    graph.router(parity, name="pick", routes={"odd": double}).member("even", inner)
    with pytest.raises(GraphInvalid, match="graph inner: it has no steps"):
        graph.check()


def test_the_whole_way_parse_choose_vote_answer() -> None:
    """The shape of the flights graph: a champion against an ensemble, and a reply of one form."""

    def parse(body: Any) -> Any:
        return {"hour": int(body["at"][:2]), "flight": body["flight"]}

    def rule(hour: int) -> Any:
        return lambda body: {"label": "late" if body["hour"] >= hour else "early"}

    panel = Graph("panel")
    panel.ensemble(Vote, name="vote", members={"six": rule(6), "noon": rule(12), "evening": rule(18)})
    graph = Graph("delays")
    step = graph.to(parse).router(
        ChampionChallenger,
        name="pick",
        routes={"current": rule(20), "panel": panel},
        champion="current",
        challenger="panel",
        share=0.5,
        key="flight",
    )
    step.to(lambda event: {"label": event.body["label"], **event.metadata["pick"]}, name="reply", full_event=True)
    answers = {flight: graph.test({"at": "13:00", "flight": flight}) for flight in ("UA1", "UA2", "UA3", "UA4")}
    assert {flight: answer["label"] for flight, answer in answers.items()} == {
        flight: "late" if answer["route"] == "panel" else "early" for flight, answer in answers.items()
    }
    assert {answer["role"] for answer in answers.values()} == {"champion", "challenger"}


def test_weighted_routes_that_wait_are_split_the_same_way() -> None:
    def members(one: Any) -> dict[str, Any]:
        return {"a": one, "b": plus_one}

    sync, waiting = Graph("g"), Graph("h")
    sync.router(WeightedSplit, name="pick", routes=members(double), key="event.id")
    waiting.router(WeightedSplit, name="pick", routes=members(double_later), key="event.id")
    first, second = sync.open(), waiting.open()
    for number in range(50):
        one, other = Event(10, id=f"e{number}"), Event(10, id=f"e{number}")
        assert first.run(one) == asyncio.run(second.run_async(other))
