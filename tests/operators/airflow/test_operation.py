"""What all operators do: publish, attach, cancel, fail in the right way; in real DAG runs, with the work elsewhere."""

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from act_operator import ActOperator
from airflow.sdk import DAG
from airflow.sdk.execution_time.comms import SetXCom, _RequestFrame
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow_home import DAGS, PYTHON, Runs, eventually, needs_main_environment
from door_operator import DoorOperator

from modelyard.operations import ParameterInvalid
from modelyard.operators.airflow import CallOperator, OperationOperator
from modelyard.operators.airflow.arguments import LauncherName
from modelyard.operators.airflow.errors import BundleProjectNotFound
from modelyard.operators.airflow.place import located

pytestmark = needs_main_environment


def _turns(traces: Path) -> int:
    return len(list(traces.glob("turn-*")))


def _gone(file: Path) -> bool:
    """Whether the process whose number is in a file has ended."""
    try:
        state = Path(f"/proc/{file.read_text()}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in "ZX"


def test_the_work_runs_elsewhere_and_its_result_is_published_whole_and_by_field(runs: Runs, project: Path) -> None:
    with DAG("publishes", schedule=None) as dag:
        DoorOperator(task_id="door", project=str(project), text="hello", maybe_names=["a"])
    run = runs.run(dag)
    published = runs.xcoms(run, "door")
    whole = published.pop("return_value")

    assert published == whole
    assert set(whole) == {"received", "nothing", "circumstances", "process"}
    assert json.loads(whole["received"])["text"] == "hello"
    assert whole["process"]["python"] == PYTHON
    assert whole["process"]["pid"] != os.getpid()
    assert whole["process"]["airflow"] is False


def test_key_workflow_run_and_step_are_made_of_dag_run_task_and_index(runs: Runs, project: Path) -> None:
    with DAG("circumstances", schedule=None) as dag:
        DoorOperator(task_id="plain", project=str(project), text="")
        DoorOperator.partial(task_id="mapped", project=str(project)).expand(text=["a", "b"])
        DoorOperator.partial(task_id="named", project=str(project), key="mine-{{ ds }}").expand(text=["a", "b"])
    run = runs.run(dag)
    plain, first = runs.xcom(run, "plain", "circumstances"), runs.xcom(run, "mapped", "circumstances", 0)
    keys = [runs.xcom(run, "named", "circumstances", index)["key"] for index in (0, 1)]

    assert plain["key"] == f"circumstances/{run.run_id}/plain"
    assert (plain["workflow_run"], plain["step"]) == (f"circumstances/{run.run_id}", "plain")
    assert (first["key"], first["step"]) == (f"circumstances/{run.run_id}/mapped[0]", "mapped[0]")
    assert keys == [f"mine-{run.logical_date.date()}[{index}]" for index in (0, 1)]


def test_results_flow_into_later_tasks_and_mapped_results_into_a_list(runs: Runs, project: Path, traces: Path) -> None:
    with DAG("flows", schedule=None, default_args={"project": str(project)}) as dag:
        first = ActOperator(task_id="first", folder=str(traces), rows=41)
        DoorOperator(
            task_id="later",
            text=first.output["model"],
            count=first.output["rows"],
            anything=first.output,
            settings={"rows": first.output["rows"]},
            names=[first.output["model"], "fixed"],
        )
        mapped = DoorOperator.partial(task_id="mapped").expand(text=["a", "b"])
        nothing = DoorOperator(task_id="nothing", text="t")
        DoorOperator(
            task_id="collect",
            text="",
            names=mapped.output["received"],
            maybe_text=nothing.output["nothing"],
            anything=mapped.output["nothing"],
        )
    run = runs.run(dag)
    later = json.loads(runs.xcom(run, "later", "received"))
    collected = json.loads(runs.xcom(run, "collect", "received"))

    assert set(runs.states(run).values()) == {"success"}
    assert (later["text"], later["count"], later["settings"]) == ("models:/m/1", 41, {"rows": 41})
    assert later["names"] == ["models:/m/1", "fixed"]
    assert later["anything"] == {"turns": 0, "generation": 1, "model": "models:/m/1", "rows": 41}
    assert [json.loads(each)["text"] for each in collected["names"]] == ["a", "b"]
    assert collected["maybe_text"] is None
    assert collected["anything"] == [None, None]


def test_whole_numbers_up_to_64_bits_survive_xcom(runs: Runs, project: Path, traces: Path) -> None:
    with DAG("big", schedule=None, default_args={"project": str(project)}) as dag:
        first = ActOperator(task_id="first", folder=str(traces), rows=2**63 - 1)
        DoorOperator(task_id="later", text="", count=first.output["rows"])
    run = runs.run(dag)

    assert json.loads(runs.xcom(run, "later", "received"))["count"] == 2**63 - 1


def test_a_number_that_airflow_cannot_carry_fails_the_task_and_does_not_come_back(
    runs: Runs, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "figures.py").write_text("def power(of):\n    return {'number': 2**of}\n")
    push = RuntimeTaskInstance.xcom_push

    def supervised(self: RuntimeTaskInstance, key: str, value: Any) -> None:
        # What a task's process sends to its supervisor; dag.test() alone has none.
        asked = SetXCom(key=key, value=value, dag_id=self.dag_id, run_id=self.run_id, task_id=self.task_id)
        _RequestFrame(id=1, body=asked.model_dump()).as_bytes()
        push(self, key, value)

    monkeypatch.setattr(RuntimeTaskInstance, "xcom_push", supervised)
    errors: list[str] = []
    at = datetime.now(UTC)

    def run(of: int) -> Any:
        with DAG("powers", schedule=None) as dag:
            CallOperator(
                task_id="call",
                project=str(project),
                function="figures:power",
                parameters={"of": of},
                launcher="inline",
                retries=2,
                on_failure_callback=lambda context: errors.append(str(context["exception"])),
            )
        return runs.run(dag, at=at)

    failed = run(64)
    assert (runs.states(failed), runs.tries(failed)) == ({"call": "failed"}, {"call": 1})
    assert errors == [
        "task call: the result has a whole number of more than 64 bits, which Airflow does not carry between tasks. "
        "Return it as text."
    ]
    assert runs.xcom(run(63), "call") == {"value": {"number": 2**63}}


def test_an_error_that_may_pass_is_retried_with_the_same_key(runs: Runs, project: Path, traces: Path) -> None:
    with DAG("busy_once", schedule=None) as dag:
        ActOperator(
            task_id="act",
            project=str(project),
            folder=str(traces),
            behaviour="busy-once",
            retries=2,
            retry_delay=timedelta(0),
        )
    run = runs.run(dag)

    assert runs.states(run) == {"act": "success"}
    assert runs.tries(run) == {"act": 2}
    assert (runs.xcom(run, "act", "turns"), runs.xcom(run, "act", "generation")) == (1, 1)


@pytest.mark.parametrize("launcher", ["process", "inline"])
@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("wrong", "door: the number is wrong. Look it up."),
        ("raise", "RuntimeError: a defect of its own"),
    ],
)
def test_an_error_that_stays_fails_at_once_in_one_line(
    runs: Runs, project: Path, traces: Path, behaviour: str, message: str, launcher: LauncherName
) -> None:
    errors: list[BaseException] = []
    with DAG(f"fails_{behaviour}", schedule=None) as dag:
        ActOperator(
            task_id="act",
            project=str(project),
            folder=str(traces),
            behaviour=behaviour,
            retries=3,
            retry_delay=timedelta(0),
            on_failure_callback=lambda context: errors.append(context["exception"]),
        )
    run = runs.run(dag)

    assert runs.states(run) == {"act": "failed"}
    assert _turns(traces) == 1
    assert runs.xcoms(run, "act") == {}
    assert [type(each).__name__ for each in errors] == ["AirflowFailException"]
    assert message in str(errors[0])
    assert "\n" not in str(errors[0])


def test_clearing_a_succeeded_task_does_the_work_anew(runs: Runs, project: Path, traces: Path) -> None:
    with DAG("cleared", schedule=None) as dag:
        ActOperator(task_id="act", project=str(project), folder=str(traces))
    at = datetime.now(UTC)
    seen = []
    for _ in range(2):
        run = runs.run(dag, at=at)
        seen.append((run.run_id, runs.xcom(run, "act", "turns"), runs.xcom(run, "act", "generation")))

    assert seen == [(run.run_id, 0, 1), (run.run_id, 1, 2)]


def test_the_log_of_the_work_is_in_the_tasks_log_as_it_is_written(
    runs: Runs, project: Path, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["first line", "ä → 😀", "100 % {done}"]
    seen: list[tuple[str, bool]] = []

    def told(operator: Any, line: str) -> None:
        seen.append((line, _gone(traces / "worker") if (traces / "worker").exists() else False))
        if lines[-1] in line:
            (traces / "go").touch()

    monkeypatch.setattr(OperationOperator, "_tell", told)
    with DAG("logs", schedule=None) as dag:
        ActOperator(task_id="act", project=str(project), folder=str(traces), behaviour="wait", lines=lines)
    run = runs.run(dag)

    assert runs.states(run) == {"act": "success"}
    assert [line for line, _ in seen if any(each in line for each in lines)] == [
        next(line for line, _ in seen if each in line) for each in lines
    ]
    assert not any(gone for _, gone in seen)


def test_the_projects_secrets_are_masked_in_the_tasks_log(
    runs: Runs, project: Path, traces: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "modelyard.yaml").write_text("name: doors\nenvironments: {dev: {secrets: [DOOR_TOKEN, ABSENT]}}\n")
    monkeypatch.setenv("DOOR_TOKEN", "open-sesame-4711")
    with DAG("masks", schedule=None) as dag:
        ActOperator(task_id="act", project=str(project), folder=str(traces), lines=["with open-sesame-4711 for door"])
    run = runs.run(dag)
    told = capfd.readouterr().out

    assert runs.states(run) == {"act": "success"}
    assert "with *** for door" in told
    assert "open-sesame-4711" not in told


@pytest.mark.parametrize("launcher", ["process", "inline"])
def test_killing_the_task_ends_the_work_and_all_its_processes(
    runs: Runs, project: Path, traces: Path, launcher: LauncherName
) -> None:
    with DAG("killed", schedule=None) as dag:
        ActOperator(task_id="act", project=str(project), folder=str(traces), behaviour="wait", launcher=launcher)
    killed: list[datetime] = []

    def kill() -> None:
        assert eventually((traces / "worker").exists)
        killed.append(datetime.now(UTC))
        os.kill(os.getpid(), signal.SIGTERM)

    killer = threading.Thread(target=kill)
    killer.start()
    run = runs.run(dag)
    killer.join()

    assert runs.states(run) == {"act": "failed"}
    assert datetime.now(UTC) - killed[0] < timedelta(seconds=20)
    assert eventually(lambda: _gone(traces / "grandchild"))
    assert launcher == "inline" or _gone(traces / "worker")
    assert runs.xcoms(run, "act") == {}


@pytest.mark.timeout(120, method="thread")
def test_the_execution_timeout_ends_the_work_and_the_next_try_starts_again(
    runs: Runs, project: Path, traces: Path
) -> None:
    with DAG("too_long", schedule=None) as dag:
        ActOperator(
            task_id="act",
            project=str(project),
            folder=str(traces),
            behaviour="wait",
            execution_timeout=timedelta(seconds=100),
            retries=1,
            retry_delay=timedelta(0),
            on_retry_callback=lambda context: (traces / "go").touch(),
        )

    def let_time_pass() -> None:
        assert eventually((traces / "worker").exists)
        os.kill(os.getpid(), signal.SIGALRM)  # as Airflow's timer does when the time is up

    clock = threading.Thread(target=let_time_pass)
    clock.start()
    run = runs.run(dag)
    clock.join()

    assert runs.states(run) == {"act": "success"}
    assert runs.tries(run) == {"act": 2}
    assert _turns(traces) == 2
    assert runs.xcom(run, "act", "generation") == 1


_AS_A_WORKER = """
import datetime, sys
sys.path.insert(0, sys.argv[2])
import attaches
at = datetime.datetime.fromisoformat(sys.argv[1])
attaches.dag.test(logical_date=at, run_after=at)
"""


def test_a_retry_attaches_to_the_work_that_outlived_its_worker(runs: Runs, project: Path, traces: Path) -> None:
    """The Airflow worker is killed without a chance to clean up, while the work goes on."""
    at = datetime.now(UTC)
    with DAG("attaches", schedule=None) as dag:
        ActOperator(task_id="act", project=str(project), folder=str(traces), behaviour="wait", rows=5)
    (DAGS / "attaches.py").write_text(
        "from act_operator import ActOperator\nfrom airflow.sdk import DAG\n\n"
        "with DAG('attaches', schedule=None) as dag:\n    ActOperator(task_id='act', "
        f"project={str(project)!r}, folder={str(traces)!r}, behaviour='wait', rows=5)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", _AS_A_WORKER, at.isoformat(), str(DAGS)], start_new_session=True)
    try:
        assert eventually((traces / "worker").exists, 60)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        (DAGS / "attaches.py").unlink()
    assert not _gone(traces / "worker")
    first = (traces / "worker").read_text()

    threading.Timer(1, (traces / "go").touch).start()
    run = runs.run(dag, at=at)

    assert runs.states(run) == {"act": "success"}
    assert runs.xcom(run, "act") == {"turns": 0, "generation": 1, "model": "models:/m/1", "rows": 5}
    assert (traces / "worker").read_text() == first
    assert _turns(traces) == 1


def test_the_project_is_that_of_the_dag_file_unless_named(project: Path) -> None:
    assert located("", Path("/dags/team")) == "/dags/team"
    assert located("../flights", Path("/dags/team")) == "/dags/team/../flights"
    assert located("/projects/flights", Path("/dags/team")) == "/projects/flights"
    assert located("git+https://host/flights@main#sub", Path("/dags")) == "git+https://host/flights@main#sub"


def test_a_project_of_the_bundle_is_looked_for_from_the_folder_of_the_dag_file_upwards(project: Path) -> None:
    dags = project.parent / "dags/team"
    dags.mkdir(parents=True)
    assert located("bundle:project", dags) == str(project)
    with pytest.raises(BundleProjectNotFound) as caught:
        located("bundle:elsewhere", dags)
    assert str(caught.value) == (
        f"bundle:elsewhere: no folder from {dags} upwards has elsewhere/modelyard.yaml. "
        "Name the project's folder as it lies in the bundle."
    )


def test_an_unknown_launcher_is_refused_while_the_dag_file_is_read() -> None:
    with pytest.raises(ParameterInvalid, match="launcher: must be one of process, inline, got"):
        DoorOperator(task_id="door", text="", launcher="cloud")  # type: ignore[arg-type]


def test_inline_runs_in_the_tasks_own_process(runs: Runs, project: Path) -> None:
    with DAG("inline", schedule=None) as dag:
        DoorOperator(task_id="door", project=str(project), text="", launcher="inline")
    process = runs.xcom(runs.run(dag), "door", "process")

    assert (process["pid"], process["airflow"]) == (os.getpid(), True)


def test_without_xcom_the_key_is_acknowledged_all_the_same(runs: Runs, project: Path, traces: Path) -> None:
    with DAG("quiet", schedule=None) as dag:
        ActOperator(task_id="act", project=str(project), folder=str(traces), do_xcom_push=False)
    at = datetime.now(UTC)
    published = [runs.xcoms(runs.run(dag, at=at), "act") for _ in range(2)]

    assert published == [{}, {}]
    assert _turns(traces) == 2
