from typing import Any

import pytest

from modelyard.errors import ErrorKind
from modelyard.graphs import Graph, GraphInvalid, StepFailed
from modelyard.graphs.steps import Fold, MapByKey, states


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(states, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def counted(body: Any, count: int) -> tuple[int, int]:
    return count + 1, count + 1


def graph_of(block: Any, **arguments: Any) -> Graph:
    graph = Graph("g")
    graph.to(block, name="s", **arguments).respond()
    return graph


def test_each_key_has_its_own_state() -> None:
    graph = graph_of(MapByKey, use=counted, key="user.id", initial=0)
    assert [graph.test({"user": {"id": each}}) for each in ("a", "b", "a", 1, True, 1, [1], [1])] == [
        1,
        1,
        2,
        1,
        1,
        2,
        1,
        2,
    ]


def test_the_key_that_was_used_longest_ago_is_forgotten() -> None:
    graph = graph_of(MapByKey, use=counted, key="k", initial=0, limit=2)
    assert [graph.test({"k": each}) for each in "abacab"] == [1, 1, 2, 1, 3, 1]


def test_a_state_is_forgotten_after_its_time(clock: Clock) -> None:
    graph = graph_of(MapByKey, use=counted, key="k", initial=0, seconds=10)
    assert graph.test({"k": 1}) == 1
    clock.now += 9.9
    assert graph.test({"k": 1}) == 2
    clock.now += 10
    assert graph.test({"k": 1}) == 1


def test_the_states_that_are_over_take_no_memory(clock: Clock) -> None:
    kept = states.KeyedStates(limit=1000, seconds=5)
    for key in range(10):
        kept.put(key, key)
        clock.now += 1
    assert len(kept) == 5
    assert kept.find(3) is None


def test_an_event_that_fails_leaves_the_state_as_it_was() -> None:
    def append(body: Any, seen: list[Any]) -> tuple[int, list[Any]]:
        seen.append(body)
        return 10 // body, seen

    graph = graph_of(MapByKey, use=append, initial=[])
    assert graph.test(5) == 2
    with pytest.raises(StepFailed, match="ZeroDivisionError"):
        graph.test(0)
    folded = graph_of(MapByKey, use=lambda body, seen: ([*seen, body], [*seen, body]), initial=[])
    assert [folded.test(1), folded.test(2)] == [[1], [1, 2]]


def test_a_function_that_forgets_the_state_is_told() -> None:
    with pytest.raises(StepFailed) as caught:
        graph_of(MapByKey, use=lambda body, state: body).test(3)
    assert caught.value.error_kind is ErrorKind.USER_CODE
    assert "the function must return a pair (result, state), not 3" in str(caught.value)


def test_aggregates() -> None:
    words = ["sum", "mean", "std", "min", "max", "first", "last", "distinct"]
    graph = graph_of(Fold, aggregates={"n": "count", "with": {"count": "x"}, **{word: {word: "x"} for word in words}})
    for value in (4, None, 2, 2.0, float("nan")):
        reply = graph.test({"x": value})
    assert reply == {
        "n": 5,
        "with": 3,
        "sum": 8.0,
        "mean": pytest.approx(8 / 3),
        "std": pytest.approx(0.9428090415820634),
        "min": 2,
        "max": 4,
        "first": 4,
        "last": 2.0,
        "distinct": 2,
    }
    assert graph_of(Fold, aggregates={"mean": {"mean": "x"}, "std": {"std": "x"}, "max": {"max": "x"}}).test({}) == {
        "mean": None,
        "std": None,
        "max": None,
    }


def test_only_the_latest_events_count() -> None:
    graph = graph_of(Fold, key="k", size=2, aggregates={"total": {"sum": "x"}, "n": "count"})
    assert [graph.test({"k": "a", "x": x})["total"] for x in (1, 2, 3)] == [1, 3, 5]
    assert graph.test({"k": "b", "x": 1}) == {"total": 1, "n": 1}


def test_a_value_that_is_no_number_is_refused_and_not_counted() -> None:
    graph = graph_of(Fold, aggregates={"n": "count", "total": {"sum": "x"}})
    assert graph.test({"x": 1}) == {"n": 1, "total": 1}
    for wrong in ("1", True, [1]):
        with pytest.raises(StepFailed, match="x: must be a number for the aggregate 'total'") as caught:
            graph.test({"x": wrong})
        assert caught.value.outcome.http == 422
    assert graph.test({"x": 1}) == {"n": 2, "total": 2}


def test_a_number_that_is_too_great_for_a_mean_is_refused() -> None:
    graph = graph_of(Fold, aggregates={"mean": {"mean": "x"}})
    with pytest.raises(StepFailed, match="x: must be a number of double precision for the aggregate 'mean'"):
        graph.test({"x": 10**400})
    assert graph.test({"x": 3}) == {"mean": 3.0}


def test_an_aggregate_that_is_misspelt_is_told_which_there_are() -> None:
    with pytest.raises(GraphInvalid, match=r"Fold\.aggregates\.n: must be 'count', or one of count, sum, .* got 'cnt'"):
        graph_of(Fold, aggregates={"n": "cnt"}).open()


def test_a_changed_reply_does_not_change_the_state() -> None:
    graph = graph_of(Fold, use=lambda state, body: [*state, body], initial=[])
    graph.test(1).append("spoiled")
    assert graph.test(2) == [1, 2]


def test_the_drawing_says_where_the_state_is() -> None:
    shown = graph_of(Fold, aggregates={"n": "count"}).show()
    assert '["s (state per worker)"]' in shown.mermaid
    assert ">(state per worker)<" in shown.svg


def test_wrong_arguments_name_block_field_rule_and_value() -> None:
    with pytest.raises(GraphInvalid) as caught:
        graph_of(Fold, aggregates={"spent": {"summ": "amount"}}).open()
    assert str(caught.value).startswith(
        "graph g, step s: Fold.aggregates.spent: is no aggregate, got {'summ': 'amount'}. Did you mean sum?"
    )


def test_a_coroutine_cannot_hold_the_state() -> None:
    async def wait(body: Any, state: Any) -> tuple[Any, Any]:
        return body, state

    with pytest.raises(GraphInvalid, match=r"MapByKey\.use: must be a plain function: nothing may wait while it holds"):
        graph_of(MapByKey, use=wait).open()
