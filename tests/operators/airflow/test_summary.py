"""Summaries of mapped tasks, and sweeps: mapped up to a limit, one job above it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from act_operator import ActOperator
from airflow.sdk import DAG
from airflow_home import Runs, needs_main_environment

from modelyard.errors import ModelyardError
from modelyard.operations import ParameterInvalid
from modelyard.operators.airflow import CallOperator
from modelyard.operators.airflow.errors import ResultFieldUnknown
from modelyard.operators.airflow.summary import SummaryOperator, SweepOperator, sweep

WINE = Path(__file__).parents[3] / "docs/airflow/example_dags"
TRAINING = {"function": "classifier", "dataset": "wine.csv", "label_column": "grower"}


def _sets(count: int) -> list[dict[str, Any]]:
    return [{"trees": trees} for trees in range(1, count + 1)]


def test_a_sweep_is_mapped_up_to_the_limit_and_one_task_above_it() -> None:
    with DAG("mapped", schedule=None) as mapped:
        before = CallOperator(task_id="before", function="f")
        small = sweep("tune", training=TRAINING, parameter_sets=_sets(3), limit=3, after=[before], retries=2)
    with DAG("one_job", schedule=None) as one:
        before = CallOperator(task_id="before", function="f")
        large = sweep("tune", training=TRAINING, parameter_sets=_sets(4), limit=3, after=[before], retries=2)

    assert list(mapped.task_dict) == ["before", "tune_each", "tune"]
    assert mapped.task_dict["tune_each"].upstream_task_ids == {"before"}
    assert mapped.task_dict["tune"].upstream_task_ids == {"tune_each"}
    assert mapped.task_dict["tune_each"].retries == 2
    assert list(one.task_dict) == ["before", "tune"]
    assert one.task_dict["tune"].upstream_task_ids == {"before"}
    assert one.task_dict["tune"].retries == 2
    assert (small["best"].key, large["best"].key) == ("best", "best")
    with pytest.raises(ResultFieldUnknown):
        large["bets"]


@needs_main_environment
def test_a_summary_takes_the_results_that_there_are(runs: Runs, project: Path, traces: Path) -> None:
    with DAG("sums_up", schedule=None, default_args={"project": str(project)}) as dag:
        mapped = ActOperator.partial(task_id="act", folder=str(traces)).expand_kwargs(
            [{"rows": 3}, {"rows": 0, "behaviour": "wrong"}, {"rows": 9}]
        )
        SummaryOperator(
            task_id="sum",
            results=mapped.output,
            columns=["rows", "model"],
            sort_by="{{ 'rows' }}",
            trigger_rule="all_done",
        )
        SummaryOperator(task_id="wrong", results="{{ 'text' }}", trigger_rule="all_done")
    run = runs.run(dag)
    found = runs.xcom(run, "sum")

    assert runs.states(run)["wrong"] == "failed"
    assert (found["count"], [row["rows"] for row in found["rows"]]) == (2, [9, 3])
    assert found["best"]["result"]["rows"] == 9
    assert runs.xcom(run, "sum", "count") == 2
    assert found["table"].splitlines()[:2] == ["| index | rows | model |", "|---|---|---|"]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("results", {"a": 1}, "results: must be the results of a mapped task"),
        ("labels", "ab", "labels: must be a list, an item for each result"),
        ("columns", "auc", "columns: must be a list of names"),
    ],
)
def test_what_cannot_be_a_table_is_named(field: str, value: Any, said: str) -> None:
    given = {"results": [{"auc": 0.7}], "labels": [], "columns": [], field: value}
    with pytest.raises(ParameterInvalid, match=said):
        SummaryOperator(task_id="sum", **given).execute({})


@needs_main_environment
def test_one_job_trains_all_sets(runs: Runs, tmp_path: Path) -> None:
    project = shutil.copytree(WINE, tmp_path / "wine", ignore=shutil.ignore_patterns("__pycache__", ".modelyard"))
    with DAG("sweeps", schedule=None, default_args={"project": str(project)}) as dag:
        data = CallOperator(task_id="data", function="write-data", parameters={"path": f"{project}/wine.csv"})
        sweep(
            "tune",
            training=TRAINING,
            parameter_sets=_sets(2),
            sort_by="metrics.accuracy",
            limit=1,
            after=[data],
        )
        filled = {**TRAINING, "holdout": "{{ 'half' }}"}
        SweepOperator(task_id="refused", training=filled, parameter_sets=_sets(1))
    run = runs.run(dag)
    found = runs.xcom(run, "tune")

    assert runs.states(run) == {"data": "success", "tune": "success", "refused": "failed"}
    assert found["count"] == 2
    assert {row["trees"] for row in found["rows"]} == {1, 2}
    assert found["best"]["result"]["model"].startswith("models:/m-")
    assert runs.xcom(run, "tune", "best") == found["best"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"training": None}, "training: must be a mapping of what TrainOperator takes, got null."),
        (
            {"training": {**TRAINING, "parameters": {}}},
            "training.parameters: must be left out: parameter_sets has them, got {}.",
        ),
        (
            {"training": {**TRAINING, "holdot": 0.5}},
            "holdot: train has no parameter 'holdot'. Did you mean holdout?",
        ),
        (
            {"training": {"function": "classifier"}},
            "dataset: train needs dataset: The rows to train on: Parquet or CSV.",
        ),
        ({"parameter_sets": None}, "parameter_sets: must be a list of a mapping, got null."),
        ({"limit": "many"}, 'limit: must be a whole number, 0 or more, got "many".'),
        ({"limit": 0, "sort_by": 3}, "sort_by: must be text, or nothing, got 3."),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_while_the_dag_file_is_read(given: dict[str, Any], message: str) -> None:
    settings: dict[str, Any] = {"training": TRAINING, "parameter_sets": [{}], **given}
    with DAG("refuses", schedule=None), pytest.raises(ModelyardError) as raised:
        sweep("tune", **settings)
    assert str(raised.value) == message
