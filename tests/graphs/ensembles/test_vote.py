"""Votes: any type of label, ties by a declared rule."""

from typing import Any

import numpy as np
import pytest

from modelyard.graphs import Graph, GraphInvalid, StepFailed
from modelyard.graphs.ensembles import Vote


def saying(value: Any) -> Any:
    return lambda body: value


def vote_of(*answers: Any, **options: Any) -> Graph:
    graph = Graph("g")
    members = {chr(ord("a") + index): saying(answer) for index, answer in enumerate(answers)}
    graph.ensemble(Vote, name="vote", members=members, **options)
    return graph


def test_negative_labels_are_labels() -> None:
    """MLRun answers 1 to the first, and 400 to the second."""
    assert vote_of(-1, -1, 1).test({}) == -1
    assert vote_of(-1, -1, -1).test({}) == -1


def test_texts_and_truth_values_are_labels() -> None:
    """MLRun answers 400 to texts."""
    assert vote_of("late", "early", "late").test({}) == "late"
    assert vote_of(True, False, False).test({}) is False
    assert vote_of(0.5, 0.5, 2).test({}) == 0.5


def test_true_is_not_the_label_one() -> None:
    assert vote_of(1, True, True).test({}) is True
    answer = vote_of(1, 1, True).test({})
    assert answer == 1
    assert answer is not True


def test_labels_of_numpy_are_labels() -> None:
    answer = vote_of(np.int64(3), 3, np.int64(4)).test({})
    assert (answer, type(answer)) == (3, int)
    assert vote_of(np.str_("x"), "x", "y").test({}) == "x"
    assert vote_of(np.bool_(True), True, False).test({}) is True


def test_weights_decide_who_wins() -> None:
    assert vote_of("x", "y", "y", weights={"a": 5, "b": 1, "c": 1}).test({}) == "x"
    assert vote_of("x", "y", "y", weights={"a": 0.1, "b": 0.1, "c": 0.1}).test({}) == "y"


def test_models_get_a_model_like_reply_with_the_winners_share() -> None:
    answers = ({"label": 1, "probability": 0.9}, {"label": 0}, {"label": 1})
    assert vote_of(*answers).test({}) == {"label": 1, "share": pytest.approx(2 / 3)}
    assert vote_of({"label": "x"}, {"label": "x"}).test({}) == {"label": "x", "share": 1.0}
    assert vote_of({"answer": "x"}, "x", field="answer").test({}) == {"answer": "x", "share": 1.0}


def test_several_rows_are_voted_row_by_row() -> None:
    assert vote_of([1, 2], [1, 3], [0, 3]).test({}) == [1, 3]
    assert vote_of(np.array([1, 2]), [1, 3], np.array([0, 3])).test({}) == [1, 3]
    assert vote_of([{"label": 1}], [{"label": 1}]).test({}) == [{"label": 1, "share": 1.0}]
    with pytest.raises(StepFailed, match="b: it answered with one value, and a with rows"):
        vote_of([1, 2], 3).test({})


def test_ties_go_by_the_declared_rule() -> None:
    assert vote_of("y", "x").test({}) == "y"
    assert vote_of("y", "x", ties="smallest").test({}) == "x"
    assert vote_of(2, "x", ties="smallest").test({}) == 2
    with pytest.raises(StepFailed, match="the vote is tied between 'y', 'x'"):
        vote_of("y", "x", ties="error").test({})
    assert vote_of("y", "x", "x", ties="error").test({}) == "x"


def test_sums_of_weights_that_are_equal_but_for_rounding_are_tied() -> None:
    weights = {"a": 0.3, "b": 0.1, "c": 0.2}
    assert vote_of("x", "y", "y", weights=weights).test({}) == "x"
    with pytest.raises(StepFailed, match="tied"):
        vote_of("x", "y", "y", weights=weights, ties="error").test({})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "it answered None, which is no label"),
        (float("nan"), "it answered nan, which is no label"),
        ({"label": [1]}, "it answered [1], which is no label"),
        ({"class": 1}, "its answer has no field 'label', it has: class"),
        (object, "it answered <class 'object'>, which is no label"),
    ],
)
def test_what_is_no_label_counts_as_a_failed_member(answer: Any, told: str) -> None:
    with pytest.raises(StepFailed) as caught:
        vote_of("x", answer, "x").test({})
    assert caught.value.what == f"1 of 3 members failed: b: {told}"
    assert vote_of("x", answer, "y", "y", on_member_error="answer").test({}) == "y"


def test_a_label_that_was_not_declared_counts_as_a_failed_member() -> None:
    graph = vote_of("late", "latee", "early", labels=["late", "early"])
    with pytest.raises(StepFailed, match="b: it answered 'latee', which is none of the labels"):
        graph.test({})
    assert vote_of(1, True, labels=[1, 0], on_member_error="answer").test({}) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ties": "random"}, "ties is first, smallest or error, not 'random'"),
        ({"labels": []}, "labels is empty: say which labels there are, or nothing"),
        ({"weights": {"a": -1, "b": 1}}, "weights['a'] is a number from 0, not -1"),
        ({"tie": "first"}, "its arguments do not fit: got an unexpected keyword argument 'tie'"),
    ],
)
def test_wrong_arguments_are_refused_when_the_graph_opens(options: dict[str, Any], told: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        vote_of("x", "y", **options).open()
    assert (caught.value.what, caught.value.where) == (told, "graph g, step vote")


def test_labels_that_are_one_text_are_refused() -> None:
    with pytest.raises(GraphInvalid, match="labels lists the labels there are, not 'abc'"):
        vote_of("a", "b", labels="abc").test({})
