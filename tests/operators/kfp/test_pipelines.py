"""The ready pipelines: compiled as they are checked in, and executed with real training by KFP's own local runner."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import components as kfp_components
from kfp.dsl.base_component import BaseComponent
from kfp.pipeline_spec import pipeline_spec_pb2
from kfp_release import needs_local_runner

from modelyard.operators.kfp import Components, Image, Installed, Pip, write_manifests, write_pipeline
from modelyard.operators.kfp.pipelines import batch_predict, train_register_deploy
from modelyard.projects import open_project
from modelyard.projects.dispatch import dispatch

REPOSITORY = Path(__file__).parents[3]
COMPILED = REPOSITORY / "docs/kfp/pipelines"
WINE = REPOSITORY / "docs/airflow/example_dags"
PYTHON = os.environ.get("MODELYARD_TEST_PYTHON", "")
DELIVERIES = {"image": Image(f"registry.example.com/ml/modelyard@sha256:{'0' * 64}"), "pip": Pip()}
READY: dict[str, Callable[[Components], BaseComponent]] = {
    "train-register-deploy": train_register_deploy,
    "batch-predict": batch_predict,
}
REFRESH = "WRITE_PIPELINES"
"""Set to anything, this variable has the test write the files anew."""


@pytest.mark.parametrize("mode", DELIVERIES)
@pytest.mark.parametrize("name", READY)
def test_what_is_checked_in_is_what_they_compile_to(name: str, mode: str, tmp_path: Path) -> None:
    project = "git+https://example.com/ml/wine@0123456789012345678901234567890123456789"
    library = Components(delivery=DELIVERIES[mode], project=project, environment="prod")
    kept, made = COMPILED / f"{name}-{mode}.yaml", tmp_path / "made.yaml"
    write_pipeline(READY[name](library), str(made))
    if os.environ.get(REFRESH):
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, kept)

    assert _without_kfp(made.read_text()) == _without_kfp(kept.read_text()), (
        f"meant? then run this test with {REFRESH}=1"
    )
    for document in yaml.safe_load_all(kept.read_text()):
        json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
    assert kfp_components.load_component_from_file(str(kept)).name == name


def _without_kfp(text: str) -> str:
    """Return a compiled pipeline without the version of KFP that has compiled it."""
    return re.sub(r"kfp(-|==)[0-9][0-9.]*", "kfp", text)


def test_a_cluster_kept_in_git_gets_a_pipeline_and_its_version(tmp_path: Path) -> None:
    library = Components(delivery=DELIVERIES["image"], project="/app")
    file = tmp_path / "pipeline.yaml"
    write_manifests(batch_predict(library), file, name="score", version="score-v3", namespace="ml")
    pipeline, version = yaml.safe_load_all(file.read_text())

    assert (pipeline["kind"], pipeline["apiVersion"]) == ("Pipeline", "pipelines.kubeflow.org/v2beta1")
    assert pipeline["metadata"] == {"name": "score", "namespace": "ml"}
    assert version["kind"] == "PipelineVersion"
    assert version["metadata"] == {"name": "score-v3", "namespace": "ml"}
    assert version["spec"]["pipelineName"] == "score"
    json_format.ParseDict(version["spec"]["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())


@needs_local_runner
@pytest.mark.slow
@pytest.mark.skipif(not Path(PYTHON).is_file(), reason="MODELYARD_TEST_PYTHON names no interpreter for training")
@pytest.mark.filterwarnings("ignore:Task .* have no effect in the current local runner")
def test_they_train_judge_promote_and_score_for_real(
    tmp_path: Path, local_runner: Path, outputs: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_PYTHON", PYTHON)
    project = tmp_path / "wine"
    project.mkdir()
    for name in ("modelyard.yaml", "wine.py"):
        shutil.copy(WINE / name, project)
    csv = str(tmp_path / "wines.csv")
    dispatch("call", {"function": "write-data", "parameters": {"path": csv}}, project=project, launcher="process")
    library = Components(delivery=Installed(), project=str(project))
    train_register_deploy(library)(
        function="classifier",
        dataset=csv,
        test_dataset=csv,
        label_column="grower",
        name="wine-grower",
        parameters={"trees": 7},
        gates=["accuracy >= 0.9"],
    )
    batch_predict(library)(
        model="models:/wine-grower@champion",
        batches=[{"dataset": csv, "destination": str(tmp_path / name)} for name in ("first", "second")],
        key_columns=[],
    )

    assert outputs("register")["version"] == 1
    assert outputs("evaluate")["rows"] == 178
    assert outputs("promote")["model"] == "models:/wine-grower/1"
    assert json.loads(outputs("promote")["result"])["gates"]["accuracy >= 0.9"].endswith("held")
    artifacts = _artifacts(local_runner, "evaluate")
    assert artifacts["model_artifact"]["uri"] == "models:/wine-grower/1"
    assert artifacts["metrics_artifact"]["metadata"]["accuracy"] == outputs("evaluate")["metrics"]["accuracy"] > 0.9
    matrix = artifacts["classification_artifact"]["metadata"]["confusionMatrix"]
    assert [each["displayName"] for each in matrix["annotationSpecs"]] == ["grower-0", "grower-1", "grower-2"]
    assert sum(sum(row["row"]) for row in matrix["rows"]) == 178
    assert "<html" in Path(artifacts["report_artifact"]["uri"]).read_text("utf-8")[:500]
    scored = [json.loads(file.read_bytes()) for file in local_runner.rglob("predict/executor_output.json")]
    assert sorted(each["parameterValues"]["dataset"] for each in scored) == [
        str(tmp_path / "first"),
        str(tmp_path / "second"),
    ]
    assert [each["parameterValues"]["rows"] for each in scored] == [178, 178]
    assert open_project(project).environment().state.is_dir()


def _artifacts(root: Path, task: str) -> dict[str, Any]:
    (file,) = root.glob(f"*/{task}/executor_output.json")
    return {name: each["artifacts"][0] for name, each in json.loads(file.read_bytes())["artifacts"].items()}
