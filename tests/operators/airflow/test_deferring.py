"""Tasks that hand their work over to the triggerer: same results, same errors, and an end with the task."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from act_operator import ActOperator
from airflow.sdk import DAG
from airflow_home import Runs, eventually, needs_main_environment

from modelyard.airflow.work_trigger import WorkTrigger
from modelyard.operations import ParameterInvalid
from modelyard.operations.handles import Handle
from modelyard.operations.launchers.registry import launcher_of
from modelyard.operators.airflow import OperationOperator
from modelyard.projects.dispatch import submit

pytestmark = needs_main_environment


def _gone(file: Path) -> bool:
    """Whether the process whose number is in a file has ended."""
    try:
        state = Path(f"/proc/{file.read_text()}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in "ZX"


@pytest.fixture
def triggers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what the triggers that are made are made of."""
    made: list[dict[str, Any]] = []
    initialise = WorkTrigger.__init__

    def told(self: WorkTrigger, *arguments: Any, **named: Any) -> None:
        initialise(self, *arguments, **named)
        made.append(self.serialize()[1])

    monkeypatch.setattr(WorkTrigger, "__init__", told)
    return made


@pytest.fixture
def handle(project: Path, traces: Path) -> Iterator[Handle]:
    """Return the handle of work that waits."""
    parameters = {"folder": str(traces), "behaviour": "wait", "rows": 3}
    found = submit("act", parameters, project=project, key="deferred", python=os.environ["MODELYARD_PYTHON"])
    assert eventually((traces / "worker").exists)
    yield found
    launcher_of(found).cancel(found)


async def _event(trigger: WorkTrigger) -> Any:
    async for event in trigger.run():
        return event.payload
    return None


def test_a_deferred_task_publishes_what_any_other_does(
    runs: Runs, project: Path, traces: Path, triggers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(OperationOperator, "_tell", lambda operator, line: told.append(line))
    threading.Thread(target=lambda: eventually(lambda: bool(triggers)) and (traces / "go").touch()).start()
    with DAG("defers", schedule=None) as dag:
        ActOperator(
            task_id="act",
            project=str(project),
            folder=str(traces),
            behaviour="wait",
            rows=5,
            lines=["under way"],
            deferrable=True,
            same_host=True,
        )
    run = runs.run(dag)

    assert runs.states(run) == {"act": "success"}
    assert runs.xcom(run, "act") == {"turns": 0, "generation": 1, "model": "models:/m/1", "rows": 5}
    assert runs.xcom(run, "act", "rows") == 5
    assert {each["handle"]["key"] for each in triggers} == {f"defers/{run.run_id}/act"}
    assert sum("under way" in line for line in told) == 1
    # The key is acknowledged: the same run again does the work anew.
    run = runs.run(dag, at=run.logical_date)
    assert (runs.xcom(run, "act", "turns"), runs.xcom(run, "act", "generation")) == (1, 2)


def test_work_that_has_ended_is_not_deferred(
    runs: Runs, project: Path, traces: Path, triggers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "modelyard.operators.airflow.operation.is_finished",
        lambda handle: eventually(lambda: launcher_of(handle).poll(handle).finished),
    )
    with DAG("ended_already", schedule=None) as dag:
        ActOperator(task_id="act", project=str(project), folder=str(traces), rows=2, deferrable=True, same_host=True)
    run = runs.run(dag)

    assert runs.xcom(run, "act", "rows") == 2
    assert triggers == []


@pytest.mark.parametrize(
    ("behaviour", "message", "tries"),
    [("wrong", "door: the number is wrong. Look it up.", 1), ("busy", "door: the line is busy. Call again.", 2)],
)
def test_errors_are_as_without_deferring(
    runs: Runs, project: Path, traces: Path, behaviour: str, message: str, tries: int
) -> None:
    errors: list[str] = []
    with DAG(f"deferred_{behaviour}", schedule=None) as dag:
        ActOperator(
            task_id="act",
            project=str(project),
            folder=str(traces),
            behaviour=behaviour,
            deferrable=True,
            same_host=True,
            retries=1,
            retry_delay=timedelta(0),
            on_failure_callback=lambda context: errors.append(str(context["exception"])),
        )
    run = runs.run(dag)

    assert (runs.states(run), runs.tries(run)) == ({"act": "failed"}, {"act": tries})
    assert errors == [message]


def test_the_execution_timeout_ends_deferred_work_and_the_next_try_starts_again(
    runs: Runs, project: Path, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def now() -> float:
        is_over = (traces / "worker").exists() and not (traces / "go").exists()
        return time.time() + 1000 * is_over

    monkeypatch.setattr("modelyard.airflow.work_trigger.time", SimpleNamespace(time=now))
    with DAG("deferred_too_long", schedule=None) as dag:
        ActOperator(
            task_id="act",
            project=str(project),
            folder=str(traces),
            behaviour="wait",
            deferrable=True,
            same_host=True,
            execution_timeout=timedelta(seconds=100),
            retries=1,
            retry_delay=timedelta(0),
            on_retry_callback=lambda context: (traces / "go").write_text(str(context["exception"])),
        )
    run = runs.run(dag)

    assert (runs.states(run), runs.tries(run)) == ({"act": "success"}, {"act": 2})
    assert runs.xcom(run, "act", "turns") == 1
    assert (traces / "go").read_text() == "the execution_timeout of 0:01:40 is over; the work was ended"


def test_the_trigger_survives_being_written_down_and_follows_the_work(handle: Handle, traces: Path) -> None:
    trigger = WorkTrigger(msgspec.to_builtins(handle), None, 0.02)
    path, facts = trigger.serialize()
    again = WorkTrigger(**msgspec.json.decode(msgspec.json.encode(facts)))
    threading.Timer(0.5, (traces / "go").touch).start()

    assert path == f"{WorkTrigger.__module__}.WorkTrigger"
    assert asyncio.run(_event(again)) == {"handle": msgspec.to_builtins(handle), "state": "succeeded"}


def test_the_trigger_ends_the_work_when_its_task_is_marked_or_cleared(handle: Handle, traces: Path) -> None:
    asyncio.run(WorkTrigger(msgspec.to_builtins(handle)).on_kill())

    assert launcher_of(handle).poll(handle) == "cancelled"
    assert _gone(traces / "worker")
    assert _gone(traces / "grandchild")


def test_cleaning_up_a_trigger_leaves_the_work_alone(handle: Handle, traces: Path) -> None:
    asyncio.run(WorkTrigger(msgspec.to_builtins(handle)).cleanup())

    assert launcher_of(handle).poll(handle) == "running"
    assert not _gone(traces / "worker")


def test_the_trigger_tells_of_work_that_was_cancelled_or_lost(handle: Handle, traces: Path) -> None:
    os.killpg(handle.group, 9)
    facts = msgspec.to_builtins(handle)

    assert asyncio.run(_event(WorkTrigger(facts, None, 0.02)))["state"] == "lost"
    (Path(handle.folder) / "cancel").touch()
    assert asyncio.run(_event(WorkTrigger(facts, None, 0.02)))["state"] == "cancelled"


def test_the_trigger_does_not_look_for_work_on_another_host(handle: Handle) -> None:
    facts = {**msgspec.to_builtins(handle), "boot": "another"}

    assert asyncio.run(_event(WorkTrigger(facts))) == {"handle": facts, "unseen": True}


@pytest.mark.parametrize("arguments", [{"same_host": False}, {"same_host": True, "launcher": "inline"}])
def test_deferring_where_nobody_could_follow_is_refused_while_the_dag_file_is_read(arguments: dict[str, Any]) -> None:
    with pytest.raises(ParameterInvalid, match="deferrable: must be false, unless the launcher is process and same_"):
        ActOperator(task_id="act", folder="", deferrable=True, **arguments)


def test_airflows_own_default_counts_where_deferring_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ActOperator(task_id="act", folder="", same_host=True).deferrable is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")

    assert ActOperator(task_id="act", folder="", same_host=True).deferrable is True
    assert ActOperator(task_id="act", folder="").deferrable is False
