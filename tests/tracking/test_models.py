import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from mlflow import MlflowClient

from modelyard.data.digests import digest_of
from modelyard.projects import Environment
from modelyard.tracking import ArtifactsNotAccessible, LoggedModelInfo, ModelFacts, ModelNotLoggable, Tracking


@pytest.fixture
def plain(environment: Environment, tracking: Tracking) -> MlflowClient:
    return MlflowClient(environment.tracking)


def files_of(client: MlflowClient, model_id: str) -> Path:
    return Path(client.get_logged_model(model_id).artifact_location)


def test_a_stored_model_is_complete(
    stored: LoggedModelInfo, plain: MlflowClient, estimator: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    model = plain.get_logged_model(stored.model_id)
    assert (model.status, model.name, model.source_run_id) == ("READY", "model", stored.run_id)
    folder = files_of(plain, stored.model_id)
    assert model.tags["modelyard.digest"] == stored.digest == digest_of(folder)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    assert described["model_id"] == stored.model_id
    assert described["run_id"] == stored.run_id
    assert described["flavors"]["sklearn"]["serialization_format"] == "pickle"
    assert described["metadata"]["modelyard"] == {
        "features": ["distance", "hour"],
        "dtypes": ["double", "int64"],
        "input": "matrix",
        "task": "classification",
        "classes": ["late", "on time"],
        "label": "verdict",
        "modules": [],
    }
    inputs = json.loads(described["signature"]["inputs"])
    assert [(each["name"], each["type"], each["required"]) for each in inputs] == [
        ("distance", "double", False),
        ("hour", "long", False),
    ]
    assert json.loads(described["signature"]["outputs"])[0]["tensor-spec"]["dtype"] == "str"
    example = json.loads((folder / "input_example.json").read_text())
    assert (example["columns"], len(example["data"])) == (["distance", "hour"], 5)
    requirements = (folder / "requirements.txt").read_text().split()
    assert set(stored.requirements) < set(requirements)
    assert {each.partition("==")[0] for each in requirements} == {"mlflow", "numpy", "scikit-learn"}
    assert all("==" in each for each in requirements)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_the_run_names_its_model(stored: LoggedModelInfo, plain: MlflowClient) -> None:
    run = plain.get_run(stored.run_id)
    assert [each.model_id for each in run.outputs.model_outputs] == [stored.model_id]
    assert stored.uri == f"models:/{stored.model_id}"


def test_metrics_may_be_about_the_model(tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo) -> None:
    with tracking.start_run("evaluate") as run:
        run.log_model_input(stored.model_id)
        run.log_metrics({"auc": 0.8}, model_id=stored.model_id)
    found = plain.get_logged_model(stored.model_id).metrics
    assert [(each.key, each.value, each.run_id) for each in found] == [("auc", 0.8, run.run_id)]
    assert [each.model_id for each in plain.get_run(run.run_id).inputs.model_inputs] == [stored.model_id]


def test_what_pickle_cannot_keep_is_kept_by_cloudpickle(
    tracking: Tracking, plain: MlflowClient, matrix: Any, estimator: Any
) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    model = make_pipeline(FunctionTransformer(lambda rows: rows * 1.0), estimator)
    with tracking.start_run("train") as run:
        info = run.log_model(model, input_example=matrix, facts=ModelFacts(task="classification"))
    assert info.format == "cloudpickle"
    assert any(each.startswith("cloudpickle==") for each in info.requirements)
    tracking.register(info.uri, "odd")
    loaded = tracking.load_model(tracking.resolve("models:/odd/1"))
    assert loaded.predict(matrix).labels.tolist() == estimator.predict(matrix).tolist()


class Rule(mlflow.pyfunc.PythonModel):
    """A model that is no estimator."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        return (model_input["distance"] > self.limit).astype(int)

    def predict_proba(self, rows: Any) -> Any:
        late = (rows["distance"] > self.limit).to_numpy().astype(float)
        return np.column_stack([1 - late, late])


def test_a_model_of_another_flavour_is_stored_and_answers_like_an_estimator(
    tracking: Tracking, plain: MlflowClient, matrix: Any, facts: ModelFacts
) -> None:
    rule = Rule(0.5)
    table = pa.table({"distance": matrix[:, 0], "hour": matrix[:, 1].astype("int64")})
    known = ModelFacts(features=facts.features, dtypes=facts.dtypes, task="classification", classes=(0, 1))
    with tracking.start_run("train") as run:
        info = run.log_model(rule, facts=known, input_example=table)
    assert (info.flavor, info.format) == ("pyfunc", "pickle")
    described = yaml.safe_load((files_of(plain, info.model_id) / "MLmodel").read_text())
    assert [each["type"] for each in json.loads(described["signature"]["inputs"])] == ["double", "double"]
    tracking.register(info.uri, "rule")
    loaded = tracking.load_model(tracking.resolve("models:/rule/1"))
    said = loaded.predict(matrix)
    assert said.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert said.probabilities is not None
    assert said.probabilities[:, 1].tolist() == [0, 1, 0, 1, 0, 1]
    assert (loaded.features, loaded.classes, loaded.digest) == (("distance", "hour"), (0, 1), info.digest)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "it has no method predict"),
        ({"a": 1}, "it has no method predict"),
        (Rule, "it is a class, not an object of it"),
        (lambda rows: rows, "it has no method predict"),
    ],
)
def test_what_is_no_model_is_refused_and_leaves_nothing(
    tracking: Tracking, plain: MlflowClient, given: Any, reason: str
) -> None:
    with pytest.raises(ModelNotLoggable, match=reason), tracking.start_run("train") as run:
        run.log_model(given)
    assert plain.search_logged_models([run.experiment_id]) == []
    assert plain.get_run(run.run_id).info.status == "FAILED"


def test_a_model_that_fails_on_the_way_leaves_nothing(
    tracking: Tracking, plain: MlflowClient, estimator: Any, environment: Environment
) -> None:
    artifacts = Path(environment.artifacts or "")
    (artifacts / "flights").mkdir(parents=True)
    (artifacts / "flights/models").write_text("a file where a folder must be")
    with pytest.raises(ArtifactsNotAccessible, match="a file cannot be written"), tracking.start_run("train") as run:
        run.log_model(estimator)
    assert plain.search_logged_models([run.experiment_id]) == []


def test_a_model_without_facts_gets_what_its_example_says(
    tracking: Tracking, plain: MlflowClient, estimator: Any, matrix: Any
) -> None:
    with tracking.start_run("train") as run:
        bare = run.log_model(estimator, name="bare")
        shown = run.log_model(estimator, input_example=matrix, name="shown")
    assert "signature" not in yaml.safe_load((files_of(plain, bare.model_id) / "MLmodel").read_text())
    described = yaml.safe_load((files_of(plain, shown.model_id) / "MLmodel").read_text())
    assert json.loads(described["signature"]["inputs"])[0]["tensor-spec"] == {"dtype": "float64", "shape": [-1, 2]}
    assert tracking.resolve(f"runs:/{run.run_id}/shown").model_id == shown.model_id
    assert tracking.resolve(f"runs:/{run.run_id}/bare").model_id == bare.model_id
