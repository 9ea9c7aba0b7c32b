import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import ErrorKind, ForeignError
from modelyard.operations import OperationCancelled, OperationNotFound, ParameterInvalid, ParameterMissing
from modelyard.operations.handles import Handle
from modelyard.operations.states import RunState
from modelyard.projects import EnvironmentNotFound, FunctionNotFound, InterpreterInvalid, ProjectNotFound, StateNotLocal
from modelyard.projects.dispatch import acknowledge, cancel, dispatch, journal_of
from modelyard.projects.errors import UserFunctionFailed

Write = Callable[..., Path]

WORK = """
import os, sys, time
from pathlib import Path

def note(word, value=None, until=""):
    with open(word, "a") as ledger:
        print("noted", file=ledger)
    print("working on", value, flush=True)
    while until and not Path(until).exists():
        time.sleep(0.005)
    return {"value": value, "file": __file__, "python": sys.executable, "variable": os.environ.get("A_VARIABLE")}

def boom():
    raise LookupError("no")
"""
YAML = """
name: tiny
functions:
  note: {handler: "work:note"}
  boom: {handler: "work:boom"}
environments:
  dev: {}
  far: {state: "s3://bucket/state"}
  other: {state: ".other"}
"""


@pytest.fixture
def project(write: Write) -> Path:
    return write({"modelyard.yaml": YAML, "work.py": WORK})


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_inline_the_project_itself_runs_here(project: Path, ledger: Path) -> None:
    parameters = {"function": "note", "parameters": {"word": str(ledger), "value": 7}}
    done = dispatch("call", parameters, project=project)

    assert done.result["value"] == {
        "value": 7,
        "file": str(project / "work.py"),
        "python": sys.executable,
        "variable": None,
    }
    assert done.key.startswith("once-")
    assert (done.generation, done.handle.pid) == (1, os.getpid())
    assert (project / ".modelyard/.gitignore").read_text() == "*\n"


def test_in_a_process_a_snapshot_runs(project: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_VARIABLE", "passed")
    lines: list[str] = []
    handles: list[Handle] = []

    def on_log(line: str) -> None:
        lines.append(line)
        (project / "work.py").write_text("raise SystemExit('changed while it runs')")

    parameters = {"function": "note", "parameters": {"word": str(ledger), "value": "ü"}}
    done = dispatch(
        "call", parameters, project=str(project), launcher="process", on_log=on_log, on_start=handles.append
    )

    assert (done.result["value"]["value"], done.result["value"]["variable"]) == ("ü", "passed")
    assert done.result["value"]["file"] == f"{done.handle.folder}/project/work.py"
    assert not Path(done.handle.folder, "project").exists()
    assert lines == ["working on ü"]
    assert [handle.folder for handle in handles] == [done.handle.folder]


@pytest.mark.parametrize("launcher", ["inline", "process"])
def test_a_key_deduplicates_until_its_result_is_acknowledged(project: Path, ledger: Path, launcher: str) -> None:
    def start() -> tuple[str, int]:
        parameters = {"function": "note", "parameters": {"word": str(ledger)}}
        done = dispatch("call", parameters, project=project, workflow_run="r1", step="note", launcher=launcher)
        return done.key, done.generation

    assert [start(), start()] == [("tiny/r1/note", 1)] * 2
    assert ledger.read_text() == "noted\n"
    assert acknowledge("tiny/r1/note", project=project, generation=1)
    assert start() == ("tiny/r1/note", 2)
    assert ledger.read_text() == "noted\n" * 2
    record = journal_of(project).record("tiny/r1/note", 1)
    assert record is not None
    assert record.acknowledged is not None


def test_the_two_launchers_share_the_journal(project: Path, ledger: Path) -> None:
    parameters = {"function": "note", "parameters": {"word": str(ledger), "value": 1}}
    first = dispatch("call", parameters, project=project, key="k", launcher="process")
    second = dispatch("call", parameters, project=project, key="k", launcher="inline")

    assert second == first
    assert ledger.read_text() == "noted\n"
    assert acknowledge(second)
    assert dispatch("call", parameters, project=project, key="k").generation == 2


def test_an_error_is_the_original_inline_and_foreign_from_a_process(project: Path) -> None:
    with pytest.raises(UserFunctionFailed, match=r"^work\.py:\d+: boom raised LookupError: no\."):
        dispatch("call", {"function": "boom"}, project=project)
    with pytest.raises(ForeignError, match=r"^work\.py:\d+: boom raised LookupError: no\.") as raised:
        dispatch("call", {"function": "boom"}, project=project, launcher="process")
    assert (raised.value.error_kind, raised.value.original.type) == (ErrorKind.USER_CODE, "UserFunctionFailed")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"operation": "cal"}, OperationNotFound),
        ({"parameters": {}}, ParameterMissing),
        ({"parameters": {"function": 7}}, ParameterInvalid),
        ({"project": "/nowhere"}, ProjectNotFound),
        ({"environment": "prd"}, EnvironmentNotFound),
        ({"environment": "far"}, StateNotLocal),
        ({"launcher": "kubernetes"}, ParameterInvalid),
        ({"python": sys.executable}, ParameterInvalid),
        ({"launcher": "process", "parameters": {"function": "nte"}}, FunctionNotFound),
    ],
)
def test_what_cannot_run_starts_nothing(project: Path, change: dict[str, Any], error: type[Exception]) -> None:
    call: dict[str, Any] = {"operation": "call", "parameters": {"function": "note"}, "project": project, **change}
    with pytest.raises(error):
        dispatch(**call)
    journal = project / ".modelyard/journal"
    assert not journal.exists() or list(journal.iterdir()) == []


def test_environments_have_journals_of_their_own(project: Path, ledger: Path) -> None:
    for environment in ("dev", "other"):
        parameters = {"function": "note", "parameters": {"word": str(ledger)}}
        done = dispatch("call", parameters, project=project, environment=environment, key="k")
        assert done.generation == 1
    assert ledger.read_text() == "noted\n" * 2
    assert (project / ".other/journal").is_dir()


def test_a_run_can_be_cancelled_by_its_handle(project: Path, ledger: Path, tmp_path: Path) -> None:
    """As an operator's on_kill does, in the middle of the wait."""
    handles: list[Handle] = []

    def kill() -> None:
        wait_until(lambda: bool(handles) and ledger.exists())
        assert cancel(handles[0]) is RunState.CANCELLED

    killer = threading.Thread(target=kill)
    killer.start()
    parameters = {"function": "note", "parameters": {"word": str(ledger), "until": str(tmp_path / "never")}}
    with pytest.raises(OperationCancelled):
        dispatch("call", parameters, project=project, launcher="process", on_start=handles.append)
    killer.join()


CLIENT = """
import sys
from modelyard.projects.dispatch import dispatch
parameters = {"function": "note", "parameters": {"word": sys.argv[2], "until": sys.argv[3]}}
try:
    dispatch("call", parameters, project=sys.argv[1], key="k", launcher=sys.argv[4])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("launcher", ["inline", "process"])
def test_ctrl_c_cancels_the_work(project: Path, ledger: Path, tmp_path: Path, launcher: str) -> None:
    command = [sys.executable, "-c", CLIENT, project, ledger, tmp_path / "never", launcher]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        wait_until(ledger.exists)
        client.send_signal(signal.SIGINT)
        assert client.stdout is not None
        assert client.stdout.read().endswith(b"interrupted\n")
    record = journal_of(project).record("k")
    assert record is not None
    assert record.state is RunState.CANCELLED
    handle = journal_of(project).job(record).handle()
    assert handle is not None
    assert handle.leftover_group() == 0


def test_a_killed_client_leaves_work_that_the_next_one_waits_for(project: Path, ledger: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLIENT, project, ledger, tmp_path / "go", "process"]
    with subprocess.Popen(command) as client:
        wait_until(ledger.exists)
        client.kill()
    threading.Timer(0.3, (tmp_path / "go").touch).start()
    parameters = {"function": "note", "parameters": {"word": str(ledger), "until": str(tmp_path / "go")}}
    done = dispatch("call", parameters, project=project, key="k", launcher="process")

    assert (done.generation, done.handle.attempt) == (1, 1)
    assert ledger.read_text() == "noted\n"


def test_the_interpreter_is_the_one_that_is_named(project: Path, ledger: Path, tmp_path: Path) -> None:
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nA_VARIABLE=wrapped exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    parameters = {"function": "note", "parameters": {"word": str(ledger)}}
    done = dispatch("call", parameters, project=project, launcher="process", python=str(python))
    assert done.result["value"]["variable"] == "wrapped"

    (project / "modelyard.yaml").write_text(f"{YAML}  env: {{python: {python}.7, state: .env}}\n")
    with pytest.raises(InterpreterInvalid, match=r"python\.7 cannot be used: No such file"):
        dispatch("call", parameters, project=project, launcher="process", environment="env")
