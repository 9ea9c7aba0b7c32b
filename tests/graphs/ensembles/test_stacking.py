"""Stacking: a member judges the others' answers."""

from typing import Any

import pytest

from modelyard.graphs import Graph, GraphInvalid, StepFailed
from modelyard.graphs.ensembles import Stacking


def near(body: Any) -> Any:
    return {"label": body["x"], "probability": 0.25}


def far(body: Any) -> Any:
    return {"label": body["x"] * 10, "probability": 0.75}


def judge(row: Any) -> Any:
    return {"label": sum(value for value in row.values() if value is not None), "saw": row}


def stack(**options: Any) -> Graph:
    graph = Graph("g")
    members = {"near": near, "judge": judge, "far": far} | options.pop("members", {})
    graph.ensemble(Stacking, name="stack", members=members, final="judge", **options)
    return graph


def test_the_final_member_gets_the_others_answers_in_their_order() -> None:
    answer = stack().test({"x": 2})
    assert answer == {"label": 22, "saw": {"near": 2, "far": 20}}
    assert list(answer["saw"]) == ["near", "far"]


def test_it_gets_probabilities_or_the_rows_own_features_if_told() -> None:
    assert stack(field="probability").test({"x": 2})["saw"] == {"near": 0.25, "far": 0.75}
    assert stack(passthrough=True).test({"x": 2})["saw"] == {"x": 2, "near": 2, "far": 20}


def test_passthrough_hands_on_the_body_as_it_came() -> None:
    def spoiling(body: Any) -> int:
        return int(body.pop("x"))

    graph = stack(passthrough=True, members={"far": spoiling})
    assert graph.test({"x": 2})["saw"] == {"x": 2, "near": 2, "far": 2}


def test_a_missing_answer_is_an_error_or_none() -> None:
    def failing(body: Any) -> Any:
        raise ValueError("no")

    members = {"far": failing}
    with pytest.raises(StepFailed, match=r"step stack\.far, .* the step raised ValueError: no"):
        stack(members=members, on_member_error="answer").test({"x": 2})
    answer = stack(members=members, on_member_error="answer", missing="none").test({"x": 2})
    assert answer == {"label": 2, "saw": {"near": 2, "far": None}, "failed": ["far"]}


def test_an_error_of_the_final_member_names_it() -> None:
    def failing(row: Any) -> Any:
        raise ValueError("cannot judge")

    with pytest.raises(StepFailed, match=r"step stack\.judge, .* the step raised ValueError: cannot judge"):
        stack(members={"judge": failing}).test({"x": 2})


def test_several_rows_and_batches_agree_with_single_rows() -> None:
    def near_rows(body: Any) -> Any:
        return [near(row) for row in body]

    def far_rows(body: Any) -> Any:
        return [far(row) for row in body]

    def judge_rows(rows: Any) -> Any:
        return [judge(row) for row in rows]

    rows = [{"x": 1}, {"x": 2}, {"x": 3}]
    single = [stack(passthrough=True).test(row) for row in rows]
    graph = stack(passthrough=True, members={"near": near_rows, "far": far_rows, "judge": judge_rows})
    assert graph.test(rows) == single
    assert list(stack(passthrough=True).map(rows)) == single


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"final": "other"}, "final is a member, 'other' is none: a, b"),
        ({"final": "b", "missing": "skip"}, "missing is error or none, not 'skip'"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], told: str) -> None:
    graph = Graph("g")
    graph.ensemble(Stacking, name="stack", members={"a": near, "b": judge}, **options)
    with pytest.raises(GraphInvalid) as caught:
        graph.open()
    assert (caught.value.what, caught.value.where) == (told, "graph g, step stack")


def test_the_final_member_alone_is_no_ensemble() -> None:
    graph = Graph("g")
    graph.ensemble(Stacking, name="stack", members={"judge": judge}, final="judge")
    with pytest.raises(GraphInvalid, match="stacking has members besides the final one"):
        graph.open()


def test_passthrough_refuses_a_row_with_a_feature_of_a_members_name() -> None:
    said = "passthrough: the row has a feature 'near', and so is a member called: rename it"
    with pytest.raises(StepFailed, match=said):
        stack(passthrough=True).test({"x": 2, "near": 7})
    rows = stack(passthrough=True).map([{"x": 2}, {"x": 2, "near": 7}])
    assert rows[0]["saw"] == {"x": 2, "near": 2, "far": 20}
    assert said in str(rows.errors[1])
    assert stack().test({"x": 2, "near": 7})["saw"] == {"near": 2, "far": 20}
