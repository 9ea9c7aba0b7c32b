"""Splits: shares of the traffic, the same key always on the same route."""

import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from modelyard.graphs import Event, Graph, GraphInvalid, StepFailed
from modelyard.graphs.routers import ChampionChallenger, WeightedSplit
from modelyard.graphs.routers.shares import share_of


def saying(value: Any) -> Any:
    return lambda body: value


def split(**options: Any) -> Graph:
    graph = Graph("g")
    name = options.pop("name", "pick")
    graph.router(WeightedSplit, name=name, routes={"a": saying("a"), "b": saying("b"), "c": saying("c")}, **options)
    return graph


KEYS = [{"user": f"user-{number}"} for number in range(3000)]


def test_shares_are_those_of_the_weights_which_need_not_add_up_to_one() -> None:
    graph = split(weights={"a": 6, "b": 3, "c": 1}, key="user")
    found = Counter(graph.test(body) for body in KEYS)
    assert found == {"a": 1818, "b": 876, "c": 306}


def test_a_key_keeps_its_route_in_every_process() -> None:
    code = "from modelyard.graphs.routers.shares import share_of; print(share_of('ada', 'pick'))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert float(other.stdout) == share_of("ada", "pick") == 0.2501914742298822


def test_experiments_with_the_same_keys_are_independent() -> None:
    one, other = split(key="user", name="one"), split(key="user", name="other")
    both = Counter((one.test(body), other.test(body)) for body in KEYS)
    assert all(280 < count < 390 for count in both.values())
    assert len(both) == 9
    same = split(key="user", name="third", salt="one")
    assert [same.test(body) for body in KEYS] == [one.test(body) for body in KEYS]


def test_keys_come_from_body_header_and_event() -> None:
    plan = split(key="header:X-User").open()
    first = plan.run(Event({}, headers={"x-user": "ada"}))
    assert {plan.run(Event({}, headers={"x-user": "ada"})) for _ in range(20)} == {first}
    plan = split(key="event.key").open()
    assert len({plan.run(Event({}, key="ada")) for _ in range(20)}) == 1
    plan = split(key="event.id").open()
    assert len({plan.run(Event({}, id="ada")) for _ in range(20)}) == 1
    assert len({plan.run(Event({})) for _ in range(50)}) == 3
    graph = split(key="on.user")
    assert graph.test({"on": {"user": 7}}) == graph.test({"on": {"user": "7"}})


def test_an_event_without_its_key_is_refused_or_goes_anywhere() -> None:
    with pytest.raises(StepFailed) as caught:
        split(key="user").test({})
    assert caught.value.what == "the event does not say its route: it has no 'user'"
    graph = split(key="user", missing="random", seed=1)
    assert len({graph.test({}) for _ in range(50)}) == 3


def test_random_routes_repeat_with_a_seed() -> None:
    one, other = split(seed=5), split(seed=5)
    taken = [one.test({}) for _ in range(100)]
    assert taken == [other.test({}) for _ in range(100)]
    assert set(taken) == {"a", "b", "c"}


def test_a_route_of_weight_zero_gets_nothing() -> None:
    graph = split(weights={"a": 0, "b": 1, "c": 0}, key="user")
    assert {graph.test(body) for body in KEYS[:200]} == {"b"}


def test_batches_are_split_as_rows_are() -> None:
    graph = split(key="user")
    assert list(graph.map(KEYS[:100])) == [graph.test(body) for body in KEYS[:100]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"weights": {"a": 1, "b": 1, "c": -1}}, "weights['c'] is a number from 0, not -1"),
        ({"weights": {"a": 1, "b": 1, "d": 1}}, "weights names 'd', which is no member: a, b, c"),
        ({"key": "x", "missing": "drop"}, "missing is error or random, not 'drop'"),
        ({"key": 3}, "key is a field of the body, header:<name>, event.key or event.id, not 3"),
        ({"key": "event.path"}, "key is event.key, event.id, header:<name> or a field, not 'event.path'"),
    ],
)
def test_wrong_arguments_are_refused_when_the_graph_opens(options: dict[str, Any], told: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        split(**options).open()
    assert (caught.value.what, caught.value.where) == (told, "graph g, step pick")


def duel(share: float, **options: Any) -> Graph:
    graph = Graph("g")
    routes = {"current": saying("current"), "next": saying("next")}
    step = graph.router(
        ChampionChallenger, name="pick", routes=routes, champion="current", challenger="next", share=share, **options
    )
    step.to(lambda event: (event.body, event.metadata["pick"]), name="see", full_event=True)
    return graph


def test_the_challenger_gets_its_share_and_the_metadata_says_the_role() -> None:
    graph = duel(0.2, key="user")
    answers = [graph.test(body) for body in KEYS]
    assert Counter(body for body, _ in answers) == {"current": 2381, "next": 619}
    assert ("next", {"route": "next", "role": "challenger"}) in answers
    assert ("current", {"route": "current", "role": "champion"}) in answers


def test_raising_the_share_moves_keys_to_the_challenger_and_none_back() -> None:
    few = {body["user"] for body in KEYS if duel_small.test(body)[0] == "next"}
    many = {body["user"] for body in KEYS if duel_large.test(body)[0] == "next"}
    assert few < many


duel_small, duel_large = duel(0.05, key="user"), duel(0.5, key="user")


def test_a_share_of_nothing_or_all_is_one() -> None:
    assert {duel(0.0, key="user").test(body)[0] for body in KEYS[:100]} == {"current"}
    assert {duel(1.0, key="user").test(body)[0] for body in KEYS[:100]} == {"next"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"champion": "x", "challenger": "b"}, "champion is a route, 'x' is none: a, b"),
        ({"champion": "a", "challenger": ""}, "challenger is a route: a, b"),
        ({"champion": "a", "challenger": "a"}, "champion and challenger are two routes, both are 'a'"),
        ({"champion": "a", "challenger": "b", "share": 1.5}, "share is between 0 and 1, not 1.5"),
        ({"champion": "a", "challenger": "b", "share": True}, "share is between 0 and 1, not True"),
    ],
)
def test_wrong_duels_are_refused(options: dict[str, Any], told: str) -> None:
    graph = Graph("g")
    graph.router(ChampionChallenger, name="pick", routes={"a": saying(1), "b": saying(2)}, **options)
    with pytest.raises(GraphInvalid) as caught:
        graph.open()
    assert (caught.value.what, caught.value.where) == (told, "graph g, step pick")


def test_a_third_route_in_a_duel_is_refused() -> None:
    graph = Graph("g")
    routes = {"a": saying(1), "b": saying(2), "c": saying(3)}
    graph.router(ChampionChallenger, routes=routes, champion="a", challenger="b")
    with pytest.raises(GraphInvalid, match="there are routes besides: c"):
        graph.open()
