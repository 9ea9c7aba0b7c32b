"""With a real scheduler: a task that succeeds, one that is marked failed, and one whose worker is killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from airflow_home import eventually, needs_main_environment
from airflow_scheduler import Scheduler

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_main_environment]

DAG_FILE = """
from datetime import timedelta

from act_operator import ActOperator
from airflow.sdk import DAG

with DAG("real", schedule=None, is_paused_upon_creation=False):
    ActOperator(
        task_id="act",
        project={project!r},
        folder={traces!r},
        behaviour="wait",
        lines=["under way"],
        rows=7,
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
"""


class Stage(NamedTuple):
    """A running Airflow and where the operation ``act`` leaves its traces."""

    scheduler: Scheduler
    traces: Path

    def begin(self) -> str:
        """Start a run, and return its id when the work is under way."""
        for trace in self.traces.iterdir():
            trace.unlink()
        run = self.scheduler.trigger("real")
        assert eventually((self.traces / "worker").exists, 120), self.log(run)
        return run

    def state(self, run: str) -> str:
        """Return the task's state."""
        return str(self.scheduler.task("real", run, "act")["state"])

    def tries(self, run: str) -> int:
        """Return how often the task was tried."""
        return int(self.scheduler.task("real", run, "act")["try_number"])

    def published(self, run: str) -> dict[str, object]:
        """Return the task's whole result."""
        path = f"/api/v2/dags/real/dagRuns/{run}/taskInstances/act/xcomEntries/return_value"
        return dict(self.scheduler.call("GET", path)["value"])

    def log(self, run: str, attempt: int = 1) -> str:
        """Return the log of one try."""
        file = self.scheduler.home / f"logs/dag_id=real/run_id={run}/task_id=act/attempt={attempt}.log"
        return file.read_text() if file.exists() else ""

    def process(self, name: str) -> int:
        """Return the number of a process of the work."""
        return int((self.traces / name).read_text())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("scheduler")
    for name in ("dags", "project", "traces"):
        (home / name).mkdir()
    (home / "project/modelyard.yaml").write_text("name: doors\n")
    source = DAG_FILE.format(project=str(home / "project"), traces=str(home / "traces"))
    (home / "dags/real.py").write_text(source)
    scheduler = Scheduler(home)
    try:
        scheduler.start()
        yield Stage(scheduler, home / "traces")
    finally:
        scheduler.stop()


def _fields(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return ["X", "0"]


def _alive(pid: int) -> bool:
    return _fields(pid)[0] not in "ZX"


def test_a_task_succeeds_and_shows_its_work(stage: Stage) -> None:
    run = stage.begin()
    assert eventually(lambda: "under way" in stage.log(run), 30)
    (stage.traces / "go").touch()

    assert eventually(lambda: stage.state(run) == "success", 60)
    assert stage.published(run) == {"turns": 0, "generation": 1, "model": "models:/m/1", "rows": 7}


def test_marking_a_task_failed_ends_the_work_and_all_its_processes(stage: Stage) -> None:
    run = stage.begin()
    worker, grandchild = stage.process("worker"), stage.process("grandchild")
    stage.scheduler.call("PATCH", f"/api/v2/dags/real/dagRuns/{run}/taskInstances/act", {"new_state": "failed"})

    # Airflow tells the task at its next heartbeat, which comes every five seconds.
    assert eventually(lambda: not _alive(worker) and not _alive(grandchild), 20)
    assert stage.state(run) == "failed"


def test_a_task_whose_worker_is_killed_attaches_to_its_work(stage: Stage) -> None:
    run = stage.begin()
    worker = stage.process("worker")
    runner = int(_fields(worker)[1])
    for pid in (int(_fields(runner)[1]), runner):
        os.kill(pid, signal.SIGKILL)

    assert eventually(lambda: stage.tries(run) == 2 and stage.state(run) == "running", 120)
    assert _alive(worker)
    (stage.traces / "go").touch()
    assert eventually(lambda: stage.state(run) == "success", 60)
    assert stage.published(run) == {"turns": 0, "generation": 1, "model": "models:/m/1", "rows": 7}
    assert [each.name for each in stage.traces.glob("turn-*")] == ["turn-0"]
    assert "under way" in stage.log(run, attempt=2)
