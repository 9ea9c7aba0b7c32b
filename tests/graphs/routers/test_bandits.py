"""Bandits: what is rewarded is chosen more often."""

import json
from collections import Counter
from random import Random
from typing import Any

import pytest

from modelyard.graphs import Event, Graph, GraphInvalid, StepFailed
from modelyard.graphs.routers import EpsilonGreedy, Thompson


def saying(value: Any) -> Any:
    return lambda body: value


def bandit(strategy: Any, **options: Any) -> Graph:
    graph = Graph("g")
    graph.router(strategy, name="pick", routes={"a": saying("a"), "b": saying("b"), "c": saying("c")}, **options)
    return graph


def learn(graph: Graph, rounds: int, chances: dict[str, float], *, by_id: bool = False) -> Counter[str]:
    """Play with a world in which each route pays 1 with its chance; return what was chosen in the last half."""
    world, chosen = Random(11), []
    plan = graph.open()
    for number in range(rounds):
        route = plan.run(Event({}, id=f"e{number}"))
        chosen.append(route)
        reward = 1.0 if world.random() < chances[route] else 0.0
        whose = {"id": f"e{number}"} if by_id else {"route": route}
        plan.run(Event({"reward": reward, **whose}, path="/reward"))
    return Counter(chosen[rounds // 2 :])


CHANCES = {"a": 0.2, "b": 0.5, "c": 0.7}


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        (EpsilonGreedy, {"epsilon": 0.1}),
        (Thompson, {}),
        (Thompson, {"rewards": "gaussian"}),
    ],
)
@pytest.mark.parametrize("by_id", [False, True])
def test_the_best_route_is_found(strategy: Any, options: Any, by_id: bool) -> None:
    chosen = learn(bandit(strategy, seed=3, **options), 2000, CHANCES, by_id=by_id)
    assert chosen["c"] > 800
    assert chosen["a"] < 60


@pytest.mark.parametrize("strategy", [EpsilonGreedy, Thompson])
def test_choices_repeat_with_a_seed(strategy: Any) -> None:
    assert learn(bandit(strategy, seed=3), 300, CHANCES) == learn(bandit(strategy, seed=3), 300, CHANCES)


def test_a_reward_answers_with_what_is_known_of_the_route() -> None:
    graph = bandit(EpsilonGreedy)
    assert graph.test({"reward": 1, "route": "a"}, path="/reward") == {"route": "a", "rewards": 1, "mean": 1.0}
    told = graph.test({"reward": 0.5, "route": "a"}, path="/v2/models/g/reward")
    assert told == {"route": "a", "rewards": 2, "mean": 0.75}
    assert graph.test({"reward": True, "route": "b"}, path="/reward")["mean"] == 1.0
    known = graph.test(None, path="/reward", method="GET")
    assert known["a"] == {"chosen": 0, "rewards": 2, "total": 1.5, "squares": 1.25}


def test_an_event_is_rewarded_by_its_id_once() -> None:
    plan = bandit(EpsilonGreedy, seed=1, remember=2).open()
    for number in range(3):
        plan.run(Event({}, id=f"e{number}"))
    assert plan.run(Event({"reward": 1, "id": "e2"}, path="/reward"))["rewards"] == 1
    for known in ("e2", "e0", "other", 7):
        with pytest.raises(StepFailed, match="is not known here: it is too old, was rewarded, or went elsewhere"):
            plan.run(Event({"reward": 1, "id": known}, path="/reward"))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (None, "a reward has the fields reward, and either route or id"),
        ({"reward": 1}, "a reward has the fields reward, and either route or id"),
        ({"reward": 1, "route": "a", "id": "e"}, "a reward has the fields reward, and either route or id"),
        ({"reward": 1, "route": "x"}, "there is no route 'x': a, b, c"),
        ({"reward": "good", "route": "a"}, "a reward is a number, not 'good'"),
        ({"reward": float("nan"), "route": "a"}, "a reward is a number, not nan"),
        ({"reward": 2, "route": "a"}, "a reward is between 0 and 1, not 2.0"),
        ({"reward": 1, "route": ["a"]}, "there is no route ['a']: a, b, c"),
        ({"reward": -1e200, "route": "a"}, "a reward is a number up to 1e+100, not -1e+200"),
    ],
)
def test_what_is_no_reward_is_refused(body: Any, told: str) -> None:
    with pytest.raises(StepFailed) as caught:
        bandit(Thompson).test(body, path="/reward")
    assert caught.value.what == told
    assert caught.value.outcome.http == 422


def test_gaussian_rewards_are_any_numbers() -> None:
    graph = bandit(Thompson, rewards="gaussian", seed=1)
    assert graph.test({"reward": -250, "route": "a"}, path="/reward")["mean"] == -250.0
    assert {graph.test({}) for _ in range(6)} == {"a", "b", "c"}


def test_what_is_known_goes_to_another_worker_as_json() -> None:
    one = bandit(EpsilonGreedy, epsilon=0.0).open()
    strategy: Any = one.groups["pick"].strategy
    for route, reward in (("a", 0.1), ("b", 0.9), ("c", 0.2)):
        strategy.reward(route, reward)
    known = json.loads(json.dumps(strategy.export()))
    other = bandit(EpsilonGreedy, epsilon=0.0, start=known)
    assert [other.test({}) for _ in range(3)] == ["b", "b", "b"]
    third = bandit(EpsilonGreedy, epsilon=0.0).open()
    third.groups["pick"].strategy.load(known)  # type: ignore[union-attr]
    assert third.run(Event({})) == "b"


def test_untried_routes_are_tried_before_means_are_compared() -> None:
    graph = bandit(EpsilonGreedy, epsilon=0.0)
    assert [graph.test({}) for _ in range(3)] == ["a", "b", "c"]


def test_a_failure_may_be_a_reward() -> None:
    graph = Graph("g")
    routes = {"a": lambda body: 1 / 0, "b": saying("b")}
    graph.router(EpsilonGreedy, name="pick", routes=routes, epsilon=0.0, failure_reward=0.0)
    with pytest.raises(StepFailed, match=r"step pick\.a"):
        graph.test({})
    graph.test({"reward": 0.5, "route": "b"}, path="/reward")
    assert [graph.test({}) for _ in range(3)] == ["b", "b", "b"]


def test_the_drawing_says_that_each_worker_learns_for_itself() -> None:
    assert 'subgraph n_pick["pick (state per worker) (router)"]' in str(bandit(Thompson).show())


@pytest.mark.parametrize(
    ("strategy", "options", "told"),
    [
        (EpsilonGreedy, {"epsilon": 2}, "epsilon is between 0 and 1, not 2"),
        (EpsilonGreedy, {"remember": -1}, "remember is a whole number from 0, not -1"),
        (EpsilonGreedy, {"reward_path": "reward"}, "reward_path begins with a slash, it is 'reward'"),
        (EpsilonGreedy, {"failure_reward": "bad"}, "a reward is a number, not 'bad'"),
        (EpsilonGreedy, {"start": {"x": {}}}, "start tells of 'x', which is no route: a, b, c"),
        (
            EpsilonGreedy,
            {"start": {"a": {"n": 1}}},
            "start['a'] has chosen, rewards, total and squares, it is {'n': 1}",
        ),
        (EpsilonGreedy, {"remember": "10"}, "remember is a whole number from 0, not '10'"),
        (EpsilonGreedy, {"start": "a"}, "start maps routes to what is known of them, it is str"),
        (
            EpsilonGreedy,
            {"start": {"a": {"chosen": -1}}},
            "start['a'] has chosen, rewards, total and squares, it is {'chosen': -1}",
        ),
        (
            EpsilonGreedy,
            {"start": {"a": {"total": "x"}}},
            "start['a'] has chosen, rewards, total and squares, it is {'total': 'x'}",
        ),
        (Thompson, {"rewards": "poisson"}, "rewards is beta or gaussian, not 'poisson'"),
        (Thompson, {"failure_reward": -1}, "a reward is between 0 and 1, not -1.0"),
    ],
)
def test_wrong_arguments_are_refused_when_the_graph_opens(strategy: Any, options: Any, told: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        bandit(strategy, **options).open()
    assert (caught.value.what, caught.value.where) == (told, "graph g, step pick")
