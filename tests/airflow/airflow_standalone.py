"""A real ``airflow standalone`` of the tests' own: all parts of Airflow, as one process group."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from airflow_scheduler import Scheduler
from local_ports import free_port

SETTINGS = {
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    # How soon a task learns that it was marked failed.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}
PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
_ENDS = ("success", "failed", "skipped", "upstream_failed", "removed")


class Standalone(Scheduler):
    """Starts ``airflow standalone`` and speaks to it through its REST API alone.

    Parameters
    ----------
    home
        An empty folder for everything that Airflow writes.
    bundles
        Where DAG files come from: Airflow's ``dag_bundle_config_list``.
    """

    def __init__(self, home: Path, bundles: list[Mapping[str, Any]]) -> None:
        super().__init__(home)
        self.environment.update(
            SETTINGS,
            AIRFLOW__API__HOST="127.0.0.1",
            AIRFLOW__API__PORT=self.url.rpartition(":")[2],
            AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps(bundles),
            AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH=str(home / "bundles"),
            AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT=str(free_port()),
            NO_COLOR="1",
            # It starts its parts by the command's name.
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        )

    def start(self) -> None:
        """Start it; `ready` waits for it."""
        with (self.home / "standalone.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "airflow", "standalone"],
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def ready(self, dags: list[str]) -> None:
        """Wait until all parts are healthy and the DAGs are read; unpause them."""
        self.await_(self._answers_or_fails, "the API answers", 240)
        self.await_(self._healthy, "all parts are healthy", 240)
        self.await_(lambda: set(dags) <= self._known(), f"the DAGs {dags} are read", 240)
        assert self.call("GET", "/api/v2/importErrors")["import_errors"] == []
        for dag in dags:
            self.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})

    def _answers_or_fails(self) -> bool:
        log = (self.home / "standalone.log").read_text()
        assert "Exception in thread" not in log, log[-6000:]
        return self.answers()

    def _healthy(self) -> bool:
        told = self.call("GET", "/api/v2/monitor/health")
        return all((told[part] or {}).get("status") == "healthy" for part in PARTS)

    def _known(self) -> set[str]:
        return {each["dag_id"] for each in self.call("GET", "/api/v2/dags?limit=100")["dags"]}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the REST API; again where SQLite was busy, as Airflow asks one to."""
        for attempt in range(20):
            try:
                return super().call(method, path, body)
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or attempt == 19:
                    raise
                time.sleep(0.5)
        raise AssertionError("the last attempt returns or raises")

    # --- runs ---------------------------------------------------------------------------------------------------------

    def begin(self, dag: str, **conf: Any) -> str:
        """Start a run; return its id."""
        body = {"logical_date": None, "conf": conf}
        return str(self.call("POST", f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"])

    def await_task(self, dag: str, run: str, task: str, *states: str, seconds: float = 120) -> dict[str, Any]:
        """Wait until a task is in one of the states; fail at once if it ends in another."""
        found: dict[str, Any] = {}

        def there() -> bool:
            found.update(self.task(dag, run, task))
            state = found["state"]
            assert state in states or state not in _ENDS, f"{task} is {state}: {self.told(dag, run, task)}"
            return state in states

        self.await_(there, f"{dag}.{task} is {' or '.join(states)}", seconds, lambda: self.told(dag, run, task))
        return found

    def await_run(self, dag: str, run: str, seconds: float = 240) -> str:
        """Wait until a run has ended; return how."""
        state = ""

        def ended() -> bool:
            nonlocal state
            state = self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{_quoted(run)}")["state"]
            return state in ("success", "failed")

        self.await_(ended, f"the run {run} of {dag} has ended", seconds)
        return state

    def states(self, dag: str, run: str) -> dict[str, str]:
        """Return each task's state."""
        found = self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{_quoted(run)}/taskInstances")["task_instances"]
        return {each["task_id"]: each["state"] for each in found}

    def xcom(self, dag: str, run: str, task: str, key: str = "return_value") -> Any:
        """Return what a task has published."""
        path = f"/api/v2/dags/{dag}/dagRuns/{_quoted(run)}/taskInstances/{task}/xcomEntries/{key}?deserialize=true"
        return self.call("GET", path)["value"]

    def asset_events(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the asset events of a run."""
        found = self.call("GET", f"/api/v2/assets/events?source_dag_id={dag}&source_run_id={_quoted(run)}")
        events: list[dict[str, Any]] = found["asset_events"]
        return events

    def mark(self, dag: str, run: str, task: str, state: str) -> None:
        """Mark a task, as people do in the browser."""
        path = f"/api/v2/dags/{dag}/dagRuns/{_quoted(run)}/taskInstances/{task}"
        self.call("PATCH", path, {"new_state": state})

    def clear(self, dag: str, run: str, task: str) -> None:
        """Clear one task of a run."""
        body = {"dry_run": False, "dag_run_id": run, "task_ids": [task], "only_failed": False}
        self.call("POST", f"/api/v2/dags/{dag}/clearTaskInstances", body)

    def question(self, dag: str, run: str, task: str) -> dict[str, Any]:
        """Wait until a task asks people, and the scheduler has noticed; return the question.

        The scheduler takes a task for failed that is answered sooner than it learns that the task's process has ended:
        people are slower.
        """
        self.await_task(dag, run, task, "awaiting_input", seconds=240)
        key = f"TaskInstanceKey(dag_id='{dag}', task_id='{task}', run_id='{run}', try_number=1,"
        noticed = f"Received executor event with state success for task instance {key}"
        self.await_(lambda: noticed in (self.home / "standalone.log").read_text(), "the scheduler knows of it", 60)
        return self.call("GET", f"{self._asked(dag, run, task)}")

    def answer(self, dag: str, run: str, task: str, option: str, reason: str = "") -> None:
        """Answer for people."""
        given = {"chosen_options": [option], "params_input": {"reason": reason}}
        self.call("PATCH", self._asked(dag, run, task), given)

    @staticmethod
    def _asked(dag: str, run: str, task: str) -> str:
        return f"/api/v2/dags/{dag}/dagRuns/{_quoted(run)}/taskInstances/{task}/-1/hitlDetails"

    # --- what is said of it -------------------------------------------------------------------------------------------

    def log(self, dag: str, run: str, task: str, attempt: int = 1, part: str = "") -> str:
        """Return the log of one try; `part` is ``trigger`` for the triggerer's."""
        folder = self.home / f"logs/dag_id={dag}/run_id={run}/task_id={task}"
        files = folder.glob(f"attempt={attempt}.log{f'.{part}*' if part else ''}")
        return "".join(file.read_text() for file in files)

    def told(self, dag: str, run: str, task: str) -> str:
        """Return the ends of all logs that may say what went wrong."""
        folder = self.home / f"logs/dag_id={dag}/run_id={run}/task_id={task}"
        logs = [*sorted(folder.glob("*.log*")), self.home / "standalone.log"]
        return "\n".join(f"--- {file.name}\n{file.read_text()[-3000:]}" for file in logs if file.is_file())

    def await_(
        self, condition: Callable[[], bool], what: str, seconds: float, told: Callable[[], str] | None = None
    ) -> None:
        """Wait until a condition holds; fail with what the logs say."""
        deadline = time.monotonic() + seconds
        while not _holds(condition):
            if time.monotonic() > deadline:
                log = told() if told else (self.home / "standalone.log").read_text()[-6000:]
                raise AssertionError(f"within {seconds:g} seconds it was not true that {what}\n{log}")
            time.sleep(0.25)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except OSError:
        # The API server is not up yet, or busy: SQLite has one writer.
        return False


def _quoted(run: str) -> str:
    return urllib.parse.quote(run, safe="")


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    return fields_of(pid)[0] not in "ZX"


def fields_of(pid: int) -> list[str]:
    """Return the fields of a process's ``stat`` from its state on; of one that is gone, state X."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return ["X", "0"]


def group_of(pid: int) -> list[int]:
    """Return the processes of a process's group that are alive."""
    group = os.getpgid(pid)
    pids = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
    return [each for each in pids if len(found := fields_of(each)) > 2 and found[2] == str(group) and alive(each)]
