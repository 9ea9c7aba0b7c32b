"""The assets of tasks: known while the DAG file is read, told about with the values of the work."""

from pathlib import Path
from typing import Any

import pytest
from act_operator import ActOperator
from airflow.sdk import DAG, Asset, AssetAlias, task
from airflow_home import Runs, needs_main_environment
from asset_runs import events, make_known, run_triggered
from door_operator import DoorOperator

from modelyard.airflow.assets import dataset_asset, endpoint_asset, model_asset
from modelyard.operators.airflow import (
    CallOperator,
    DeployOperator,
    EvaluateOperator,
    PredictOperator,
    PromoteOperator,
    RegisterOperator,
    RollbackOperator,
    TrainOperator,
)
from modelyard.operators.airflow.outlets import brought_forth


def _uris(operator: Any) -> list[str]:
    return [each.uri for each in operator.outlets]


def test_outlets_are_known_while_the_dag_file_is_read() -> None:
    with DAG("declares", schedule=None) as dag:
        train = TrainOperator(task_id="train", function="fit", dataset="d", label_column="y")
        register = RegisterOperator(task_id="register", model=train.output["model"], name="delays")
        evaluate = EvaluateOperator(task_id="evaluate", model=register.output["model"], dataset="d")
        PromoteOperator(task_id="promote", model=evaluate.output["model"], alias="challenger")
        deploy = DeployOperator(task_id="deploy", graph="delays", endpoint="late")
        RollbackOperator(task_id="rollback", endpoint=deploy.output["endpoint"])
        PredictOperator(task_id="predict", model="models:/delays/3", dataset="d", destination="s3://lake/scored")
        CallOperator(task_id="call", function="f")

    assert {each.task_id: _uris(each) for each in dag.tasks} == {
        "train": [],
        "register": ["modelyard://model/delays"],
        "evaluate": [],
        "promote": ["modelyard://model/delays@challenger"],
        "deploy": ["modelyard://endpoint/late"],
        "rollback": ["modelyard://endpoint/late"],
        "predict": ["modelyard://dataset/s3/lake/scored"],
        "call": [],
    }


def test_airflow_keeps_them_with_the_dag() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("keeps", schedule=None) as dag:
        RegisterOperator(task_id="register", model="runs:/1/model", name="delays")
    kept = DagSerialization.to_dict(dag)["dag"]["tasks"][0]["__var"]

    assert [each["__var"]["uri"] for each in kept["outlets"]] == ["modelyard://model/delays"]


@pytest.mark.parametrize(
    ("model", "uris"),
    [
        ("models:/delays/3", ["modelyard://model/delays@champion"]),
        ("models:/delays@challenger", ["modelyard://model/delays@champion"]),
        ("runs:/1/model", []),
        ("models:/{{ params.name }}/3", []),
    ],
)
def test_a_promotion_is_known_by_the_registered_name(model: str, uris: list[str]) -> None:
    assert _uris(PromoteOperator(task_id="promote", model=model)) == uris


def test_what_is_not_written_out_is_not_known() -> None:
    register = RegisterOperator(task_id="register", model="m", name="{{ params.name }}")
    bad = RegisterOperator(task_id="bad", model="m", name="a/b")
    predict = PredictOperator(task_id="predict", model="m", dataset="d", destination="{{ params.folder }}/x")
    deploy = DeployOperator(task_id="deploy", graph="delays")

    assert [_uris(each) for each in (register, bad, predict, deploy)] == [[], [], [], []]


def test_the_outlets_of_the_dag_file_take_their_place() -> None:
    asset = model_asset("other")
    given = RegisterOperator(task_id="given", model="m", name="delays", outlets=[asset])
    none = RegisterOperator(task_id="none", model="m", name="delays", outlets=[])
    more = RegisterOperator(task_id="more", model="m", name="delays")
    more.add_outlets([asset])
    with DAG("defaults", schedule=None, default_args={"outlets": [asset]}):
        default = RegisterOperator(task_id="default", model="m", name="delays")

    assert _uris(given) == ["modelyard://model/other"]
    assert _uris(none) == []
    assert _uris(more) == ["modelyard://model/delays", "modelyard://model/other"]
    assert _uris(default) == ["modelyard://model/other"]


def test_results_name_what_was_brought_forth() -> None:
    assert [
        [each.uri for each in brought_forth(operation, result)]
        for operation, result in (
            ("register", {"name": "delays"}),
            ("promote", {"name": "delays", "alias": "champion"}),
            ("deploy", {"endpoint": "late"}),
            ("predict", {"dataset": "/data/scored"}),
            ("train", {"model": "models:/m-1"}),
        )
    ] == [
        [model_asset("delays").uri],
        [model_asset("delays", alias="champion").uri],
        [endpoint_asset("late").uri],
        [dataset_asset("/data/scored").uri],
        [],
    ]


@needs_main_environment
def test_a_dag_that_waits_for_a_model_is_run_and_told_about_the_version(
    runs: Runs, project: Path, traces: Path
) -> None:
    asset = model_asset("waited-for")
    with DAG("consumes", schedule=[asset], is_paused_upon_creation=False) as consumer:
        DoorOperator(
            task_id="door",
            project=str(project),
            text="{{ (triggering_asset_events.values() | first | first).extra.model }}",
            settings={"rows": "{{ (triggering_asset_events.values() | first | first).extra.rows }}"},
        )

        @task
        def told(*, triggering_asset_events: Any = None) -> dict[str, Any]:
            return {key.uri: [event.extra for event in each] for key, each in triggering_asset_events.items()}

        told()
    with DAG("produces", schedule=None) as producer:
        ActOperator(
            task_id="act", project=str(project), folder=str(traces), rows=41, outlets=[asset, Asset("file:///other")]
        )
    make_known(consumer)
    run = runs.run(producer)
    extra = {
        "turns": 0,
        "generation": 1,
        "model": "models:/m/1",
        "rows": 41,
        "metrics": {},
        "operation": "act",
        "key": f"produces/{run.run_id}/act",
        "project": "doors",
        "environment": "",
    }
    assert events(run) == {"modelyard://model/waited-for": extra, "file:///other": {}}

    consumed = run_triggered(consumer)

    assert runs.states(consumed) == {"door": "success", "told": "success"}
    assert runs.xcom(consumed, "told") == {"modelyard://model/waited-for": [extra]}
    received = runs.xcom(consumed, "door", "received")
    assert '"text": "models:/m/1"' in received
    assert '"settings": {"rows": 41}' in received


@needs_main_environment
def test_work_that_fails_changes_no_asset(runs: Runs, project: Path, traces: Path) -> None:
    with DAG("fails_with_asset", schedule=None) as dag:
        ActOperator(
            task_id="act",
            project=str(project),
            folder=str(traces),
            behaviour="wrong",
            outlets=[model_asset("failed"), AssetAlias("any")],
        )

    assert events(runs.run(dag)) == {}
