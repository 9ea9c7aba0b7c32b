"""Mean and median: numbers become one number."""

from typing import Any

import numpy as np
import pytest

from modelyard.graphs import Graph, GraphInvalid, StepFailed
from modelyard.graphs.ensembles import Mean, Median


def saying(value: Any) -> Any:
    return lambda body: value


def mean_of(**values: Any) -> Graph:
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={name: saying(value) for name, value in values.items()})
    return graph


def test_the_mean_weighs_all_members_alike_by_default() -> None:
    assert mean_of(a=500, b=1000, c=1500).test({}) == 1000.0


def test_weights_that_add_up_to_more_than_one_are_normalised() -> None:
    """MLRun answers 5000 to this."""
    graph = Graph("g")
    members = {"a": saying(500), "b": saying(1000), "c": saying(1500), "d": saying(2000)}
    graph.ensemble(Mean, members=members, weights={"a": 1, "b": 1, "c": 1, "d": 1})
    assert graph.test({}) == 1250.0


def test_weights_that_add_up_to_less_than_one_are_normalised() -> None:
    """MLRun raises a TypeError about dict_values."""
    graph = Graph("g")
    graph.ensemble(Mean, members={"a": saying(10), "b": saying(20)}, weights={"a": 0.1, "b": 0.3})
    assert graph.test({}) == pytest.approx(17.5)


def test_the_kind_of_ensemble_never_depends_on_the_first_request() -> None:
    """MLRun answers 2 and then 1 to these: it takes the first answer's type for that of all."""
    graph = Graph("g")
    members = {"a": lambda body: body["x"], "b": lambda body: body["x"], "c": lambda body: body["x"] * 2.5}
    graph.ensemble(Mean, members=members)
    assert graph.test({"x": 2}) == 3.0
    assert graph.test({"x": 1.6}) == pytest.approx(2.4)


def test_answers_of_models_are_read_from_their_label_and_answered_alike() -> None:
    assert mean_of(a={"label": 1.0, "probability": 0.2}, b={"label": 2.0}).test({}) == {"label": 1.5}
    graph = Graph("g")
    graph.ensemble(Mean, members={"a": saying({"score": 4}), "b": saying({"score": 8})}, field="score")
    assert graph.test({}) == {"score": 6.0}


def test_answers_with_several_rows_are_combined_row_by_row() -> None:
    assert mean_of(a=[1, 2], b=[3, 4]).test({}) == [2.0, 3.0]
    assert mean_of(a=[{"label": 1}, {"label": 2}], b=np.array([3.0, 4.0])).test({}) == [{"label": 2.0}, {"label": 3.0}]
    with pytest.raises(StepFailed, match=r"b: it answered 1 rows, and a answered 2"):
        mean_of(a=[1, 2], b=[3]).test({})
    with pytest.raises(StepFailed, match=r"b: it answered with one value, and a with rows"):
        mean_of(a=[1, 2], b=3).test({})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("12", "b: a mean or median takes numbers, it answered '12'"),
        (True, "b: a mean or median takes numbers, it answered True"),
        (None, "b: a mean or median takes numbers, it answered None"),
        (float("nan"), "b: it answered nan, which is no finite number"),
        (float("inf"), "b: it answered inf, which is no finite number"),
        ({"value": 1}, "b: its answer has no field 'label', it has: value"),
    ],
)
def test_what_is_no_number_counts_as_a_failed_member(answer: Any, told: str) -> None:
    with pytest.raises(StepFailed) as caught:
        mean_of(a=1.0, b=answer).test({})
    assert caught.value.what == f"1 of 2 members failed: {told}"


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({"a": 1, "b": -1}, "weights['b'] is a number from 0, not -1"),
        ({"a": 1, "b": float("nan")}, "weights['b'] is a number from 0, not nan"),
        ({"a": 1, "b": "2"}, "weights['b'] is a number from 0, not '2'"),
        ({"a": 1, "b": True}, "weights['b'] is a number from 0, not True"),
        ({"a": 1, "b": 1, "x": 1}, "weights names 'x', which is no member: a, b"),
        ({"a": 1}, "weights says nothing of b: a member that shall not count weighs 0"),
        ({"a": 0, "b": 0}, "weights are all 0: one member must count"),
        ([1, 2], "weights maps members to numbers, it is list"),
    ],
)
def test_weights_that_are_none_are_refused_when_the_graph_opens(weights: Any, told: str) -> None:
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": saying(1), "b": saying(2)}, weights=weights)
    with pytest.raises(GraphInvalid) as caught:
        graph.open()
    assert (caught.value.what, caught.value.where) == (told, "graph g, step mean")


def test_the_rest_of_the_weights_counts_in_proportion_when_a_member_fails() -> None:
    graph = Graph("g")
    members = {"a": saying(10), "b": saying(20), "c": lambda body: 1 / 0}
    graph.ensemble(Mean, members=members, weights={"a": 1, "b": 3, "c": 6}, on_member_error="answer")
    assert graph.test({}) == pytest.approx(17.5)


def test_an_ensemble_in_which_only_weightless_members_answer_says_so() -> None:
    graph = Graph("g")
    members = {"a": saying(10), "b": lambda body: 1 / 0}
    graph.ensemble(Mean, name="mean", members=members, weights={"a": 0, "b": 1}, on_member_error="answer")
    with pytest.raises(StepFailed, match="only members of weight 0 answered: a") as caught:
        graph.test({})
    assert caught.value.error_kind == "unavailable"


def test_the_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() -> None:
    graph = Graph("odd")
    graph.ensemble(Median, members={"a": saying(900), "b": saying(10), "c": saying(12)})
    assert graph.test({}) == 12.0
    graph = Graph("even")
    graph.ensemble(Median, members={"a": saying(900), "b": saying(10), "c": saying(12), "d": saying(14)})
    assert graph.test({}) == 13.0
    graph = Graph("mappings")
    graph.ensemble(Median, members={"a": saying({"label": 3}), "b": saying({"label": 1})})
    assert graph.test({}) == {"label": 2.0}


@pytest.mark.parametrize("strategy", [Mean, Median])
def test_a_whole_number_beyond_all_floats_fails_its_member_alone(strategy: Any) -> None:
    def graph(policy: str) -> Graph:
        found = Graph("g")
        members = {"a": lambda body: {"label": 10**400}, "b": lambda body: {"label": 4}}
        found.ensemble(strategy, name="mean", members=members, on_member_error=policy)
        return found

    said = "a: it answered a whole number that is beyond all floating-point numbers"
    with pytest.raises(StepFailed, match=said) as caught:
        graph("fail").test({})
    assert caught.value.facts["failed"] == {"a": "AnswerWrong"}
    assert graph("answer").test({}) == {"label": 4.0, "failed": ["a"]}
    assert list(graph("answer").map([{}, {}])) == [{"label": 4.0, "failed": ["a"]}] * 2
    rows = graph("fail").map([{}])
    assert said in str(rows.errors[0])
