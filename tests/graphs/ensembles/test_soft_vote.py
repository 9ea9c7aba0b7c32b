"""Soft votes: probabilities become one answer."""

from typing import Any

import numpy as np
import pytest

from modelyard.graphs import Graph, GraphInvalid, StepFailed
from modelyard.graphs.ensembles import SoftVote


def saying(value: Any) -> Any:
    return lambda body: value


def soft_of(*answers: Any, classes: Any = ("early", "late"), **options: Any) -> Graph:
    graph = Graph("g")
    members = {chr(ord("a") + index): saying(answer) for index, answer in enumerate(answers)}
    graph.ensemble(SoftVote, name="vote", members=members, classes=list(classes), **options)
    return graph


def test_a_sure_minority_beats_an_unsure_majority() -> None:
    answer = soft_of([0.05, 0.95], [0.55, 0.45], [0.55, 0.45]).test({})
    assert answer["label"] == "late"
    assert answer["probability"] == pytest.approx(1.85 / 3)
    assert answer["probabilities"] == pytest.approx([1.15 / 3, 1.85 / 3])


def test_every_form_of_probabilities_says_the_same() -> None:
    forms = [
        [0.25, 0.75],
        (0.25, 0.75),
        np.array([0.25, 0.75]),
        0.75,
        np.float64(0.75),
        {"label": "late", "probability": 0.75},
        {"probabilities": [0.25, 0.75]},
        {"probabilities": {"late": 0.75, "early": 0.25}},
    ]
    for form in forms:
        told = {"label": "late", "probability": 0.75, "probabilities": [0.25, 0.75]}
        assert soft_of(form, form).test({}) == told


def test_of_more_than_two_classes_the_probability_is_that_of_the_label() -> None:
    answer = soft_of([0.2, 0.5, 0.3], [0.0, 0.5, 0.5], classes=[-1, 0, 1]).test({})
    assert answer == {"label": 0, "probability": 0.5, "probabilities": [0.1, 0.5, 0.4]}


def test_weights_are_normalised_and_equal_probabilities_take_the_first_class() -> None:
    assert soft_of([1, 0], [0, 1], weights={"a": 1, "b": 3}).test({})["probabilities"] == [0.25, 0.75]
    assert soft_of([1, 0], [0, 1]).test({})["label"] == "early"


def test_several_rows_are_voted_row_by_row() -> None:
    answers = soft_of([[1, 0], [0, 1]], np.array([[1.0, 0.0], [0.0, 1.0]])).test({})
    assert [answer["label"] for answer in answers] == ["early", "late"]
    rows = [{"label": "late", "probability": 0.9}, {"label": "early", "probability": 0.1}]
    assert [answer["label"] for answer in soft_of(rows, rows).test({})] == ["late", "early"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([0.5, 0.2, 0.3], "it answered 3 probabilities, and there are 2 classes"),
        ([0.5, 0.2], "its probabilities add up to 0.7, not to 1"),
        ([1.5, -0.5], "it answered the probability 1.5, which is none"),
        (float("nan"), "it answered the probability nan, which is none"),
        ("late", "it answered the probability 'late', which is none"),
        (True, "it answered the probability True, which is none"),
        ({"label": "late"}, "its answer has no probability and no probabilities, it has: label"),
        ({"probabilities": {"late": 1.0}}, "its probabilities say nothing of 'early'"),
    ],
)
def test_what_are_no_probabilities_counts_as_a_failed_member(answer: Any, told: str) -> None:
    with pytest.raises(StepFailed) as caught:
        soft_of(answer, 0.5).test({})
    assert caught.value.what == f"1 of 2 members failed: a: {told}"


def test_one_probability_is_not_enough_for_three_classes() -> None:
    with pytest.raises(StepFailed, match="a: it answered one probability, and there are 3 classes"):
        soft_of({"label": "x", "probability": 0.5}, classes=["x", "y", "z"]).test({})


@pytest.mark.parametrize("classes", [[], ["late"], "late", ["late", "late"]])
def test_classes_are_declared(classes: Any) -> None:
    graph = Graph("g")
    graph.ensemble(SoftVote, name="vote", members={"a": saying(1)}, classes=classes)
    with pytest.raises(GraphInvalid, match="graph g, step vote: classes"):
        graph.open()


def test_a_label_that_is_none_of_the_classes_is_wrong() -> None:
    known, unknown = {"label": "late", "probability": 0.75}, {"label": "never", "probability": 0.25}
    with pytest.raises(StepFailed, match="b: it answered the label 'never', which is none of the classes"):
        soft_of(known, unknown).test({})
    told = soft_of(known, unknown, on_member_error="answer").test({})
    assert told == {"label": "late", "probability": 0.75, "probabilities": [0.25, 0.75], "failed": ["b"]}
    assert list(soft_of(known, unknown, on_member_error="answer").map([{}, {}])) == [told, told]
    assert soft_of(known, {"label": "1", "probability": 0.75}, classes=["late", 1]).test({})["label"] == 1


@pytest.mark.parametrize(("label", "failed"), [("late", None), ("never", ["b"])])
def test_columns_with_a_label_that_is_none_of_the_classes_are_wrong(label: str, failed: list[str] | None) -> None:
    from modelyard.graphs.answer_columns import AnswerColumns
    from modelyard.graphs.group_errors import AnswerWrong

    strategy = SoftVote(["early", "late"], members=("a", "b"))
    column = np.array([0.25, 0.75])
    answers = {
        name: AnswerColumns({"label": np.array(["early", said]), "probability": column})
        for name, said in (("a", "late"), ("b", label))
    }
    if failed is None:
        assert strategy.combine_batch(answers).tolist()[1]["label"] == "late"
        return
    with pytest.raises(AnswerWrong, match="not all of its labels are among the classes") as caught:
        strategy.combine_batch(answers)
    assert [caught.value.member] == failed


def test_a_number_of_400_digits_is_no_probability() -> None:
    with pytest.raises(StepFailed, match=r"b: it answered the probability 1000.*, which is none"):
        soft_of(0.5, 10**400).test({})
