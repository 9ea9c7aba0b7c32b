import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_model_registry import FakeModelRegistry

from modelyard.operations import OperationContext
from modelyard.projects import open_project
from modelyard.tracking import ModelNameInvalid, ModelNotFound, ModelReferenceInvalid, Tracking, open_tracking
from modelyard.tracking.errors import MirrorRefused
from modelyard.training.register import register


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schema")
    (folder / "modelyard.yaml").write_text("name: flights\n")
    environment = open_project(folder).environment("dev")
    open_tracking(environment, "flights")
    return environment.state / "mlflow.db"


@pytest.fixture
def context(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> OperationContext:
    monkeypatch.delenv("MODELYARD_ENVIRONMENT", raising=False)
    (tmp_path / "modelyard.yaml").write_text("name: flights\n")
    shutil.copy(empty_database, open_project(tmp_path).environment().open_state() / "mlflow.db")
    return OperationContext(
        project=str(tmp_path),
        folder=tmp_path / "job",
        key="flights/run-1/register",
        workflow_run="run-1",
        step="register",
    )


@pytest.fixture
def tracking(context: OperationContext) -> Tracking:
    project = open_project(context.project)
    return open_tracking(project.environment(), project.name)


@pytest.fixture
def model(tracking: Tracking) -> Any:
    from sklearn.dummy import DummyClassifier

    with tracking.start_run("train") as run:
        return run.log_model(DummyClassifier().fit(np.zeros((2, 1)), [0, 1]))


def test_a_model_becomes_a_version_once(
    context: OperationContext, tracking: Tracking, model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = register(context, model=model.uri, name="delays", description="nightly", tags={"team": "ops"})
    again = register(context, model=f"runs:/{model.run_id}/model", name="delays")
    assert (first.model, first.name, first.version, first.digest, first.created) == (
        "models:/delays/1",
        "delays",
        1,
        model.digest,
        True,
    )
    assert (again.model, again.created) == ("models:/delays/1", False)
    assert [record.message for record in caplog.records if record.name == "modelyard"] == [
        "registered models:/delays/1",
        "already registered: models:/delays/1",
    ]
    version = tracking.client.get_model_version("delays", "1")
    assert version.description == "nightly"
    assert {name: version.tags[name] for name in version.tags if name != "modelyard.content"} == {
        "team": "ops",
        "modelyard.digest": model.digest,
        "modelyard.model_id": model.model_id,
        "modelyard.project": "flights",
        "modelyard.dirty": "false",
        "modelyard.operation": "register",
        "modelyard.key": "flights/run-1/register",
        "modelyard.generation": "1",
        "modelyard.attempt": "1",
        "modelyard.workflow_run": "run-1",
        "modelyard.step": "register",
    }


@pytest.mark.parametrize(
    ("model", "name", "error"),
    [
        ("models:/delays", "delays", ModelReferenceInvalid),
        ("runs:/abc/model", "a/b", ModelNameInvalid),
        ("runs:/0123456789abcdef0123456789abcdef/model", "delays", ModelNotFound),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(
    context: OperationContext, tracking: Tracking, model: str, name: str, error: type
) -> None:
    with pytest.raises(error):
        register(context, model=model, name=name)
    assert tracking.models() == []


def test_kubeflows_registry_is_told_and_a_retry_mends_what_it_has_missed(
    context: OperationContext, tracking: Tracking, model: Any
) -> None:
    fake = FakeModelRegistry()
    try:
        Path(context.project, "modelyard.yaml").write_text(
            f"name: flights\nenvironments: {{dev: {{kfp: {{model_registry: '{fake.endpoint}'}}}}}}\n"
        )
        fake.failing = {"POST /model_versions": 503}
        with pytest.raises(MirrorRefused, match="with 503: not now"):
            register(context, model=model.uri, name="delays", description="nightly")
        assert [each.name for each in tracking.models()] == ["delays"]
        again = register(context, model=model.uri, name="delays", description="nightly")
    finally:
        fake.close()

    assert (again.version, again.created) == (1, False)
    (version,) = fake.kept["model_version"]
    told = {name: value["string_value"] for name, value in version["customProperties"].items()}
    assert (version["name"], version["description"]) == ("1", "nightly")
    assert (told["modelyard.project"], told["modelyard.workflow_run"]) == ("flights", "run-1")
    assert (told["modelyard.model"], told["modelyard.digest"]) == ("models:/delays/1", again.digest)
    (artifact,) = fake.kept["artifact"]
    assert Path(artifact["uri"].removeprefix("file://"), "MLmodel").is_file()
