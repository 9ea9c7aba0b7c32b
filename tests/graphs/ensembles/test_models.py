"""Models from the registry as members: what they say together is what they say one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import probe_served
import pytest
from probe_models import save_model
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from modelyard.graphs import Graph, Resources
from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.ensembles import SoftVote, Stacking, Vote
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
