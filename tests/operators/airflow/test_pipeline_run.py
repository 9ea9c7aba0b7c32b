"""Tasks that run pipelines on a KFP server, from an environment without KFP, against a server in one that has it."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow_home import Runs

from modelyard.operations import ParameterInvalid
from modelyard.operators.airflow.pipeline_run import PipelineRunOperator
from modelyard.operators.airflow.pipeline_sensor import PipelineRunSensor
from modelyard.operators.airflow.pipeline_trigger import PipelineRunTrigger
from modelyard.operators.kfp.api import KfpApi
from modelyard.operators.kfp.run_watch import RunWatch

KFP_PYTHON = os.environ.get("MODELYARD_TEST_KFP_PYTHON", "")
FAKE = Path(__file__).parents[1] / "kfp" / "fake_server.py"
PIPELINE = {
    "pipelineInfo": {"name": "nightly"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "root": {
        "dag": {"tasks": {}},
        "inputDefinitions": {
            "parameters": {
                "month": {"parameterType": "NUMBER_INTEGER"},
                "sizes": {"parameterType": "LIST", "defaultValue": []},
                "modelyard_exact": {"parameterType": "STRING", "defaultValue": ""},
            }
        },
    },
}

pytestmark = pytest.mark.skipif(
    not Path(KFP_PYTHON).is_file(),
    reason="MODELYARD_TEST_KFP_PYTHON names no interpreter: run make test-airflow",
)


class Server:
    """The server in its own process."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def set(self, **changes: Any) -> dict[str, Any]:
        """Change what it tells, and return what it was asked."""
        request = Request(f"{self.endpoint}/control", json.dumps(changes).encode(), method="POST")
        with urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def asked(self, verb: str, path: str) -> list[Any]:
        """Return the bodies of such requests."""
        told = self.set()
        assert told["refusals"] == []
        return [body for method, where, _, body in told["asked"] if (method, where) == (verb, path)]


@pytest.fixture(scope="module")
def process() -> Iterator[str]:
    command = [KFP_PYTHON, str(FAKE)]
    found = {**os.environ, "PYTHONPATH": str(FAKE.parents[2] / "probes")}
    with subprocess.Popen(command, env=found, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as fake:
        assert fake.stdout is not None
        yield fake.stdout.readline().strip()


@pytest.fixture
def server(process: str) -> Server:
    fake = Server(process)
    fake.set(
        asked=[], refusals=[], authorizations=[], scripts=[], runs={}, away=0, lost=0,
        states=["PENDING", "RUNNING", "SUCCEEDED"], pipelines={}, versions={}, experiments={},
    )  # fmt: skip
    return fake


@pytest.fixture
def common(server: Server, tmp_path: Path) -> dict[str, Any]:
    """Return what most tasks here are told."""
    (tmp_path / "nightly.yaml").write_text(yaml.safe_dump(PIPELINE))
    return {
        "task_id": "nightly",
        "package": str(tmp_path / "nightly.yaml"),
        "arguments": {"month": 8},
        "endpoint": server.endpoint,
        "poll_interval": 0.01,
        "retry_delay": timedelta(0),
    }


def _dag(name: str, **arguments: Any) -> DAG:
    with DAG(name, schedule=None) as dag:
        PipelineRunOperator(**arguments)
    return dag


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_is_started_followed_and_told_of(
    runs: Runs, server: Server, common: dict[str, Any], deferrable: bool
) -> None:
    told = {
        "arguments": {"month": "{{ 4 + 4 }}", "sizes": [1, 2**60]},
        "experiment": "flights",
        "service_account": "ml",
    }
    run = runs.run(_dag(f"kfp_follows_{deferrable}", **{**common, **told}, deferrable=deferrable))
    (body,) = server.asked("POST", "/runs")

    expected = {
        "run_id": "run-1",
        "state": "succeeded",
        "url": f"{server.endpoint}/#/runs/details/run-1",
        "tasks": {"train": "SUCCEEDED"},
    }
    assert runs.xcom(run, "nightly") == expected
    assert {name: runs.xcom(run, "nightly", name) for name in expected} == expected
    assert body["display_name"].startswith(f"kfp_follows_{deferrable} {run.run_id} nightly ")
    assert body["pipeline_spec"] == PIPELINE
    assert body["runtime_config"] == {
        "parameters": {"month": 8, "sizes": [], "modelyard_exact": f'{{"sizes": [[], [1, {2**60}]]}}'}
    }
    assert (body["experiment_id"], body["service_account"]) == ("experiment-1", "ml")
    assert runs.xcom(run, "nightly", "_link_PipelineRunLink") == expected["url"]


def test_clearing_a_succeeded_task_starts_another_run(runs: Runs, server: Server, common: dict[str, Any]) -> None:
    dag = _dag("kfp_cleared", **common)
    first = runs.run(dag)
    again = runs.run(dag, at=first.logical_date)

    assert (first.run_id, runs.xcom(again, "nightly", "run_id")) == (again.run_id, "run-2")
    names = [body["display_name"] for body in server.asked("POST", "/runs")]
    assert len(set(names)) == 2


def test_a_try_whose_worker_died_before_it_learned_the_id_finds_the_run_by_its_name(
    runs: Runs, server: Server, common: dict[str, Any]
) -> None:
    server.set(lost=1)
    run = runs.run(_dag("kfp_lost", **common, retries=1))

    assert (runs.states(run), runs.tries(run)) == ({"nightly": "success"}, {"nightly": 2})
    assert runs.xcom(run, "nightly", "run_id") == "run-1"
    assert len(server.asked("POST", "/runs")) == 1


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_retry_attaches_to_the_recorded_run(
    runs: Runs, server: Server, common: dict[str, Any], deferrable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = PipelineRunOperator._ended

    def dies_once(*_: Any) -> Any:
        monkeypatch.setattr(PipelineRunOperator, "_ended", ended)
        raise MemoryError("the worker dies")

    monkeypatch.setattr(PipelineRunOperator, "_ended", dies_once)
    run = runs.run(_dag(f"kfp_attaches_{deferrable}", **common, deferrable=deferrable, retries=1))

    assert (runs.states(run), runs.tries(run)) == ({"nightly": "success"}, {"nightly": 2})
    assert runs.xcom(run, "nightly", "run_id") == "run-1"
    assert len(server.asked("POST", "/runs")) == 1


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failed_run_fails_the_task_and_a_retry_starts_another(
    runs: Runs, server: Server, common: dict[str, Any], deferrable: bool
) -> None:
    server.set(scripts=[["RUNNING", "FAILED"], ["FAILED"]])
    errors: list[str] = []
    told = {"retries": 1, "on_failure_callback": lambda context: errors.append(str(context["exception"]))}
    run = runs.run(_dag(f"kfp_fails_{deferrable}", **common, **told, deferrable=deferrable))

    assert (runs.states(run), runs.tries(run)) == ({"nightly": "failed"}, {"nightly": 2})
    assert errors == ["run-2: the run is failed: a task failed. The logs of its tasks are on KFP's page of the run."]


def test_what_would_fail_again_fails_at_once(runs: Runs, server: Server, common: dict[str, Any]) -> None:
    server.set(states=["CANCELED"])
    errors: dict[str, str] = {}

    def note(context: Any) -> None:
        errors[context["ti"].task_id] = str(context["exception"])

    told: dict[str, dict[str, Any]] = {
        "ended_by_somebody": {},
        "misspelt": {"arguments": {"mnoth": 8}},
        "no_number": {"arguments": {"month": "August"}},
        "nowhere": {"package": "", "pipeline": "late"},
        "no_pipeline": {"package": __file__},
        "no_file": {"package": "missing.yaml"},
    }
    with DAG("kfp_wrong", schedule=None) as dag:
        for name, change in told.items():
            PipelineRunOperator(**{**common, "task_id": name, **change}, retries=3, on_failure_callback=note)
    run = runs.run(dag)

    assert runs.tries(run) == dict.fromkeys(told, 1)
    assert errors["ended_by_somebody"].startswith("run-1: the run is cancelled.")
    assert errors["misspelt"] == "pipeline nightly: mnoth: there is no such parameter. Did you mean month?"
    assert errors["no_number"] == 'pipeline nightly: month: must be a whole number, got "August".'
    assert errors["nowhere"] == f"{server.endpoint}: the KFP server has no pipeline 'late'. Upload it."
    assert "the file is no compiled pipeline" in errors["no_pipeline"]
    assert "missing.yaml: the file is no compiled pipeline: it is not there." in errors["no_file"]
    assert len(server.set()["asked"]) < 6


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_execution_timeout_ends_the_run_and_the_next_try_starts_another(
    runs: Runs, server: Server, common: dict[str, Any], deferrable: bool
) -> None:
    server.set(scripts=[["RUNNING"]])
    limit = timedelta(seconds=3 if deferrable else 1)
    run = runs.run(_dag(f"kfp_late_{deferrable}", **common, deferrable=deferrable, execution_timeout=limit, retries=1))

    assert (runs.states(run), runs.tries(run)) == ({"nightly": "success"}, {"nightly": 2})
    assert server.asked("POST", "/runs/run-1:terminate") == [None]
    assert runs.xcom(run, "nightly", "run_id") == "run-2"


def test_a_pipeline_of_the_server_is_run_in_the_version_that_is_asked_for(
    runs: Runs, server: Server, common: dict[str, Any]
) -> None:
    names = ("v2", "v1")
    made = [{"pipeline_version_id": f"id-{each}", "name": each, "pipeline_spec": PIPELINE} for each in names]
    server.set(pipelines={"flights": "pipeline-7"}, versions={"pipeline-7": made})
    common = {**common, "package": "", "pipeline": "flights"}
    with DAG("kfp_versions", schedule=None) as dag:
        PipelineRunOperator(**{**common, "task_id": "newest"})
        PipelineRunOperator(**{**common, "task_id": "first"}, version="v1")
    runs.run(dag)

    asked = [body["pipeline_version_reference"] for body in server.asked("POST", "/runs")]
    assert sorted(each["pipeline_version_id"] for each in asked) == ["id-v1", "id-v2"]
    assert {each["pipeline_id"] for each in asked} == {"pipeline-7"}


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sensor_waits_for_a_run_that_the_operator_has_only_started(
    runs: Runs, server: Server, common: dict[str, Any], deferrable: bool
) -> None:
    server.set(scripts=[["PENDING", "RUNNING", "SUCCEEDED"], ["RUNNING", "FAILED"]])
    told = {"endpoint": server.endpoint, "poke_interval": 0.01, "deferrable": deferrable}
    with DAG(f"kfp_sensor_{deferrable}", schedule=None) as dag:
        for name in ("good", "bad"):
            start = PipelineRunOperator(**{**common, "task_id": f"start_{name}"}, wait_for_completion=False)
            wait = PipelineRunSensor(task_id=f"wait_{name}", run_id=start.output["run_id"], retries=1, **told)
            start >> wait
    dag.get_task("wait_good") >> dag.get_task("start_bad")
    run = runs.run(dag)

    states = {"start_good": "success", "wait_good": "success", "start_bad": "success", "wait_bad": "failed"}
    assert (runs.states(run), runs.tries(run)["wait_bad"]) == (states, 1)
    assert runs.xcom(run, "start_good", "state") == "queued"
    assert runs.xcom(run, "wait_good")["run_id"] == "run-1"
    assert runs.xcom(run, "wait_good")["state"] == "succeeded"
    assert server.asked("POST", "/runs/run-2:terminate") == []


def test_a_server_that_is_away_for_a_moment_fails_no_task(runs: Runs, server: Server, common: dict[str, Any]) -> None:
    server.set(states=["RUNNING"])
    look = RunWatch.look
    looks: list[Any] = []

    def away(watch: RunWatch) -> Any:
        if not looks:
            server.set(away=2)
        elif len(looks) == 3:
            server.set(runs={"run-1": {"name": "x", "states": ["SUCCEEDED"]}})
        looks.append(look(watch))
        return looks[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunWatch, "look", away)
        run = runs.run(_dag("kfp_away", **common))

    assert [each and each.state for each in looks] == [None, None, "running", "succeeded"]
    assert runs.states(run) == {"nightly": "success"}


def test_a_connection_names_the_server_the_token_and_the_namespace(
    runs: Runs, server: Server, common: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    connection = {"conn_type": "http", "host": host, "port": int(port), "password": "open-sesame"}
    monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW", json.dumps({**connection, "extra": {"namespace": "ml"}}))
    made: list[dict[str, Any]] = []
    serialize = PipelineRunTrigger.serialize
    monkeypatch.setattr(
        PipelineRunTrigger, "serialize", lambda trigger: made.append(serialize(trigger)[1]) or serialize(trigger)
    )
    told = {**common, "endpoint": "", "conn_id": "kubeflow", "experiment": "flights", "deferrable": True}
    run = runs.run(_dag("kfp_connection", **told))
    seen = server.set()

    assert runs.states(run) == {"nightly": "success"}
    assert set(seen["authorizations"]) == {"Bearer open-sesame"}
    assert [body for verb, path, _, body in seen["asked"] if (verb, path) == ("POST", "/experiments")] == [
        {"display_name": "flights", "namespace": "ml"}
    ]
    assert "open-sesame" not in json.dumps(made)


def test_the_trigger_ends_the_run_when_its_task_is_marked_or_cleared(server: Server) -> None:
    api = KfpApi(endpoint=server.endpoint)
    first, second = (api.start_run("x", PIPELINE) for _ in range(2))
    told = {"endpoint": server.endpoint, "interval": 0.01}
    path, facts = PipelineRunTrigger(first, **told).serialize()
    again = PipelineRunTrigger(**json.loads(json.dumps(facts)))

    async def payload(trigger: PipelineRunTrigger) -> Any:
        return [event.payload async for event in trigger.run()]

    asyncio.run(again.on_kill())
    asyncio.run(PipelineRunTrigger(second, **told, ends_run=False).on_kill())
    assert path == f"{PipelineRunTrigger.__module__}.PipelineRunTrigger"
    assert asyncio.run(payload(again)) == [{"run_id": first, "state": "cancelled"}]
    assert asyncio.run(payload(PipelineRunTrigger(second, **told))) == [{"run_id": second, "state": "succeeded"}]


def test_a_trigger_tells_what_waiting_would_not_help(server: Server) -> None:
    server.set(states=["MELTED"])

    async def payload() -> Any:
        return [event.payload async for event in PipelineRunTrigger("run-1", endpoint=server.endpoint).run()]

    ((event,),) = (asyncio.run(payload()),)
    assert event["error"].startswith("run-1: the server says that the run is 'MELTED'")
    assert event["retry"] is False


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "package: must be given, or else pipeline, got"),
        (
            {"package": "a.yaml", "pipeline": "a"},
            "version: must be given, where package is to be a version of pipeline",
        ),
        ({"package": 3}, "package: must be text, or nothing, got 3"),
        ({"package": "a.yaml", "arguments": [1]}, "arguments: must be a mapping, got"),
        ({"package": "a.yaml", "poll_interval": 0}, "poll_interval: must be more than 0 seconds, got 0"),
    ],
)
def test_what_runs_must_be_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterInvalid, match=message):
        PipelineRunOperator(task_id="t", **given)


def test_a_package_is_uploaded_once_as_a_version_of_a_pipeline(
    runs: Runs, server: Server, common: dict[str, Any]
) -> None:
    dag = _dag("kfp_uploads", **common, pipeline="flights", version="v7")
    run = runs.run(dag)
    server.set(versions={"pipeline-1": [{"pipeline_version_id": "pipeline-1-v7", "name": "v7"}]})
    runs.run(dag, at=run.logical_date)
    posts = [path for verb, path, *_ in server.set()["asked"] if verb == "POST"]

    assert posts == ["/pipelines", "/pipelines/upload_version", "/runs", "/runs"]
    for body in server.asked("POST", "/runs"):
        reference = {"pipeline_id": "pipeline-1", "pipeline_version_id": "pipeline-1-v7"}
        assert body["pipeline_version_reference"] == reference
        assert body["runtime_config"]["parameters"]["month"] == 8


def test_a_dag_file_with_it_imports_no_client_and_no_kfp() -> None:
    code = (
        "import sys, importlib.util; import modelyard.operators.airflow.pipeline_run, "
        "modelyard.operators.airflow.pipeline_sensor; "
        "print('modelyard.operators.kfp.api' in sys.modules, importlib.util.find_spec('kfp'))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.split() == ["False", "None"]


def test_the_examples_of_the_page_make_dags(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/kfp/airflow.md").read_text("utf-8")
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page, re.DOTALL)):
        (tmp_path / f"page_{number}.py").write_text(block)
    bag = DagBag(tmp_path)
    found = {dag.dag_id: {task.task_id: type(task).__name__ for task in dag.tasks} for dag in bag.dags.values()}

    assert bag.import_errors == {}
    assert found == {
        "nightly": {"score": "PipelineRunOperator", "report": "PipelineRunOperator"},
        "weekly": {"start": "PipelineRunOperator", "wait": "PipelineRunSensor"},
    }
