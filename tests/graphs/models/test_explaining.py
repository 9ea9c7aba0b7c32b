"""Explanations: they add up to what the model says, whatever computes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import probe_served
import pytest
from probe_models import fitted, save_model
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelyard.errors import ErrorKind
from modelyard.graphs import Graph, Resources, StepFailed

pytest.importorskip("shap")

MATRIX = np.random.default_rng(1).normal(size=(200, 3))
LABELS = np.digitize(MATRIX[:, 0] + 0.3 * MATRIX[:, 1], [0.0])
EXPLAIN = {"path": "/v2/models/m/explain"}


def served(folder: Path, estimator: Any, **told: Any) -> tuple[Graph, Resources]:
    said = {name: told.pop(name) for name in ("task",) if name in told}
    save_model(folder / "live", estimator, **said)
    split = {"columns": ["a", "b", "c"], "data": MATRIX[:20].tolist()}
    (folder / "live/input_example.json").write_text(json.dumps(split))
    graph = Graph("g")
    graph.model("m", "live", **told)
    return graph, Resources(models=probe_served.Folders(folder))


def logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


@pytest.mark.parametrize(
    ("estimator", "unit"),
    [
        (LogisticRegression(), "log-odds"),
        (HistGradientBoostingClassifier(max_iter=10), "log-odds"),
        (RandomForestClassifier(10, random_state=0), "probability"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "probability"),
        (KNeighborsClassifier(), "probability"),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_base_and_contributions_add_up_to_what_the_model_says(tmp_path: Path, estimator: Any, unit: str) -> None:
    estimator.fit(MATRIX, LABELS)
    graph, resources = served(tmp_path, estimator)
    row = {"a": 1.5, "b": -0.5, "c": 0.25}
    said = graph.test(row, resources=resources, **EXPLAIN)
    probability = float(estimator.predict_proba([[1.5, -0.5, 0.25]])[0, 1])
    assert (said["value"], said["unit"], list(said["contributions"])) == (1, unit, ["a", "b", "c"])
    total = said["base"] + sum(said["contributions"].values())
    assert total == pytest.approx(logit(probability) if unit == "log-odds" else probability, abs=1e-6)
    assert said["contributions"]["a"] == max(said["contributions"].values())
    json.dumps(said)


@pytest.mark.parametrize("estimator", [LinearRegression(), RandomForestRegressor(5, random_state=0)])
def test_a_regression_is_explained_in_its_own_unit(tmp_path: Path, estimator: Any) -> None:
    estimator.fit(MATRIX, 10 * MATRIX[:, 0])
    graph, resources = served(tmp_path, estimator, task="regression")
    said = graph.test([1.5, -0.5, 0.25], resources=resources, **EXPLAIN)
    assert (said["value"], said["unit"]) == (None, "value")
    total = said["base"] + sum(said["contributions"].values())
    assert total == pytest.approx(float(estimator.predict([[1.5, -0.5, 0.25]])[0]), abs=1e-6)


def test_a_linear_model_is_explained_exactly(tmp_path: Path) -> None:
    estimator = LogisticRegression().fit(MATRIX, LABELS)
    graph, resources = served(tmp_path, estimator)
    said = graph.test([1.5, -0.5, 0.25], resources=resources, **EXPLAIN)
    expected = estimator.coef_[0] * (np.array([1.5, -0.5, 0.25]) - MATRIX[:20].mean(axis=0))
    assert list(said["contributions"].values()) == pytest.approx(expected.tolist(), abs=1e-9)


def test_of_several_classes_the_likeliest_is_explained(tmp_path: Path) -> None:
    labels = np.array(["early", "late", "never"])[np.digitize(MATRIX[:, 0], [-0.5, 0.5])]
    for position, estimator in enumerate((RandomForestClassifier(10, random_state=0), LogisticRegression())):
        estimator.fit(MATRIX, labels)
        folder = tmp_path / str(position)
        folder.mkdir()
        graph, resources = served(folder, estimator)
        high, low = graph.test([[2.0, 0.0, 0.0], [-2.0, 0.0, 0.0]], resources=resources, **EXPLAIN)
        assert (high["value"], low["value"], high["unit"]) == ("never", "early", "probability")
        total = high["base"] + sum(high["contributions"].values())
        assert total == pytest.approx(float(estimator.predict_proba([[2.0, 0, 0]])[0, 2]), abs=1e-6)


def test_several_rows_are_explained_as_each_is(tmp_path: Path) -> None:
    graph, resources = served(tmp_path, fitted())
    rows = MATRIX[:4].tolist()
    together = graph.test(rows, resources=resources, **EXPLAIN)
    assert together == [graph.test(row, resources=resources, **EXPLAIN) for row in rows]
    assert graph.test([], resources=resources, **EXPLAIN) == []


def test_the_background_may_be_given(tmp_path: Path) -> None:
    estimator = LogisticRegression().fit(MATRIX, LABELS)
    graph, resources = served(tmp_path, estimator, background=[[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    said = graph.test([1.0, 0.0, 0.0], resources=resources, **EXPLAIN)
    expected = (estimator.coef_[0] * np.array([1.0, 0.0, -1.0])).tolist()
    assert list(said["contributions"].values()) == pytest.approx(expected, abs=1e-9)


def test_without_rows_to_compare_with_it_says_so(tmp_path: Path) -> None:
    save_model(tmp_path / "live", fitted())
    graph = Graph("g")
    graph.model("m", "live")
    with pytest.raises(StepFailed, match=r"came without example rows .*: say background=\[row, …\]") as caught:
        graph.test([1.0, 0.0, 0.0], resources=Resources(models=probe_served.Folders(tmp_path)), **EXPLAIN)
    assert caught.value.error_kind is ErrorKind.INVALID
    assert type(caught.value.cause).__name__ == "ExplanationUnavailable"


def test_a_row_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    graph, resources = served(tmp_path, fitted())
    with pytest.raises(StepFailed, match="the feature 'b' is missing"):
        graph.test({"a": 1.0, "c": 1.0}, resources=resources, **EXPLAIN)
