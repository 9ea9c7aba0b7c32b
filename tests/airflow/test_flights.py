"""The flights DAG runs on Airflow from data to scored files, and lands what it should where it should."""

import json
import shutil
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
    # on a machine that is busy with other things it takes longer now and then
    bags = (DagBag(flights / "dags") for _ in range(10))
    assert any(max(each.duration.total_seconds() for each in bag.dagbag_stats) < 1 for bag in bags)


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
