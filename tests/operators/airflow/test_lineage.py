"""What OpenLineage is told of our tasks, through Airflow's own OpenLineage provider."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from act_operator import ActOperator
from airflow.sdk import DAG
from airflow_home import Runs, needs_main_environment
from door_operator import DoorOperator
from lineage_log import listening, names, of_task

from modelyard.airflow.assets import dataset_asset, model_asset
from modelyard.airflow.lineage import convert_asset_to_openlineage
from modelyard.operators.airflow import CallOperator

CODE = '''
def join(context, month):
    """Write down what was read and written."""
    context.note_dataset("input", {"uri": "s3://lake/flights", "rows": 31, "schema": {"day": "int64", "late": "bool"}})
    context.note_dataset("output", {"uri": "/data/joined.parquet", "rows": 30, "schema": {"day": "int64"}})
    return {"month": month}


def fail(context):
    """Read, then fail."""
    context.note_dataset("input", {"uri": "s3://lake/flights", "rows": 31, "hash": "abc"})
    raise ValueError("no such month")
'''


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def flights(project: Path) -> Path:
    """Return a project in git with functions that note what they read."""
    (project / "joins.py").write_text(CODE)
    (project / "modelyard.yaml").write_text("name: flights\nfunctions: {join: {handler: joins:join}}\n")
    _git(project, "init", "-q")
    _git(project, "remote", "add", "origin", "https://me:secret@example.com/flights.git")
    _git(project, "add", ".")
    _git(project, "commit", "-q", "-m", "begin")
    return project


@pytest.mark.parametrize(
    ("asset", "name"),
    [
        (model_asset("delays"), ("modelyard", "model/delays")),
        (model_asset("delays", alias="champion"), ("modelyard", "model/delays")),
        (dataset_asset("s3://lake/july.parquet"), ("s3://lake", "july.parquet")),
        (dataset_asset("/data/july.parquet"), ("file", "/data/july.parquet")),
        (dataset_asset("july"), ("modelyard", "dataset/july")),
    ],
)
def test_an_asset_has_the_name_that_other_tools_use(asset: Any, name: tuple[str, str]) -> None:
    found = convert_asset_to_openlineage(asset, None)

    assert (found.namespace, found.name) == name


@needs_main_environment
def test_work_tells_what_it_read_and_made_and_what_ran(runs: Runs, flights: Path, tmp_path: Path) -> None:
    with DAG("joins", schedule=None) as dag:
        CallOperator(
            task_id="join",
            project=str(flights),
            function="join",
            parameters={"month": 7},
            outlets=[dataset_asset("joined/july"), dataset_asset("/data/joined.parquet")],
        )
    with listening(tmp_path) as events:
        run = runs.run(dag)
        told = of_task(events(), "joins", "join")
    complete = told["COMPLETE"]
    commit = _git(flights, "rev-parse", "HEAD")
    facet = {name: value for name, value in complete["run"]["facets"]["modelyard_run"].items() if name[0] != "_"}

    assert runs.states(run) == {"join": "success"}
    assert names(told["START"]["outputs"]) == [("modelyard", "dataset/joined/july"), ("file", "/data/joined.parquet")]
    assert told["START"]["inputs"] == []
    assert names(complete["inputs"]) == [("s3://lake", "flights")]
    assert [(each["name"], each["type"]) for each in complete["inputs"][0]["facets"]["schema"]["fields"]] == [
        ("day", "int64"),
        ("late", "bool"),
    ]
    assert names(complete["outputs"]) == [("file", "/data/joined.parquet"), ("modelyard", "dataset/joined/july")]
    assert complete["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 30
    content = facet.pop("content")
    assert len(content) == 64
    assert {name: value for name, value in facet.items() if value is not None} == {
        "operation": "call",
        "project": "flights",
        "key": f"joins/{run.run_id}/join",
        "generation": 1,
        "commit": commit,
        "dirty": False,
        "origin": "https://example.com/flights.git",
    }
    location = complete["job"]["facets"]["sourceCodeLocation"]
    assert (location["type"], location["repoUrl"], location["version"]) == (
        "git",
        "https://example.com/flights.git",
        commit,
    )


@needs_main_environment
def test_work_that_fails_tells_what_it_had_read(runs: Runs, flights: Path, tmp_path: Path) -> None:
    with DAG("join_fails", schedule=None) as dag:
        CallOperator(
            task_id="join", project=str(flights), function="joins:fail", outlets=[dataset_asset("/data/joined.parquet")]
        )
    with listening(tmp_path) as events:
        run = runs.run(dag)
        failed = of_task(events(), "join_fails", "join")["FAIL"]

    assert runs.states(run) == {"join": "failed"}
    assert names(failed["inputs"]) == [("s3://lake", "flights")]
    assert failed["inputs"][0]["facets"]["version"]["datasetVersion"] == "abc"
    assert names(failed["outputs"]) == [("file", "/data/joined.parquet")]
    assert failed["run"]["facets"]["modelyard_run"]["commit"] == _git(flights, "rev-parse", "HEAD")
    assert "no such month" in failed["run"]["facets"]["errorMessage"]["message"]


@needs_main_environment
def test_before_the_work_what_the_fields_name_is_told(runs: Runs, project: Path, tmp_path: Path) -> None:
    with DAG("names", schedule=None) as dag:
        DoorOperator(
            task_id="door",
            project=str(project),
            text="",
            dataset="s3://me:secret@lake/{{ 'july' }}",
            model="models:/delays/3",
        )
        DoorOperator(task_id="relative", project=str(project), text="", dataset="data/july", model="models:/delays@new")
    with listening(tmp_path) as events:
        runs.run(dag)
        door, relative = (of_task(events(), "names", each)["START"]["inputs"] for each in ("door", "relative"))

    assert names(door) == [("s3://lake", "july"), ("modelyard", "model/delays")]
    assert door[1]["facets"]["version"]["datasetVersion"] == "3"
    assert names(relative) == [("modelyard", "model/delays")]
    assert "version" not in relative[0]["facets"]


@needs_main_environment
def test_work_in_the_tasks_own_process_tells_the_same(runs: Runs, project: Path, traces: Path, tmp_path: Path) -> None:
    with DAG("inline_lineage", schedule=None) as dag:
        ActOperator(
            task_id="act",
            project=str(project),
            folder=str(traces),
            launcher="inline",
            outlets=[model_asset("m")],
        )
    with listening(tmp_path) as events:
        runs.run(dag)
        complete = of_task(events(), "inline_lineage", "act")["COMPLETE"]

    assert names(complete["outputs"]) == [("modelyard", "model/m")]
    assert complete["run"]["facets"]["modelyard_run"]["project"] == "doors"
    assert complete["run"]["facets"]["modelyard_run"]["model"] == "models:/m/1"


def test_operators_need_no_openlineage() -> None:
    code = (
        "import sys, modelyard.operators.airflow.train, modelyard.airflow.lineage;"
        "print(*sorted(each for each in sys.modules if each.startswith('openlineage')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []
