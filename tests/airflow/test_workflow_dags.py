"""What `airflow_dag` and `airflow_group` make of a workflow: ids, form, parameters, places, groups."""

import json
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow_home import Runs
from door_operator import DoorOperator
from workflow_contract import PROJECT

from modelyard.errors import ModelyardError
from modelyard.operations import ParameterInvalid, ParameterUnknown
from modelyard.operators.airflow import CallOperator, DeployOperator
from modelyard.workflows import WorkflowInvalid, airflow_dag, airflow_group

FLOWS = '''
from typing import Any, Literal

from modelyard.workflows import collect, each, exit_status, otherwise, steps, when, workflow


@workflow
def main(day: str, month: int = 7, ratio: float | None = None, kind: Literal["a", "b"] = "a", names: list[str] = ["x"]):
    """Do it for a day.

    Parameters
    ----------
    day
        Which day.
    """
    first = steps(name="first").call(function="work.functions:same", parameters={"day": day, "month": month})
    with when(first.value["month"] > 6):
        steps(name="late", retries=3, retry_delay=7, timeout=60).call(function="work.functions:same")
    with each(names, name="every", parallel=2) as name:
        steps(name="named").call(function="work.functions:same", parameters={"name": name})
    steps(name="deploy").deploy(graph=day)


@workflow
def small(month: int = 7, text: str = "{{ no template }}"):
    """Do little."""
    first = steps(name="first").call(function="work.functions:same", parameters={"month": month, "text": text})
    with each([1, 2]) as item:
        steps(name="turn").call(function="work.functions:same", parameters={"item": item})
    steps(name="last").call(function="work.functions:same", parameters={"month": first.value["month"]})


@workflow
def assets(model: str, name: str = "by-default"):
    """Bring all sorts of assets forth."""
    fixed = steps(name="fixed").register(model=model, name="delays")
    steps(name="promote").promote(model=fixed.model, alias="champion")
    named = steps(name="register").register(model=model, name=name)
    judged = steps.evaluate(model=named.model, dataset="d")
    steps(name="challenge").promote(model=judged.model, alias="challenger")
    live = steps(name="deploy").deploy(graph="delays", endpoint="late")
    steps(name="rollback").rollback(endpoint=live.endpoint)
    steps(name="unknown").deploy(graph="delays")
    steps(name="predict").predict(model=model, dataset="d", destination="s3://lake/scored")
    with each(["a", "b"], name="outer") as item:
        steps(name="turn").register(model=model, name="delays")
        steps(name="own").register(model=model, name=item)
        with each([1, 2], name="inner"):
            steps(name="pair").register(model=model, name="pairs")


@workflow
def handled(fails: bool = True):
    """Ends badly."""
    steps(name="only").call(function="work.functions:same")
    steps(name="told", on_exit=True).call(function="work.functions:absent", parameters={"s": exit_status["state"]})
'''


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a project of the test's own."""
    folder = tmp_path / "work-project"
    (folder / "work").mkdir(parents=True)
    (folder / "modelyard.yaml").write_text(
        "name: work\nworkflows: {main: work.flows:main, small: work.flows:small, handled: work.flows:handled, "
        "assets: work.flows:assets}\n"
    )
    (folder / "work/__init__.py").touch()
    (folder / "work/functions.py").write_text("def same(**given):\n    return given\n")
    (folder / "work/flows.py").write_text(FLOWS)
    return folder


def test_steps_are_tasks_of_their_operators_and_the_form_asks_for_the_inputs(work: Path) -> None:
    dag = airflow_dag(str(work))

    assert dag.dag_id == "work-main"
    assert list(dag.task_dict) == ["first", "when", "late", "every", "named", "deploy"]
    assert isinstance(dag.task_dict["first"], CallOperator)
    assert isinstance(dag.task_dict["deploy"], DeployOperator)
    late: Any = dag.task_dict["late"]
    assert (late.retries, late.retry_delay.total_seconds(), late.execution_timeout.total_seconds()) == (3, 7, 60)
    assert (late.launcher, late.trigger_rule) == ("process", "none_failed")
    named: Any = dag.task_dict["named"]
    assert named.max_active_tis_per_dagrun == 2
    assert named.get_closest_mapped_task_group().group_id == "every-items"
    assert {name: sorted(task.upstream_task_ids) for name, task in dag.task_dict.items()} == {
        "first": [],
        "when": ["first"],
        "late": ["when"],
        "every": [],
        "named": ["every"],
        "deploy": [],
    }
    params = [(name, dag.params.get_param(name)) for name in dag.params]
    form = {name: (param.schema, param.description) for name, param in params}
    assert form == {
        "day": ({"type": "string"}, "Which day."),
        "month": ({"type": "integer"}, None),
        "ratio": ({"type": ["number", "null"]}, None),
        "kind": ({"type": "string", "enum": ["a", "b"]}, None),
        "names": ({"type": "array", "items": {"type": "string"}}, None),
    }
    assert dag.fileloc == __file__
    assert "flowchart TD" in (dag.doc_md or "")


def test_the_dag_is_serialized_the_same_every_time_and_without_our_objects(work: Path) -> None:
    first, second = (DagSerialization.to_dict(airflow_dag(str(work))) for _ in range(2))
    DagSerialization.validate_schema(first)

    assert first == second
    assert sorted(DagSerialization.from_dict(first).task_dict) == sorted(airflow_dag(str(work)).task_dict)
    assert " object at 0x" not in json.dumps(first)


def read_within_a_second(dags: Path) -> bool:
    """Whether it ever takes less: on a machine that is busy with other things a time may be longer."""
    bags = (DagBag(dags) for _ in range(10))
    return any(max(each.duration.total_seconds() for each in bag.dagbag_stats) < 1 for bag in bags)


def test_a_dag_file_of_one_line_is_read_in_less_than_a_second(work: Path, tmp_path: Path) -> None:
    dags = work / "dags"
    dags.mkdir()
    (dags / "main.py").write_text('from modelyard.workflows import airflow_dag\n\ndag = airflow_dag("..")\n')
    (dags / "here.py").write_text('from modelyard.workflows import airflow_dag\n\ndag = airflow_dag(dag_id="here")\n')
    bag = DagBag(dags)

    assert bag.import_errors == {}
    assert sorted(bag.dags) == ["here", "work-main"]
    assert read_within_a_second(dags)
    assert bag.dags["work-main"].fileloc == str(dags / "main.py")


def test_parameters_that_are_given_leave_the_form_and_may_be_templates(work: Path, runs: Runs) -> None:
    dag = airflow_dag(
        str(work), "small", schedule="@daily", launcher="inline", parameters={"month": "{{ logical_date.month }}"}
    )
    assert list(dag.params) == ["text"]
    run = runs.run(dag, at=datetime(2013, 8, 3, tzinfo=UTC))

    assert runs.xcom(run, "first") == {"value": {"month": 8, "text": "{{ no template }}"}}
    assert runs.xcom(run, "last") == {"value": {"month": 8}}
    with pytest.raises(ParameterUnknown, match=r"workflow small has no parameter 'mnth'\. Did you mean month\?"):
        airflow_dag(str(work), "small", parameters={"mnth": 7})


def test_choices_and_loops_see_templates_as_steps_do(work: Path, runs: Runs) -> None:
    given = {"day": "{{ ds }}", "month": "{{ logical_date.month }}", "names": ["{{ ds }}", "b\n"], "kind": "b"}
    dag = airflow_dag(str(work), launcher="inline", parameters=given)
    run = runs.run(dag, at=datetime(2013, 6, 3, tzinfo=UTC))

    assert runs.xcom(run, "when") == {"holds": False}
    assert runs.states(run)["late"] == "skipped"
    assert [runs.xcom(run, "named", index=index)["value"]["name"] for index in (0, 1)] == ["2013-06-03", "b\n"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"month": "July"}, 'month: must be a whole number, got "July".'),
        ({"month": None}, "month: must be a whole number, got null."),
        ({"kind": "c"}, 'kind: must be one of a, b, got "c".'),
        ({"names": ["{{ ds }}", 3]}, "names[1]: must be text, got 3."),
        ({"day": 3}, "day: must be text, got 3."),
        (3, "parameters: must be a mapping of the workflow's parameters to values, got 3."),
    ],
)
def test_a_value_that_does_not_fit_is_refused_while_the_dag_file_is_read(work: Path, given: Any, message: str) -> None:
    with pytest.raises(ParameterInvalid) as raised:
        airflow_dag(str(work), parameters=given)
    assert str(raised.value) == message
    with DAG("around", schedule=None), pytest.raises(ParameterInvalid) as raised:
        airflow_group(str(work), parameters={"day": "x", **given} if isinstance(given, dict) else given)
    assert str(raised.value) == message


def test_a_template_whose_value_does_not_fit_is_refused_when_the_run_begins(work: Path, runs: Runs) -> None:
    dag = airflow_dag(str(work), "small", launcher="inline", parameters={"month": "{{ 'July' }}"})
    run = runs.run(dag)

    assert runs.states(run)["first"] == "failed"
    assert runs.xcom(run, "first", "failure") == {
        "kind": "invalid",
        "message": 'month: must be a whole number, got "July".',
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"project": None}, "project: must be text, got null."),
        ({"workflow": 3}, "workflow: must be text, got 3."),
        ({"dag_id": None}, "dag_id: must be text, got null."),
        ({"launcher": "pod"}, 'launcher: must be one of process, inline, got "pod".'),
        ({"parameterz": {}}, "parameterz: airflow_dag has no parameter 'parameterz'. Did you mean parameters?"),
        (
            {"params": {"month": 7}},
            "params: must be left out: the form is made of the workflow's parameters, and parameters= gives values to "
            'them, got {"month": 7}.',
        ),
        (
            {"schedule": "@daily"},
            "workflow main: nobody says day to runs of a schedule. Pass it in parameters={…}, give it a default, or "
            "leave the schedule out.",
        ),
    ],
)
def test_settings_of_a_dag_that_cannot_be_are_refused(work: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelyardError) as raised:
        airflow_dag(**{"project": str(work), **settings})
    assert str(raised.value) == message


def test_steps_declare_their_assets_as_far_as_they_are_the_same_in_every_run(work: Path) -> None:
    def uris(dag: Any) -> dict[str, list[str]]:
        return {name: [each.uri for each in task.outlets] for name, task in dag.task_dict.items() if task.outlets}

    everywhere = {
        "promote": ["modelyard://model/delays@champion"],
        "deploy": ["modelyard://endpoint/late"],
        "rollback": ["modelyard://endpoint/late"],
        "predict": ["modelyard://dataset/s3/lake/scored"],
        "turn": ["modelyard://model/delays"],
        "pair": ["modelyard://model/pairs"],
    }
    assert uris(airflow_dag(str(work), "assets")) == {"fixed": ["modelyard://model/delays"], **everywhere}
    given = airflow_dag(str(work), "assets", parameters={"name": "late"})
    named = {"register": ["modelyard://model/late"], "challenge": ["modelyard://model/late@challenger"]}
    assert uris(given) == {"fixed": ["modelyard://model/delays"], **named, **everywhere}
    template = airflow_dag(str(work), "assets", parameters={"name": "{{ ds }}"})
    assert "register" not in uris(template)
    with DAG("around", schedule=None) as dag:
        airflow_group(str(work), "assets", group_id="in", parameters={"model": "models:/m-1"})
    assert uris(dag)["in.challenge"] == ["modelyard://model/by-default@challenger"]
    tasks = [each["__var"] for each in DagSerialization.to_dict(given)["dag"]["tasks"]]
    kept = {each["task_id"]: each.get("outlets") or each.get("partial_kwargs", {}).get("outlets") for each in tasks}
    assert {name: [each["__var"]["uri"] for each in assets] for name, assets in kept.items() if assets} == uris(given)


def test_a_group_stands_between_other_tasks_and_takes_their_results(work: Path, runs: Runs, project: Path) -> None:
    with DAG("grouped", schedule=None) as dag:
        before = DoorOperator(task_id="before", project=str(project), text="", count=9, launcher="inline")
        group = airflow_group(
            str(work),
            "small",
            group_id="inner",
            launcher="inline",
            parameters={"month": 9},
        )
        after = DoorOperator(task_id="after", project=str(project), text="", launcher="inline")
        before >> group >> after
    assert list(dag.task_dict) == ["before", "inner.first", "inner.turn", "inner.last", "after"]
    assert sorted(dag.task_dict["after"].upstream_task_ids) == ["inner.last", "inner.turn"]
    run = runs.run(dag)

    assert runs.xcom(run, "inner.last") == {"value": {"month": 9}}
    assert runs.xcom(run, "inner.turn", index=1) == {"value": {"item": 2}}
    assert set(runs.states(run).values()) == {"success"}


def test_a_group_takes_the_results_of_other_tasks(work: Path, runs: Runs, project: Path) -> None:
    with DAG("grouped_values", schedule=None) as dag:
        before = CallOperator(
            task_id="before",
            project=str(work),
            function="work.functions:same",
            parameters={"month": 11},
            launcher="inline",
        )
        airflow_group(
            str(work),
            "small",
            launcher="inline",
            parameters={"month": "{{ ti.xcom_pull('before')['value']['month'] }}"},
        ).set_upstream(before)
    run = runs.run(dag)
    assert runs.xcom(run, "small.last") == {"value": {"month": 11}}

    with DAG("grouped_outputs", schedule=None) as dag:
        door = DoorOperator(task_id="door", project=str(project), text="{{ '{{' }}", launcher="inline")
        airflow_group(str(work), "small", launcher="inline", parameters={"text": door.output["received"]})
    assert {name for name, task in dag.task_dict.items() if "door" in task.upstream_task_ids} == {
        "small.first",
        "small.turn",
    }
    run = runs.run(dag)
    assert runs.xcom(run, "small.first", "value")["text"] == runs.xcom(run, "door", "received")


def test_a_group_needs_what_has_no_default(work: Path) -> None:
    with DAG("lacking", schedule=None), pytest.raises(WorkflowInvalid, match="the workflow needs day"):
        airflow_group(str(work))


def test_a_failing_exit_handler_fails_the_run(work: Path, runs: Runs) -> None:
    run = runs.run(airflow_dag(str(work), "handled", launcher="inline"))

    assert str(run.state) == "failed"
    assert runs.states(run) == {"only": "success", "told": "failed", "told-done": "upstream_failed"}


def test_a_project_in_the_bundle_is_found_from_its_root_when_the_task_runs(
    work: Path, tmp_path: Path, runs: Runs
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(work, bundle / "projects/work")
    (bundle / "dags").mkdir()
    line = 'dag = airflow_dag("bundle:projects/work", "small", launcher="inline")'
    (bundle / "dags/small.py").write_text(f"from modelyard.workflows import airflow_dag\n\n{line}\n")
    wrong = 'dag = airflow_dag("bundle:nowhere", "small")'
    (bundle / "dags/wrong.py").write_text(f"from modelyard.workflows import airflow_dag\n\n{wrong}\n")
    bag = DagBag(bundle / "dags")

    assert list(bag.dags) == ["work-small"]
    task: Any = bag.dags["work-small"].task_dict["first"]
    assert task.project == "bundle:projects/work"
    (error,) = bag.import_errors.values()
    assert f"no folder from {bundle}/dags upwards has nowhere/modelyard.yaml" in error
    run = runs.run(bag.dags["work-small"])
    assert runs.xcom(run, "last") == {"value": {"month": 7}}


def test_a_git_repository_is_read_once_and_then_from_the_cache(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_CACHE", str(tmp_path / "cache"))
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.com")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "First")):
        subprocess.run([*git, *words], cwd=work, check=True)
    reference = f"git+file://{work}@main"
    first = airflow_dag(reference, "small")
    work.rename(tmp_path / "gone")
    began = time.process_time()
    second = airflow_dag(reference, "small")

    assert time.process_time() - began < 1
    assert list(first.task_dict) == list(second.task_dict) == ["first", "turn", "last"]
    task: Any = second.task_dict["first"]
    assert task.project == reference


def test_the_contract_project_needs_no_machine_learning_to_be_read() -> None:
    assert airflow_dag(str(PROJECT), "contract.flows:nested_loop").dag_id == "contract-nested-loop"
