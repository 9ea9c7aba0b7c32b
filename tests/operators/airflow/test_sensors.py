"""Sensors wait for real endpoints and model versions, in a worker and in the triggerer."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk import DAG
from airflow_home import PYTHON, Runs, needs_main_environment

from modelyard.airflow.reader import Reader
from modelyard.operations import ParameterInvalid
from modelyard.operators.airflow.sensors import EndpointReadySensor, ModelVersionSensor
from modelyard.operators.airflow.work_sensor import WorkSensor

pytestmark = needs_main_environment

GRAPH = """
from modelyard.graphs import Graph


def same(body):
    return body


graph = Graph("echo")
graph.to(same, name="same").respond()
"""


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Forget what earlier tests have read."""
    Reader._answers.clear()


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_model_version_is_found_in_a_database(runs: Runs, registry: tuple[Path, str], deferrable: bool) -> None:
    folder, made_by = registry
    common = {"project": str(folder), "deferrable": deferrable}
    with DAG(f"finds_{deferrable}".lower(), schedule=None) as dag:
        ModelVersionSensor(task_id="champion", model="models:/delays@champion", **common)
        ModelVersionSensor(task_id="newest", model="models:/delays", newer_than="{{ 1 }}", **common)
    run = runs.run(dag)
    known = {"name": "delays", "run_id": made_by, "metrics": {"accuracy": 0.75}}

    assert runs.xcom(run, "champion") == {"model": "models:/delays/1", "version": 1, "aliases": ["champion"], **known}
    assert runs.xcom(run, "newest") == {"model": "models:/delays/2", "version": 2, "aliases": [], **known}


def test_what_does_not_come_in_time_is_skipped_where_that_is_asked_for(runs: Runs, registry: tuple[Path, str]) -> None:
    common = {"project": str(registry[0]), "timeout": 2, "poke_interval": 0.5}
    with DAG("in_vain", schedule=None) as dag:
        ModelVersionSensor(task_id="newer", model="models:/delays", newer_than=2, soft_fail=True, **common)
    run = runs.run(dag)

    assert runs.states(run) == {"newer": "skipped"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"environment": "absent"}, "no environment 'absent'"),
        ({"model": "delays@@"}, "model: must be models:/name@alias, models:/name/version or models:/name"),
        ({"python": "/nowhere/python"}, "/nowhere/python: its answer cannot be used: No such file or directory"),
    ],
)
def test_what_will_never_come_fails_at_once(
    runs: Runs, registry: tuple[Path, str], asked: dict[str, str], message: str
) -> None:
    errors: list[str] = []
    with DAG("never", schedule=None) as dag:
        ModelVersionSensor(
            task_id="wait",
            **{"model": "models:/delays", "project": str(registry[0]), **asked},
            retries=2,
            on_failure_callback=lambda context: errors.append(str(context["exception"])),
        )
    run = runs.run(dag)

    assert (runs.states(run), runs.tries(run)) == ({"wait": "failed"}, {"wait": 1})
    assert message in errors[0]


def test_an_endpoint_is_waited_for_until_it_answers(runs: Runs, project: Path) -> None:
    (project / "echoing.py").write_text(GRAPH)
    place = ["--project", str(project)]

    def modelyard(*command: str) -> None:
        done = subprocess.run([PYTHON, "-m", "modelyard.cli", *command, *place], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    deploying = threading.Thread(target=modelyard, args=("deploy", "--graph", "echoing:graph", "--endpoint", "echo"))
    deploying.start()
    with DAG("endpoint", schedule=None) as dag:
        EndpointReadySensor(
            task_id="ready", endpoint="echo", project=str(project), deferrable=True, poke_interval=0.5, timeout=60
        )
    try:
        run = runs.run(dag)
        deploying.join()
        found = runs.xcom(run, "ready")

        assert {name: found[name] for name in ("endpoint", "state", "models")} == {
            "endpoint": "echo",
            "state": "running",
            "models": {},
        }
        assert found["url"].startswith("http://127.0.0.1:")
        assert len(found["revision"]) > 8
    finally:
        deploying.join()
        modelyard("undeploy", "--endpoint", "echo")


@pytest.mark.slow
def test_a_model_version_is_read_from_an_mlflow_server(
    registry: tuple[Path, str], mlflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, made_by = registry
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow)
    reader = Reader(str(folder), "prod", "/nowhere/python")
    known = {"name": "delays", "run_id": made_by, "metrics": {"accuracy": 0.75}}
    first = {"model": "models:/delays/1", "version": 1, "aliases": ["champion"], **known}

    assert reader.version("models:/delays@champion") == first
    assert reader.version("models:/delays/1") == first
    assert reader.version("models:/delays") == {"model": "models:/delays/2", "version": 2, "aliases": [], **known}
    for absent in ("models:/delays@challenger", "models:/delays/9", "models:/other", "models:/other@champion"):
        assert reader.version(absent) is None, absent


def test_a_version_that_is_no_number_is_told_by_its_parameter() -> None:
    with pytest.raises(ParameterInvalid, match='newer_than: must be a whole number, or nothing, got "first"'):
        ModelVersionSensor(task_id="m", model="models:/delays", newer_than="first")
    sensor = ModelVersionSensor(task_id="m", model="models:/delays", newer_than="{{ params.known }}")
    sensor.newer_than = "first"
    with pytest.raises(ParameterInvalid, match='newer_than: must be a whole number, got "first"'):
        sensor.wanted()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EndpointReadySensor(task_id="e", endpoint=""), 'endpoint: must be text that is not empty, got "".'),
        (lambda: EndpointReadySensor(task_id="e", endpoint=None), "endpoint: must be text, got null."),  # type: ignore[arg-type]
        (
            lambda: EndpointReadySensor(task_id="e", endpoint="a", project=3),
            "project: must be text, or nothing, got 3.",
        ),
        (lambda: ModelVersionSensor(task_id="m", model=3), "model: must be text, got 3."),  # type: ignore[arg-type]
        (lambda: WorkSensor(task_id="w", work="train"), 'work: must be a mapping, got "train".'),
        (lambda: WorkSensor(task_id="w", work=None), "work: must be a mapping, got null."),
    ],
)
def test_what_nobody_could_wait_for_is_refused_while_the_dag_file_is_read(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ParameterInvalid) as raised:
        make()
    assert str(raised.value) == message
