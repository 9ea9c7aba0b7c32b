"""The light reader: what a project's environment holds, read without the libraries that made it."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from airflow_home import PYTHON, needs_main_environment

from modelyard.airflow.connection import ConnectionSettings
from modelyard.airflow.errors import ReaderUnavailable
from modelyard.airflow.mlflow_server import MlflowServer
from modelyard.airflow.reader import Reader
from modelyard.errors import ModelyardError

WORKFLOWS = """
from modelyard.workflows import steps, workflow


def number(after: object = None) -> dict[str, int]:
    return {"n": 3}


def refuse() -> dict[str, int]:
    raise ValueError("no more wine")


@workflow
def good() -> None:
    first = steps(name="first").call(function="steps_of:number")
    steps(name="second").call(function="steps_of:number", parameters={"after": first.value})


@workflow
def bad() -> None:
    steps(name="pour").call(function="steps_of:refuse")
"""


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Forget what earlier tests have read."""
    Reader._answers.clear()


@pytest.fixture
def worked(project: Path) -> Path:
    """Return a project in whose journal are a finished workflow, a failed one, and a call."""
    (project / "modelyard.yaml").write_text("name: doors\nworkflows: {good: 'steps_of:good', bad: 'steps_of:bad'}\n")
    (project / "steps_of.py").write_text(WORKFLOWS)
    for *command, code in (
        ["run", "good", "--key", "first-run", 0],
        ["run", "bad", "--key", "second-run", 1],
        ["call", "--function", "steps_of:number", "--key", "alone", 0],
    ):
        done = subprocess.run(
            [PYTHON, "-m", "modelyard.cli", *command, "--project", str(project)], capture_output=True, check=False
        )
        assert (done.returncode == 0) is (code == 0), done.stderr.decode()
    return project


def _without_moments(run: dict[str, Any]) -> dict[str, Any]:
    assert run["ended"] >= run["began"] > 1.7e9
    steps = [(each["step"], each["operation"], each["state"], each["tries"]) for each in run["steps"]]
    return {**{name: run[name] for name in ("run", "workflow", "state")}, "steps": steps}


@needs_main_environment
def test_the_last_runs_are_told_with_their_steps(worked: Path) -> None:
    found = Reader(str(worked)).runs()

    assert [_without_moments(each) for each in found] == [
        {"run": "alone", "workflow": "", "state": "succeeded", "steps": [("call", "call", "succeeded", 1)]},
        {"run": "second-run", "workflow": "bad", "state": "failed", "steps": [("pour", "call", "failed", 1)]},
        {
            "run": "first-run",
            "workflow": "good",
            "state": "succeeded",
            "steps": [("first", "call", "succeeded", 1), ("second", "call", "succeeded", 1)],
        },
    ]
    assert "no more wine" in found[1]["error"]
    assert found[1]["steps"][0]["error"] == "steps_of:refuse raised ValueError: no more wine"
    assert [each["run"] for each in Reader(str(worked)).runs(1)] == ["alone"]


def test_a_project_that_did_nothing_yet_has_neither_runs_nor_endpoints(project: Path) -> None:
    reader = Reader(str(project))

    assert (reader.runs(), reader.endpoints(), reader.endpoint("echo")) == ([], [], None)
    assert reader.project_facts() == {
        "name": "doors",
        "environment": "dev",
        "tracking": f"sqlite:///{project}/.modelyard/mlflow.db",
    }


@needs_main_environment
def test_the_models_of_a_database_are_read_by_the_interpreter_that_has_mlflow(registry: tuple[Path, str]) -> None:
    folder, made_by = registry
    reader = Reader(str(folder))
    (model,) = reader.models()
    newest, oldest = reader.versions("delays")

    assert {**model, "updated": model["updated"] > 1.7e12} == {
        "name": "delays",
        "description": "",
        "aliases": {"champion": 1},
        "versions": 2,
        "updated": True,
    }
    assert (newest["version"], newest["aliases"], oldest["version"], oldest["aliases"]) == (2, [], 1, ["champion"])
    assert (oldest["run_id"], oldest["metrics"]) == (made_by, {"accuracy": 0.75})
    assert [each["version"] for each in reader.versions("delays", 1)] == [2]
    assert reader.versions("absent") == []


@pytest.mark.slow
def test_the_models_of_a_server_are_the_same_without_project_and_interpreter(
    registry: tuple[Path, str], mlflow: str
) -> None:
    here, there = Reader(str(registry[0])), Reader("", settings=ConnectionSettings(tracking_uri=mlflow))

    assert there.project_facts() == {"name": "", "environment": "", "tracking": mlflow}
    assert there.models() == here.models()
    assert there.versions("delays") == here.versions("delays")
    assert there.versions("delays", 1) == here.versions("delays", 1)
    assert there.versions("absent") == []


def test_who_asks_the_same_at_once_waits_for_one_answer(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, all_wait = [], threading.Event()

    def models(server: MlflowServer) -> list[Any]:
        asked.append(server.uri)
        all_wait.wait(60)
        return [{"name": "delays"}]

    monkeypatch.setattr(MlflowServer, "models", models)
    reader = Reader("", settings=ConnectionSettings(tracking_uri="http://mlflow"))
    answers: list[Any] = []
    askers = [threading.Thread(target=lambda: answers.append(reader.models())) for _ in range(5)]
    for each in askers:
        each.start()
    all_wait.set()
    for each in askers:
        each.join()

    assert (asked, answers) == (["http://mlflow"], [[{"name": "delays"}]] * 5)


def test_what_failed_is_asked_anew(project: Path) -> None:
    reader = Reader("", settings=ConnectionSettings(tracking_uri="http://127.0.0.1:9"))
    for _ in range(2):
        with pytest.raises(ReaderUnavailable, match=r"^http://127\.0\.0\.1:9: it does not answer: ConnectError"):
            reader.models()
    assert Reader._asking == {}


def test_files_that_cannot_be_read_are_named(project: Path) -> None:
    record = project / ".modelyard/journal/some-key/1/record.json"
    record.mkdir(parents=True)

    with pytest.raises(ReaderUnavailable, match=rf"^{project}/\.modelyard: it does not answer: Is a directory"):
        Reader(str(project)).runs()
    with pytest.raises(ModelyardError, match="absent"):
        Reader(str(project / "absent")).runs()


def test_building_dags_reads_nothing() -> None:
    code = """
import sys
from airflow.sdk import DAG
from modelyard.operators.airflow import DeployOperator, TrainOperator
from modelyard.operators.airflow.sensors import EndpointReadySensor, ModelVersionSensor
with DAG("parsed", schedule=None):
    ModelVersionSensor(task_id="model", model="models:/delays@champion", conn_id="ml") >> TrainOperator(
        task_id="train", function="f", dataset="d.csv", label_column="y"
    ) >> DeployOperator(task_id="deploy", graph="g") >> EndpointReadySensor(task_id="ready", endpoint="g")
print(*sorted(set(sys.modules) & {
    "modelyard.airflow.reader", "modelyard.airflow.mlflow_server", "modelyard.airflow.hook", "modelyard.airflow.plugin",
    "modelyard.projects", "modelyard.deploy", "git", "mlflow",
}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == ""
