"""Models from the registry as members: what they say together is what they say one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import probe_served
import pytest
from probe_models import save_model
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from modelyard.graphs import Event, Graph, Resources, StepFailed
from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.ensembles import SoftVote, Stacking, Vote
from modelyard.graphs.mapping import map_plan
from modelyard.graphs.routers import ByPath

ESTIMATORS = {
    "linear": LogisticRegression(),
    "tree": DecisionTreeClassifier(max_depth=3, random_state=0),
    "forest": RandomForestClassifier(5, random_state=0),
}

JUDGE = LogisticRegression()


def answers_of(rows: Any) -> Any:
    return np.stack([each.predict_proba(rows)[:, 1] for each in ESTIMATORS.values()], axis=1)


@pytest.fixture(scope="module")
def rows() -> Any:
    return np.random.default_rng(4).normal(size=(60, 3))


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory, rows: Any) -> Resources:
    folder: Path = tmp_path_factory.mktemp("models")
    labels = (rows[:, 0] + rows[:, 1] ** 2 > 0.5).astype(int)
    for name, estimator in ESTIMATORS.items():
        save_model(folder / name, estimator.fit(rows, labels))
    save_model(folder / "judge", JUDGE.fit(answers_of(rows), labels), features=tuple(ESTIMATORS))
    return Resources(models=probe_served.Folders(folder))


def voting(strategy: Any, **options: Any) -> Graph:
    graph = Graph("panel")
    graph.ensemble(strategy, name="vote", members={name: {"model": name} for name in ESTIMATORS}, **options)
    return graph


def test_a_vote_is_that_of_the_bare_models(rows: Any, resources: Resources) -> None:
    said = np.stack([each.predict(rows) for each in ESTIMATORS.values()])
    expected = (said.sum(axis=0) >= 2).astype(int).tolist()
    shares = [max(each, 3 - each) / 3 for each in said.sum(axis=0).tolist()]
    bodies = [dict(zip("abc", row, strict=True)) for row in rows.tolist()]
    graph = voting(Vote)
    one_by_one = [graph.test(body, resources=resources) for body in bodies]
    assert [answer["label"] for answer in one_by_one] == expected
    assert [answer["share"] for answer in one_by_one] == pytest.approx(shares)
    together = graph.map(bodies, resources=resources)
    assert together.vectorised
    assert list(together) == one_by_one
    assert graph.test(bodies, resources=resources) == one_by_one
    assert list(graph.map(rows, resources=resources)) == one_by_one


def test_a_soft_vote_is_the_mean_of_the_probabilities(rows: Any, resources: Resources) -> None:
    expected = np.mean([each.predict_proba(rows)[:, 1] for each in ESTIMATORS.values()], axis=0)
    graph = voting(SoftVote, classes=[0, 1])
    answers = list(graph.map(rows.tolist(), resources=resources))
    assert [answer["probability"] for answer in answers] == pytest.approx(expected)
    assert [answer["label"] for answer in answers] == (expected > 0.5).astype(int).tolist()
    single = graph.test(rows[0].tolist(), resources=resources)
    assert single["probabilities"] == pytest.approx(answers[0]["probabilities"])


def test_a_stack_asks_the_model_that_was_fitted_on_the_answers(rows: Any, resources: Resources) -> None:
    graph = Graph("stack")
    members = {name: {"model": name} for name in (*ESTIMATORS, "judge")}
    graph.ensemble(Stacking, name="stack", members=members, final="judge", field="probability")
    answers = list(graph.map(rows.tolist(), resources=resources))
    assert [answer["label"] for answer in answers] == JUDGE.predict(answers_of(rows)).tolist()
    assert graph.test(rows[5].tolist(), resources=resources) == answers[5]
    assert graph.models == {f"stack.{name}": name for name in members}


def test_a_model_behind_a_router_is_asked_by_its_path(rows: Any, resources: Resources) -> None:
    graph = Graph("models")
    graph.router(ByPath, name="pick", routes={name: {"model": name} for name in ESTIMATORS})
    row = rows[7].tolist()
    for name, estimator in ESTIMATORS.items():
        answer = graph.test(row, path=f"/v2/models/{name}/infer", resources=resources)
        assert answer["label"] == int(estimator.predict([row])[0])
    assert voting(Vote).test(row, path="/v2/models/tree/infer", resources=resources)["label"] == int(
        ESTIMATORS["tree"].predict([row])[0]
    )


def test_arrays_of_answers_are_combined_without_a_mapping_for_each_row(rows: Any, resources: Resources) -> None:
    graph = voting(Vote)
    asked: list[str] = []
    plan = graph.open(resources)
    for name, server in plan.models.items():
        own: Any = server.do_columns
        member = plan.groups["vote"].members[name.partition(".")[2]]
        columns = lambda bodies, own=own, name=name, **said: asked.append((name, said)) or own(bodies, **said)  # noqa: E731
        plan.groups["vote"].members[member.name] = member._replace(columns=columns)
    group: Any = plan.groups["vote"]
    group._asked = tuple(group.members.values())
    answers = group.batch(rows)
    assert asked == [(f"vote.{name}", {"label_alone": True}) for name in ESTIMATORS]
    assert isinstance(answers, AnswerColumns)
    assert answers == list(graph.map(rows, resources=resources))
    assert [type(answer["label"]) for answer in answers] == [int] * len(rows)


def counting(plan: Any, calls: list[str]) -> None:
    """Write down which methods of its members' estimators an ensemble calls."""
    for name, server in plan.models.items():
        model: Any = server.model()
        kind = type(model.loaded.estimator)

        def method(own: str, kind: Any = kind, name: str = name) -> Any:
            original = getattr(kind, own)
            return lambda self, rows: calls.append(f"{name}.{own}") or original(self, rows)

        told = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        methods = {own: method(own) for own in ("predict_proba", "decision_function") if hasattr(kind, own)}
        model.loaded.estimator.__class__ = type(kind.__name__, (kind,), told | methods)
        model.serve(model.loaded)


def test_a_vote_asks_linear_models_for_no_probabilities(rows: Any, tmp_path: Path) -> None:
    labels = (rows[:, 0] > 0).astype(int)
    for number in range(3):
        save_model(tmp_path / f"m{number}", LogisticRegression(C=10.0**-number).fit(rows, labels))
    graph = Graph("panel")
    graph.ensemble(Vote, name="vote", members={f"m{number}": {"model": f"m{number}"} for number in range(3)})
    calls: list[str] = []
    with graph.open(Resources(models=probe_served.Folders(tmp_path))) as plan:
        expected = [plan.run(Event(row)) for row in rows.tolist()]
        counting(plan, calls)
        assert [plan.run(Event(row)) for row in rows.tolist()] == expected
        assert map_plan(plan, rows).values == expected
        assert map_plan(plan, rows.tolist()).values == expected
        assert {call.partition(".")[2].partition(".")[2] for call in calls} == {"decision_function"}
        calls.clear()
        full = plan.run(Event(rows[0].tolist(), path="/v2/models/m1/infer"))
        assert sorted(full) == ["label", "probability"]
        assert "vote.m1.predict_proba" in calls


def test_a_vote_that_reads_more_of_the_answers_gets_them_whole(rows: Any, resources: Resources) -> None:
    class Surest(Vote):
        def combine(self, answers: Any, failures: Any) -> Any:
            return max(answers.values(), key=lambda answer: abs(answer["probability"] - 0.5))["label"]

        def combine_batch(self, answers: Any) -> Any:
            return [
                self.combine(dict(zip(answers, row, strict=True)), {}) for row in zip(*answers.values(), strict=True)
            ]

    chances = answers_of(rows)
    surest = np.abs(chances - 0.5).argmax(axis=1)
    expected = (chances[np.arange(len(rows)), surest] > 0.5).astype(int).tolist()
    graph = voting(Surest)
    assert [graph.test(row, resources=resources) for row in rows.tolist()] == expected
    assert graph.map(rows, resources=resources).values == expected
    by_field = voting(Vote, field="probability")
    winner = by_field.test(rows[0].tolist(), resources=resources)["probability"]
    assert winner in chances[0]


def test_an_event_that_asks_for_more_than_a_prediction_reaches_the_models(rows: Any, resources: Resources) -> None:
    graph, row = voting(Vote), rows[3].tolist()
    plain = graph.test(row, resources=resources)
    for path, headers in [
        ("/v2/models/panel/infer", {}),
        ("/v2/models/panel", {"content-type": "application/json"}),
        ("/elsewhere", {"x-other": "1"}),
    ]:
        assert graph.test(row, path=path, headers=headers, resources=resources) == plain
    with pytest.raises(StepFailed, match="'2'"):
        graph.test(row, headers={"x-model-version": "2"}, resources=resources)
    with pytest.raises(StepFailed, match="unheard"):
        graph.test(row, path="/v2/models/panel/unheard", resources=resources)


def test_a_member_that_looks_into_the_body_is_asked_with_its_event(rows: Any, resources: Resources) -> None:
    graph = Graph("panel")
    members = {name: {"model": name, "arguments": {"version_field": "v"}} for name in ESTIMATORS}
    graph.ensemble(Vote, name="vote", members=members)
    row = dict(zip("abc", rows[3].tolist(), strict=True))
    assert graph.test({**row, "v": ""}, resources=resources) == voting(Vote).test(row, resources=resources)
    with pytest.raises(StepFailed, match="'9'"):
        graph.test({**row, "v": "9"}, resources=resources)


def test_columns_of_a_table_are_found_by_name(rows: Any, resources: Resources) -> None:
    import pandas as pd
    import pyarrow as pa

    frame = pd.DataFrame(rows, columns=["a", "b", "c"])[["c", "a", "b"]]
    graph = voting(Vote)
    expected = list(graph.map(rows, resources=resources))
    assert list(graph.map(frame, resources=resources)) == expected
    assert list(graph.map(pa.RecordBatch.from_pandas(frame), resources=resources)) == expected


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["no", "yes"]),
        np.array(["a", "b", "c"]),
        np.array(["late", "on time"], dtype=object),
        np.array([3, -40]),
        np.array([0, 70]),
        np.array([2**40, 2**41], dtype=np.uint64),
        np.array([True, False]),
    ],
    ids=str,
)
def test_labels_of_every_type_are_voted_alike_one_by_one_and_together(classes: Any, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(80, 3))
    labels = classes[np.digitize(rows[:, 0], np.linspace(-0.7, 0.7, len(classes) - 1))]
    for number, estimator in enumerate([LogisticRegression(), GaussianNB(), DecisionTreeClassifier(max_depth=2)]):
        save_model(tmp_path / f"m{number}", estimator.fit(rows + number / 3, labels))
    graph = Graph("panel")
    graph.ensemble(Vote, name="vote", members={f"m{number}": {"model": f"m{number}"} for number in range(3)})
    resources = Resources(models=probe_served.Folders(tmp_path))
    single = [graph.test(row, resources=resources) for row in rows.tolist()]
    found = graph.map(rows, resources=resources)
    assert isinstance(found.values, AnswerColumns)
    assert found.values == single
    assert {type(reply["label"]) for reply in found} == {type(classes.tolist()[0])}
    assert len({reply["share"] for reply in found}) > 1
