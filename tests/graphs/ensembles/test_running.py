"""How the engine runs the members of an ensemble: isolated, concurrently, in batches, alone; traced, drawn, as data."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import ModelyardError
from modelyard.graphs import Event, Graph, GraphInvalid, StepFailed
from modelyard.graphs.ensembles import Mean, Median, SoftVote, Vote
from modelyard.graphs.groups import EnsembleStrategy


def double(body: Any) -> Any:
    return body * 2


def plus_one(body: Any) -> Any:
    return body + 1


def spoiling(body: Any) -> float:
    body["seen"].append(1)
    return float(len(body["seen"]))


async def spoiling_later(body: Any) -> float:
    await asyncio.sleep(0)
    return spoiling(body)


def spread(answers: Mapping[str, float], failures: Mapping[str, BaseException]) -> float:
    return max(answers.values()) - min(answers.values())


class Longest(EnsembleStrategy):
    """Answers with the longest answer."""

    def combine(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        return max(answers.values(), key=len)


class Squares:
    """Takes rows at once, and remembers how many it saw."""

    def __init__(self, factor: float = 1.0, refuse: float | None = None) -> None:
        self.factor = factor
        self.refuse = refuse
        self.batches: list[int] = []

    def do(self, body: float) -> float:
        if body == self.refuse:
            raise ValueError(f"refused {body}")
        return self.factor * body * body

    def do_batch(self, bodies: Any) -> Any:
        self.batches.append(len(bodies))
        if self.refuse is not None and self.refuse in bodies:
            raise ValueError("refused a row")
        return [self.factor * body * body for body in bodies]


@pytest.mark.parametrize("member", [spoiling, spoiling_later, {"use": spoiling, "concurrency": "thread"}])
def test_no_member_sees_what_another_one_does_to_the_body(member: Any) -> None:
    graph = Graph("g")
    graph.ensemble(Mean, members={"a": member, "b": member, "c": member})
    assert graph.test({"seen": []}) == 1.0


def test_members_that_wait_run_concurrently() -> None:
    meeting = asyncio.Event()

    async def waits(body: Any) -> float:
        await asyncio.wait_for(meeting.wait(), 60)
        return 1.0

    async def opens(body: Any) -> float:
        meeting.set()
        return 3.0

    graph = Graph("g")
    graph.ensemble(Mean, members={"a": waits, "b": opens, "c": lambda body: 2.0})
    assert asyncio.run(graph.run({})) == 2.0


def test_members_in_threads_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=60)

    def meets(body: Any) -> float:
        meeting.wait()
        return 1.0

    graph = Graph("g")
    graph.ensemble(Mean, members={name: {"use": meets, "concurrency": "thread"} for name in "ab"})
    assert graph.test({}) == 1.0


def test_a_cancelled_request_cancels_its_members() -> None:
    ended: list[str] = []
    begun = asyncio.Event()

    async def long(body: Any) -> float:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("long")
        return 1.0

    async def ask() -> None:
        graph = Graph("g")
        graph.ensemble(Mean, members={"a": long, "b": long})
        task = asyncio.ensure_future(graph.run({}))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(ask())
    assert ended == ["long", "long"]


def test_a_member_alone_is_asked_by_path() -> None:
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": double, "b": plus_one})
    assert graph.test(10) == 15.5
    for path in ("/infer", "/mean/infer", "/v2/models/mean/infer", "/v2/models/g/infer"):
        assert graph.test(10, path=path) == 15.5
    for path in ("/a/infer", "/a", "/v2/models/a/infer", "/v2/models/a/versions/3/infer"):
        assert graph.test(10, path=path) == 20
    assert graph.test(10, path="/v2/models/b") == 11
    other = Graph("other")
    other.ensemble(Mean, members={"a": double, "b": plus_one}, by_path=False)
    assert other.test(10, path="/a/infer") == 15.5


def test_a_member_asked_alone_that_fails_is_named() -> None:
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": double, "b": lambda body: 1 / 0}, on_member_error="answer")
    with pytest.raises(StepFailed, match=r"graph g, step mean\.b, event .*: the step raised ZeroDivisionError"):
        graph.test(10, path="/b")


def test_a_function_and_a_class_of_ones_own_combine() -> None:
    graph = Graph("g")
    graph.ensemble(spread, name="spread", members={"a": double, "b": plus_one})
    assert graph.test(10) == 9
    graph = Graph("h")
    graph.ensemble(Longest, members={"a": str, "b": repr})
    assert graph.test("x") == "'x'"


def test_a_graph_may_be_a_member_and_has_members_itself() -> None:
    inner = Graph("inner")
    inner.to(plus_one, name="more").ensemble(Mean, name="mean", members={"a": double, "b": plus_one})
    graph = Graph("g")
    graph.ensemble(Mean, name="outer", members={"nested": inner, "plain": double})
    assert graph.test(1) == (3.5 + 2) / 2
    broken = graph.replacing(**{"outer.plain": lambda body: 1 / 0})
    with pytest.raises(StepFailed, match="1 of 2 members failed: plain: it raised ZeroDivisionError"):
        broken.test(1)


def test_metadata_says_who_answered() -> None:
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": double, "b": plus_one}).to(
        lambda event: event.metadata["mean"], name="see", full_event=True
    )
    assert graph.test(1) == {"answered": ["a", "b"], "failed": {}}
    assert graph.test(1, path="/a") == {"answered": ["a"], "failed": {}}


def test_a_part_of_the_body_goes_in_and_the_rest_stays() -> None:
    graph = Graph("g")
    members = {"a": double, "b": plus_one}
    graph.ensemble(Mean, members=members, input_path="row.x", result_path="told.mean")
    assert graph.test({"row": {"x": 10}}) == {"row": {"x": 10}, "told": {"mean": 15.5}}


def test_nothing_of_ours_is_put_into_the_users_body() -> None:
    """MLRun leaks a background_task_state into bodies and replies."""
    bodies: list[Any] = []

    def echo(body: Any) -> Any:
        bodies.append(body)
        return dict(body)

    graph = Graph("g")
    graph.ensemble(lambda answers, failures: dict(answers), name="all", members={"a": echo, "b": echo})
    assert graph.test({"x": 1}) == {"a": {"x": 1}, "b": {"x": 1}}
    assert bodies == [{"x": 1}, {"x": 1}]


def test_a_trace_shows_each_member() -> None:
    graph = Graph("g")
    members = {"a": double, "b": lambda body: 1 / 0}
    graph.ensemble(Mean, name="mean", members=members, on_member_error="answer").to(plus_one, name="more")
    trace = graph.trace(10)
    told = [(entry.step, entry.input, entry.output, type(entry.error).__name__) for entry in trace.steps]
    assert told == [
        ("mean.a", 10, 20, "NoneType"),
        ("mean.b", 10, None, "ZeroDivisionError"),
        ("mean", 10, 20.0, "NoneType"),
        ("more", 20.0, 21.0, "NoneType"),
    ]


def test_the_drawing_shows_the_members() -> None:
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": double}).member("b", plus_one, concurrency="thread")
    told = str(graph.show())
    assert '    subgraph n_mean["mean (ensemble)"]\n' in told
    assert '        n_mean__0["a"]\n        n_mean__1["b ∥ thread"]\n    end\n' in told
    assert "ensemble: a, b" in graph.show().svg


def test_the_specification_makes_the_same_graph_again() -> None:
    inner = Graph("inner")
    inner.to(plus_one).to(double)
    graph = Graph("g")
    step = graph.ensemble(
        Mean, name="mean", members={"a": double, "nested": inner}, weights={"a": 1, "nested": 3, "c": 0}
    )
    step.member("c", Squares, factor=2.0, timeout=3.0, concurrency="thread").respond()
    spec = graph.to_spec()
    assert spec.steps[0].use == "modelyard.graphs.ensembles.mean:Mean"
    assert [(member.name, member.kind, member.use) for member in spec.steps[0].members] == [
        ("a", "call", f"{__name__}:double"),
        ("nested", "graph", ""),
        ("c", "call", f"{__name__}:Squares"),
    ]
    again = Graph.from_spec(spec)
    assert again.to_spec() == spec
    assert again.test(10) == graph.test(10) == (20 + 3 * 22) / 4


def test_models_of_members_are_listed_and_replaced() -> None:
    inner = Graph("inner")
    inner.model("deep", "models:/deep@champion")
    graph = Graph("g")
    graph.ensemble(Vote, name="vote", members={"a": "models:/a@champion", "nested": inner, "plain": double})
    assert graph.models == {"vote.a": "models:/a@champion", "vote.nested.deep": "models:/deep@champion"}
    other = graph.with_models({"vote.a": "models:/a/7", "vote.nested.deep": "models:/deep/2"})
    assert other.models == {"vote.a": "models:/a/7", "vote.nested.deep": "models:/deep/2"}
    assert graph.models["vote.a"] == "models:/a@champion"
    with pytest.raises(GraphInvalid, match=r"step vote\.x: there is no such model step"):
        graph.with_models({"vote.x": "models:/a/7"})


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, "step mean: an ensemble has at least one member"),
        ({"a": 3}, "step mean.a: a step is a function, a class with do(body), or a dotted path to one, not int"),
        ({"a/b": double}, "step mean: a member's name is a text without a slash, not 'a/b'"),
        ({"a": {"timeout": 2}}, "step mean.a: a member that is a mapping has use or model"),
        ({"a": {"use": double, "timeout": -1}}, "step mean.a: timeout is at least 0, not -1"),
        ({"a": {"use": double, "on_error": double}}, "step mean.a: a member has no error handler"),
        ({"a": lambda body: (yield body)}, "step mean.a: a member of an ensemble does not yield"),
        ({"a": {"use": double, "factor": 2}}, "step mean.a: it must take the body and the step's arguments"),
        ({"a": "operator:missing"}, "there is no step 'operator:missing'"),
    ],
)
def test_members_that_are_none_are_refused_by_name(members: dict[str, Any], told: str) -> None:
    def opened() -> None:
        graph = Graph("g")
        graph.ensemble(Mean, name="mean", members=members)
        graph.open()

    with pytest.raises(ModelyardError) as caught:
        opened()
    assert told in str(caught.value)


def test_a_member_twice_and_settings_that_are_the_members_are_refused() -> None:
    step = Graph("g").ensemble(Mean, name="mean", members={"a": double})
    with pytest.raises(GraphInvalid, match="step mean: there is a member 'a' already"):
        step.member("a", plus_one)
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": double}, concurrency="thread")
    with pytest.raises(GraphInvalid, match=r"step mean: an? ensemble runs where its members run\. Say concurrency of"):
        graph.open()


def test_each_member_sees_a_batch_once_and_results_are_those_of_single_rows() -> None:
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": Squares, "b": {"use": Squares, "factor": 3.0}})
    rows = graph.map([1.0, 2.0, 3.0])
    assert (list(rows), rows.vectorised) == ([2.0, 8.0, 18.0], True)
    assert [graph.test(row) for row in (1.0, 2.0, 3.0)] == [2.0, 8.0, 18.0]


def test_a_bad_row_spoils_no_other_row_and_names_its_member() -> None:
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": Squares, "b": {"use": Squares, "refuse": 2.0}})
    rows = graph.map([1.0, 2.0, 3.0])
    assert list(rows) == [1.0, None, 9.0]
    assert {row: error.what for row, error in rows.errors.items()} == {  # type: ignore[attr-defined]
        1: "1 of 2 members failed: b: it raised ValueError: refused 2.0"
    }
    other = Graph("other")
    members = {"a": Squares, "b": {"use": Squares, "factor": 3.0, "refuse": 2.0}}
    other.ensemble(Mean, members=members, on_member_error="answer")
    assert list(other.map([1.0, 2.0, 3.0])) == [2.0, 4.0, 18.0]


def test_a_handler_answers_for_the_bad_rows_of_a_batch() -> None:
    graph = Graph("g")
    step = graph.ensemble(Mean, name="mean", members={"a": Squares, "b": {"use": Squares, "refuse": 2.0}})
    step.on_error(lambda event: [event.origin, event.body], name="handle")
    rows = graph.map([1.0, 2.0, 3.0])
    assert (list(rows), rows.errors, rows.vectorised) == ([1.0, ["mean", 2.0], 9.0], {}, True)


def test_steps_after_an_ensemble_see_only_the_good_rows() -> None:
    graph = Graph("g")
    step = graph.ensemble(Mean, name="mean", members={"a": Squares, "b": {"use": Squares, "refuse": 2.0}})
    step.to(Squares, name="more")
    rows = graph.map([1.0, 2.0, 3.0])
    assert (list(rows), list(rows.errors), rows.vectorised) == ([1.0, None, 81.0], [1], True)


class Column:
    """Says one column of the rows."""

    def __init__(self, index: int) -> None:
        self.index = index

    def do(self, body: Any) -> Any:
        return body[self.index]

    def do_batch(self, bodies: Any) -> Any:
        return bodies[:, self.index] if isinstance(bodies, np.ndarray) else [body[self.index] for body in bodies]


def columns_graph(strategy: Any, **options: Any) -> Graph:
    graph = Graph("g")
    members = {name: {"use": Column, "index": index} for index, name in enumerate("abc")}
    graph.ensemble(strategy, members=members, **options)
    return graph


LABELS = st.one_of(st.integers(-2, 2), st.sampled_from(["x", "y", ""]), st.booleans(), st.just(1.0), st.none())
NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.integers(-5, 5), st.just(float("nan")), st.just("7"))
PROBABILITIES = st.one_of(
    st.floats(0, 1),
    st.floats(0, 1).map(lambda p: {"label": "?", "probability": p}),
    st.floats(0, 1).map(lambda p: [1 - p, p]),
    st.just({"label": 1}),
    st.just(-0.1),
)
WEIGHTS = st.fixed_dictionaries(dict.fromkeys("abc", st.sampled_from([0.1, 0.2, 0.3, 1, 2])))


def outcomes(graph: Graph, rows: list[Any]) -> tuple[list[Any], dict[int, str]]:
    values, errors = [], {}
    for index, row in enumerate(rows):
        try:
            values.append(graph.test(row))
        except StepFailed as error:
            values.append(None)
            errors[index] = error.what
    return values, errors


def check_batch(graph: Graph, rows: list[Any]) -> None:
    expected, expected_errors = outcomes(graph, rows)
    found = graph.map(rows)
    assert {row: error.what for row, error in found.errors.items()} == expected_errors  # type: ignore[attr-defined]
    assert repr(list(found)) == repr(expected)


@given(
    st.lists(st.tuples(LABELS, LABELS, LABELS), min_size=1), WEIGHTS, st.sampled_from(["first", "smallest", "error"])
)
def test_votes_of_a_batch_are_those_of_its_rows(rows: list[Any], weights: Any, ties: str) -> None:
    check_batch(columns_graph(Vote, weights=weights, ties=ties), rows)
    check_batch(columns_graph(Vote, weights=weights, on_member_error="answer"), rows)
    mapped = [tuple({"label": label} for label in row) for row in rows]
    check_batch(columns_graph(Vote, weights=weights, on_member_error="answer", ties=ties), mapped)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1), WEIGHTS)
def test_means_and_medians_of_a_batch_are_those_of_its_rows(rows: list[Any], weights: Any) -> None:
    for options in ({}, {"on_member_error": "answer"}):
        check_batch(columns_graph(Mean, weights=weights, **options), rows)
        check_batch(columns_graph(Median, **options), rows)


@given(st.lists(st.tuples(PROBABILITIES, PROBABILITIES, PROBABILITIES), min_size=1), WEIGHTS)
def test_soft_votes_of_a_batch_are_those_of_its_rows(rows: list[Any], weights: Any) -> None:
    for policy in ("fail", "answer"):
        check_batch(columns_graph(SoftVote, classes=["no", "yes"], weights=weights, on_member_error=policy), rows)


@given(
    st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=1).map(np.array),
    WEIGHTS,
    st.sampled_from(["first", "smallest"]),
)
def test_arrays_of_labels_are_voted_as_lists_are(array: Any, weights: Any, ties: str) -> None:
    graph = columns_graph(Vote, weights=weights, ties=ties)
    found = graph.map(array)
    assert isinstance(found.values, np.ndarray)
    assert found.values.tolist() == list(graph.map(array.tolist()))


def test_arrays_of_numbers_and_texts_give_arrays() -> None:
    array = np.array([[1.0, 2.0, 6.0], [2.0, 2.0, 2.0]])
    assert columns_graph(Mean).map(array).values.tolist() == [3.0, 2.0]
    assert columns_graph(Median).map(array).values.tolist() == [2.0, 2.0]
    texts = np.array([["x", "y", "x"], ["z", "z", "x"]])
    assert columns_graph(Vote).map(texts).values.tolist() == ["x", "z"]


def test_the_body_of_an_event_is_left_to_the_reply() -> None:
    graph = Graph("g")
    graph.ensemble(Mean, members={"a": spoiling, "b": spoiling})
    body = {"seen": [0]}
    plan = graph.open()
    assert plan.run(Event(body)) == 2.0
