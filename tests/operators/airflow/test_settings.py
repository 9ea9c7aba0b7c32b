"""What Airflow takes of any task reaches it from ours: pools, queues, executors; and work that nobody waits for."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from act_operator import ActOperator
from airflow.sdk import DAG
from airflow_home import Runs, eventually, needs_main_environment
from asset_runs import events

from modelyard.airflow.assets import model_asset
from modelyard.operations import ParameterInvalid
from modelyard.operators.airflow import CallOperator, RegisterOperator, TrainOperator
from modelyard.operators.airflow.errors import ResultFieldUnknown
from modelyard.operators.airflow.summary import SweepOperator
from modelyard.operators.airflow.work_sensor import WorkSensor

SETTINGS: dict[str, Any] = {
    "pool": "gpus",
    "pool_slots": 2,
    "queue": "training",
    "executor": "LocalExecutor",
    "executor_config": {"resources": {"gpu": 1}},
    "priority_weight": 7,
    "max_active_tis_per_dagrun": 4,
    "execution_timeout": timedelta(hours=3),
}


def test_pool_queue_executor_and_resources_reach_airflow_from_plain_and_mapped_tasks() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    given: dict[str, Any] = {"function": "fit", "dataset": "d", "label_column": "y", **SETTINGS}
    with DAG("settings", schedule=None) as dag:
        TrainOperator(task_id="plain", **given)
        TrainOperator.partial(task_id="mapped", **given).expand(parameters=[{"a": 1}])
    kept = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    for name in ("plain", "mapped"):
        task = kept.task_dict[name]
        assert {each: getattr(task, each) for each in SETTINGS if each != "executor_config"} == {
            each: value for each, value in SETTINGS.items() if each != "executor_config"
        }
        assert dag.task_dict[name].executor_config == {"resources": {"gpu": 1}}


def test_a_task_that_does_not_wait_has_other_fields_and_brings_nothing_forth() -> None:
    start = RegisterOperator(task_id="start", model="m", name="delays", wait_for_completion=False)

    assert start.outlets == []
    assert start.output["handle"].key == "handle"  # type: ignore[attr-defined]
    with pytest.raises(ResultFieldUnknown, match="the result of register has no field 'version'"):
        start.output["version"]
    with pytest.raises(ParameterInvalid, match="wait_for_completion: must be true for a sweep"):
        SweepOperator(task_id="sweep", training={}, parameter_sets=[], wait_for_completion=False)
    with pytest.raises(ParameterInvalid, match="wait_for_completion: must be true, unless the launcher is process"):
        CallOperator(task_id="inline", function="f", launcher="inline", wait_for_completion=False)


@needs_main_environment
def test_a_sensor_waits_for_the_work_and_publishes_its_result(runs: Runs, project: Path, traces: Path) -> None:
    with DAG("no_wait", schedule=None, default_args={"project": str(project)}) as dag:
        start = ActOperator(task_id="start", folder=str(traces), behaviour="wait", rows=5, wait_for_completion=False)
        WorkSensor(task_id="end", work=start.output, poke_interval=0.2, timeout=60, outlets=[model_asset("later")])
    seen: list[bool] = []

    def go() -> None:
        seen.append(eventually((traces / "worker").exists))
        (traces / "go").touch()

    threading.Timer(1, go).start()
    run = runs.run(dag)
    result = {"turns": 0, "generation": 1, "model": "models:/m/1", "rows": 5}

    assert runs.states(run) == {"start": "success", "end": "success"}
    assert seen == [True]
    assert runs.xcom(run, "start")["handle"]["key"] == f"no_wait/{run.run_id}/start"
    assert runs.xcom(run, "end") == result
    assert runs.xcom(run, "end", "model") == "models:/m/1"
    assert events(run)["modelyard://model/later"]["model"] == "models:/m/1"
    assert events(run)["modelyard://model/later"]["operation"] == "act"

    again = runs.run(dag, at=run.logical_date)
    assert runs.xcom(again, "end") == {"turns": 1, "generation": 2, "model": "models:/m/2", "rows": 5}


@needs_main_environment
def test_work_that_fails_fails_the_sensor_at_once(runs: Runs, project: Path, traces: Path) -> None:
    errors: list[str] = []
    with DAG("no_wait_fails", schedule=None, default_args={"project": str(project)}) as dag:
        start = ActOperator(task_id="start", folder=str(traces), behaviour="wrong", wait_for_completion=False)
        WorkSensor(
            task_id="end",
            work=start.output,
            poke_interval=0.2,
            retries=3,
            on_failure_callback=lambda context: errors.append(str(context["exception"])),
        )
        WorkSensor(task_id="none", work={"text": 1})
    run = runs.run(dag)

    assert runs.states(run) == {"start": "success", "end": "failed", "none": "failed"}
    assert runs.tries(run)["end"] == 1
    assert errors == ["door: the number is wrong. Look it up."]
