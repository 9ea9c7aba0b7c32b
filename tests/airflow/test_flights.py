"""The flights DAG runs on Airflow from data to scored files, and lands what it should where it should."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow_home import PYTHON, Runs, needs_main_environment

from modelyard.projects.dispatch import dispatch

SOURCE = Path(__file__).parents[2] / "examples" / "flights"
TASKS = ["prepare", "train", "register", "evaluate", "promote", "deploy", "predict"]


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    """Return a copy of the project, which keeps its state beside it."""
    kept_out = shutil.ignore_patterns(".modelyard", "data", "output", "__pycache__")
    return Path(shutil.copytree(SOURCE, tmp_path / "flights", ignore=kept_out))


def test_the_dag_is_read_in_an_environment_without_machine_learning(flights: Path) -> None:
    bag = DagBag(flights / "dags")
    assert bag.import_errors == {}
    dag = bag.dags["flights"]
    assert sorted(dag.task_dict) == sorted(TASKS)
    edges = {task: sorted(dag.task_dict[task].downstream_task_ids) for task in TASKS}
    assert edges == {
        "prepare": ["train"],
        "train": ["register"],
        "register": ["evaluate", "promote"],
        "evaluate": ["promote"],
        "promote": ["deploy", "predict"],
        "deploy": [],
        "predict": [],
    }


def test_the_workflow_as_a_dag_has_the_same_tasks_and_is_read_in_less_than_a_second(flights: Path) -> None:
    bag = DagBag(flights / "dags")
    dag = bag.dags["flights-workflow"]
    assert list(dag.task_dict) == TASKS
    assert {task: sorted(dag.task_dict[task].upstream_task_ids) for task in ("evaluate", "predict")} == {
        "evaluate": ["prepare", "register"],
        "predict": ["prepare", "promote"],
    }
    assert max(each.duration.total_seconds() for each in bag.dagbag_stats) < 1


@pytest.mark.slow
@needs_main_environment
def test_the_workflow_gives_the_same_metrics_and_predictions_as_on_this_machine(
    runs: Runs, flights: Path, tmp_path: Path
) -> None:
    inputs = {"every": 50, "trees": 30}
    here = Path(shutil.copytree(flights, tmp_path / "here" / "flights"))
    words = [f"{name}={value}" for name, value in inputs.items()]
    parameters = [word for each in words for word in ("--param", each)]
    command = [PYTHON, "-m", "modelyard.cli", "run", "main", "--project", str(here), "--json", *parameters]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        local = json.loads(told.stdout)["results"]
        run = runs.run(DagBag(flights / "dags").dags["flights-workflow"], conf=inputs)
        assert runs.states(run) == dict.fromkeys(TASKS, "success")
        assert runs.xcom(run, "evaluate", "metrics") == local["evaluate"]["metrics"]
        assert runs.xcom(run, "train", "metrics") == local["train"]["metrics"]
        assert _rows(flights / "output/august") == _rows(here / "output/august")
        assert len(_rows(here / "output/august")) == 587
    finally:
        for project in (here, flights):
            dispatch("undeploy", {"endpoint": "delays"}, project=project, launcher="process", python=PYTHON)


def _rows(folder: Path) -> list[str]:
    """Return the rows of an output, as text; read where the libraries are."""
    code = (
        "import sys, pyarrow.dataset as d; "
        "table = d.dataset(sys.argv[1], format='parquet', exclude_invalid_files=True).to_table(); "
        "print(*sorted(map(repr, table.to_pylist())), sep='\\n')"
    )
    read = subprocess.run([PYTHON, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    return read.stdout.splitlines()


@pytest.mark.slow
@needs_main_environment
def test_a_run_trains_judges_promotes_serves_and_scores(runs: Runs, flights: Path) -> None:
    dag = DagBag(flights / "dags").dags["flights"]
    try:
        run = runs.run(dag, conf={"every": 50, "trees": 30})
        assert runs.states(run) == dict.fromkeys(TASKS, "success")
        results: dict[str, Any] = {task: runs.xcom(run, task) for task in TASKS}
        data = results["prepare"]["value"]
        assert (data["train_rows"], data["july_rows"], data["excluded"]) == (3_214, 566, 9_430)
        assert (results["train"]["rows"], results["train"]["held_out_rows"]) == (3_214, 566)
        assert results["train"]["metrics"]["roc_auc"] > 0.65
        assert results["evaluate"]["rows"] == 566
        assert (results["promote"]["model"], results["promote"]["first"]) == ("models:/flights-delay/1", True)
        assert results["deploy"]["models"] == {"model": "models:/flights-delay/1"}
        assert results["predict"]["rows"] == data["august_rows"] == 587
        assert json.loads((flights / "output/august/_manifest.json").read_text())
        assert Path(flights, results["evaluate"]["report"]).is_file()
    finally:
        dispatch("undeploy", {"endpoint": "delays"}, project=flights, launcher="process", python=PYTHON)
