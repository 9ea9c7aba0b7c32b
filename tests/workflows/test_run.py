import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations import OperationContext
from modelyard.projects.dispatch import acknowledge, dispatch, journal_of
from modelyard.workflows import NotAWorkflow, StepFailed
from modelyard.workflows.engines.local import LocalEngine
from modelyard.workflows.record import WorkflowRecords
from modelyard.workflows.run import RunResult, run


def start(traced: Any, workflow: str = "main", key: str = "k", **parameters: Any) -> dict[str, Any]:
    given = {"workflow": workflow, "parameters": parameters}
    return dispatch("run", given, project=traced.root, key=key).result


def test_the_result_has_every_step(traced: Any) -> None:
    result = start(traced, month=8)
    assert result["workflow_run"] == "k"
    assert result["steps"] == {"one": "succeeded", "two": "succeeded", "three": "succeeded"}
    assert result["results"]["two"]["value"]["month"] == 8
    states = {record.key: record.state for record in journal_of(traced.root).records()}
    assert states == {
        "k": "succeeded",
        "traced/k/one": "succeeded",
        "traced/k/two": "succeeded",
        "traced/k/three": "succeeded",
    }


def test_an_unacknowledged_run_is_attached_to_and_an_acknowledged_one_starts_anew(traced: Any) -> None:
    first = start(traced)
    assert start(traced) == first
    assert traced.ran == ["one", "two", "three"]
    acknowledge("k", project=traced.root)
    second = start(traced)
    assert second["workflow_run"] == "k.2"
    assert traced.ran == ["one", "two", "three"] * 2


def test_a_failed_run_continues_where_it_was(traced: Any) -> None:
    traced.told("fail").touch()
    with pytest.raises(StepFailed, match="two is told to fail"):
        start(traced)
    traced.told("fail").unlink()
    assert start(traced)["workflow_run"] == "k"
    assert traced.ran == ["one", "two", "two", "three"]


def test_a_killed_run_continues_where_it_was(traced: Any) -> None:
    words = ("run", "main", "--key", "k", "--json", "--project", str(traced.root))
    command = [sys.executable, "-m", "modelyard.cli", *words]
    traced.told("kill").touch()
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert traced.ran == ["one", "two"]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["steps"] == {"one": "succeeded", "two": "succeeded", "three": "succeeded"}
    assert traced.ran == ["one", "two", "two", "three"]


@pytest.mark.parametrize("launcher", ["inline", "process"])
def test_a_cancelled_run_continues_where_it_was(traced: Any, launcher: str) -> None:
    words = ("run", "main", "--key", "k", "--json", "--project", str(traced.root), "--launcher", launcher)
    traced.told("hang").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "modelyard.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 120
    while traced.ran != ["one", "two"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    journal = journal_of(traced.root)
    states = {record.key: record.state for record in journal.records()}
    assert states == {"k": "cancelled", "traced/k/one": "succeeded", "traced/k/two": "cancelled"}
    traced.told("hang").unlink()
    assert start(traced)["steps"] == {"one": "succeeded", "two": "succeeded", "three": "succeeded"}
    assert traced.ran == ["one", "two", "two", "three"]


def test_a_kill_between_the_last_step_and_the_result_repeats_nothing(
    traced: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # First before the outcome is on disk, then after some of the steps' keys were acknowledged.
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(WorkflowRecords, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            start(traced)
    acknowledged: list[str] = []

    def once(self: LocalEngine, outcome: Any) -> None:
        first = next(iter(outcome.results))
        acknowledge(self._key(first), project=traced.root)
        acknowledged.append(first)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LocalEngine, "acknowledge", once)
        with pytest.raises(KeyboardInterrupt):
            start(traced)
    assert acknowledged == ["one"]
    assert start(traced)["steps"]["three"] == "succeeded"
    assert traced.ran == ["one", "two", "three"]


def test_the_largest_results_are_left_out_when_there_is_no_room(traced: Any) -> None:
    results = start(traced, "heavy")["results"]
    assert results["larger"] == {"left_out": "35021 bytes; the step's own result has them"}
    assert len(results["large"]["value"]["text"]) == 30000
    assert results["small"] == {"value": {"text": "x" * 10}}


@pytest.mark.parametrize(
    ("workflow", "parameters", "kind", "words"),
    [
        ("mian", {}, ErrorKind.NOT_FOUND, "there is no workflow 'mian'. Did you mean main?"),
        ("main", {"mnth": 7}, ErrorKind.INVALID, "workflow main has no parameter 'mnth'. Did you mean month?"),
        ("main", {"month": "July"}, ErrorKind.INVALID, 'month: must be a whole number, got "July"'),
    ],
)
def test_what_does_not_fit_is_refused_before_a_step_runs(
    traced: Any, workflow: str, parameters: dict[str, Any], kind: ErrorKind, words: str
) -> None:
    with pytest.raises(ModelyardError) as refused:
        start(traced, workflow, **parameters)
    assert refused.value.error_kind is kind
    assert words in str(refused.value)
    assert traced.ran == []


def test_a_name_that_leads_to_something_else_is_refused(traced: Any) -> None:
    with pytest.raises(NotAWorkflow, match="not_one must be a workflow, got int"):
        start(traced, "not_one")


def test_in_a_process_of_its_own_all_steps_run_from_one_snapshot(traced: Any) -> None:
    given = {"workflow": "main"}
    completed = dispatch("run", given, project=traced.root, key="k", launcher="process")
    assert completed.result["steps"]["three"] == "succeeded"
    journal = journal_of(traced.root)
    projects = set()
    for step in ("one", "two", "three"):
        record = journal.record(f"traced/k/{step}")
        assert record is not None
        projects.add(journal.job(record).request().project)
    assert len(projects) == 1
    assert projects != {str(traced.root)}


def test_without_a_key_a_run_has_a_name_of_its_own(traced: Any, tmp_path: Path) -> None:
    context = OperationContext(project=str(traced.root), folder=tmp_path)
    first, second = run(context, workflow="main"), run(context, workflow="main")
    assert isinstance(first, RunResult)
    assert first.workflow_run != second.workflow_run
    assert traced.ran == ["one", "two", "three"] * 2
