"""Many events at once: the caller's rows stay as they are, and a batch agrees with its rows one by one."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelyard.graphs import Graph
from modelyard.graphs.ensembles import Mean
from modelyard.graphs.mapping import Rows, answers_one
from modelyard.graphs.models import Model

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def shift(rows: Any) -> Any:
    rows += 1.0
    return rows


def total(rows: Any) -> Any:
    return np.asarray(rows).sum(axis=-1)


def careful(rows: Any) -> Any:
    totals = np.asarray(rows).sum(axis=-1)
    if np.any(totals > 10):
        raise ValueError("too much")
    return totals


def same(rows: Any) -> Any:
    return rows


def graph_of(*steps: Any) -> Graph:
    graph = Graph("batch")
    place: Any = graph
    for step in steps:
        place = place.to(step, vectorised=True)
    return graph


def test_a_step_that_writes_into_its_array_does_not_change_the_callers() -> None:
    matrix = np.array(ROWS)
    rows = graph_of(shift, total).map(matrix)
    assert rows.vectorised
    assert rows.values.tolist() == [5.0, 9.0, 13.0]
    assert matrix.tolist() == ROWS


def test_rows_after_a_failed_batch_are_those_that_came() -> None:
    matrix = np.array(ROWS)
    rows = graph_of(shift, careful).map(matrix)
    assert not rows.vectorised
    assert rows.values == [5.0, 9.0, None]
    assert str(rows.errors[2].__cause__) == "too much"
    assert matrix.tolist() == ROWS


def test_replies_do_not_share_memory_with_the_rows() -> None:
    matrix = np.array(ROWS)
    rows = graph_of(same).map(matrix)
    rows.values[0, 0] = 100.0
    assert matrix.tolist() == ROWS


def test_a_read_only_array_is_mapped_like_any_other() -> None:
    matrix = np.array(ROWS)
    matrix.flags.writeable = False
    assert graph_of(shift, total).map(matrix).values.tolist() == [5.0, 9.0, 13.0]


@pytest.mark.parametrize("kind", [list, tuple])
def test_bodies_in_a_list_or_tuple_stay_as_they_are(kind: type) -> None:
    def mark(bodies: Any) -> Any:
        for body in bodies:
            body["seen"] = True
        return bodies

    given = kind([{"x": 1}, {"x": 2}])
    assert list(graph_of(mark).map(given)) == [{"x": 1, "seen": True}, {"x": 2, "seen": True}]
    assert list(given) == [{"x": 1}, {"x": 2}]


def test_a_frame_stays_as_it_is() -> None:
    def widen(frame: Any) -> Any:
        frame["b"] = frame["a"] * 2
        return frame["b"].to_numpy()

    frame = pd.DataFrame({"a": [1, 2]})
    rows = graph_of(widen).map(frame)
    assert rows.vectorised
    assert list(rows) == [2, 4]
    assert list(frame.columns) == ["a"]


@pytest.mark.parametrize("way", ["compiled", "coroutine", "interpreted"])
def test_filtered_rows_are_not_those_whose_reply_is_none(way: str) -> None:
    async def later(body: Any) -> Any:
        return body["reply"]

    def now(body: Any) -> Any:
        if body["reply"] == "fail":
            raise ValueError("fail")
        return body["reply"]

    graph = Graph("g", cycle_bound=1)
    step = graph.filter(lambda body: body["goes on"], name="some")
    step = step.to(later if way == "coroutine" else now, name="reply").respond()
    if way == "interpreted":
        step.choice(lambda body: False, name="again").when(True).cycle_to("reply")
    rows = graph.map(
        [{"goes on": on, "reply": reply} for on, reply in [(True, None), (False, 1), (True, 2), (False, None)]]
    )
    assert (rows.values, rows.errors, rows.filtered) == ([None, None, 2, None], {}, frozenset({1, 3}))
    if way != "coroutine":
        rows = graph.map([{"goes on": True, "reply": "fail"}, {"goes on": False}])
        assert (list(rows.errors), rows.filtered) == ([0], frozenset({1}))


def test_an_event_that_waits_in_a_merge_is_filtered_too() -> None:
    graph = Graph("g")
    side = graph.choice("side")
    left, right = (side.when(each).to(lambda body: body["x"], name=each) for each in ("left", "right"))
    left.merge(right, key="$key", into="list", missing="drop")
    rows = graph.map([{"side": "left", "x": 1}, {"side": "right", "x": 2}])
    assert (rows.values, rows.filtered) == ([None, [1, 2]], frozenset({0}))


def test_rows_count_from_the_end_too() -> None:
    rows = Rows([1, None, 3], {1: ValueError("no")})
    assert (rows[-1], rows[-3]) == (3, 1)
    with pytest.raises(ValueError, match="no"):
        rows[-2]
    for beyond in (3, -4):
        with pytest.raises(IndexError):
            rows[beyond]


class Short(Model):
    def predict(self, inputs: Any) -> Any:
        return inputs

    def predict_batch(self, inputs: Any) -> Any:
        return list(inputs)[1:]


def short(rows: Any) -> Any:
    return rows[1:] if isinstance(rows, list) and len(rows) > 1 else rows


def test_another_number_of_answers_than_rows_is_told_once_for_each_step(caplog: pytest.LogCaptureFixture) -> None:
    graph = Graph("g")
    graph.to(short, name="cut", vectorised=True)
    other = Graph("h")
    other.model("m", Short)
    members = Graph("i")
    members.ensemble(Mean, name="mean", members={"a": {"use": short, "vectorised": True}})
    for each in (graph, other, members):
        for _ in range(2):
            rows = each.map([1, 2, 3])
            assert list(rows) == [1, 2, 3]
    said = "it gave 2 answers to a batch of 3 rows; such batches are asked row by row"
    places = ("graph g, step cut", "graph h, step m", "graph i, step mean.a")
    assert [record.message for record in caplog.records] == [f"{place}: {said}" for place in places]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_as_many_answers_as_rows_are_no_matter_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert list(graph_of(same).map([1, 2])) == [1, 2]
    assert caplog.records == []


class Doubled:
    def do(self, body: Any) -> Any:
        return body * 2

    def do_batch(self, bodies: Any) -> Any:
        return [each * 2 for each in bodies]


def test_one_body_needs_no_event_where_many_need_none() -> None:
    chain = Graph("chain")
    chain.to(Doubled, name="one").ensemble(Mean, name="mean", members={"a": Doubled, "b": Doubled})
    answer = answers_one(chain.open())
    assert answer is not None
    assert answer(3) == 12.0
    with pytest.raises(TypeError):
        answer(None)
    one = Graph("one")
    one.to(Doubled)
    alone = answers_one(one.open())
    assert alone is not None
    assert alone(3) == 6


def test_one_body_needs_its_event_where_a_step_does() -> None:
    whole = Graph("whole")
    whole.to(Doubled, name="one").to(lambda event: event.body, name="two", full_event=True)
    waiting = Graph("waiting")
    waiting.to(Doubled, retries=1)
    for graph in (whole, waiting):
        assert answers_one(graph.open()) is None
