"""Steps side by side, time limits, retries, cached results, exit handlers, and runs that go on where they were."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import ErrorKind
from modelyard.projects import open_project
from modelyard.projects.dispatch import journal_of
from modelyard.workflows import StepFailed, Workflow, WorkflowOutcome
from modelyard.workflows.engines import LocalEngine

FUNCTIONS = '''
import os
import time
from pathlib import Path

ROOT = Path("{root}")


def note(word):
    with (ROOT / "ran").open("a") as file:
        file.write(f"{word}\\n")


def meet(name, other):
    """Succeed only while another call is under way."""
    (ROOT / f"here-{name}").touch()
    end = time.monotonic() + 120
    while not (ROOT / f"here-{other}").exists():
        if time.monotonic() > end:
            raise TimeoutError(f"{name} waits for {other} in vain")
        time.sleep(0.01)
    return {"pid": os.getpid()}


def pid():
    return {"pid": os.getpid()}


def turn(item):
    note(f"begin-{item}")
    while (ROOT / f"hold-{item}").exists():
        time.sleep(0.02)
    note(f"end-{item}")
    return {"item": item}


def slow(seconds):
    (ROOT / "worker").write_text(str(os.getpid()))
    note("slow")
    time.sleep(seconds)
    return {}


def read(path):
    note("read")
    return {"text": (ROOT / path).read_text()}


def fail_while(file):
    note("fail-while")
    if (ROOT / file).exists():
        raise RuntimeError("not yet")
    return {"done": True}


def tell(state, error, run):
    note(f"told-{state}")
    return {"state": state, "error": error, "run": run}
'''
FLOWS = """
from modelyard.workflows import collect, each, exit_status, steps, workflow


def call(name, function, /, settings=None, **parameters):
    return steps(name=name, **(settings or {})).call(function=f"work.functions:{function}", parameters=parameters)


@workflow
def together():
    left = call("left", "meet", name="left", other="right")
    right = call("right", "meet", name="right", other="left")
    call("alone", "pid")


@workflow
def turns(items: list[int]):
    with each(items) as item:
        made = call("turn", "turn", item=item)
    call("all", "read", path="word")


@workflow
def one_by_one(items: list[int]):
    with each(items, parallel=1) as item:
        call("turn", "turn", item=item)


@workflow
def limited():
    call("slow", "slow", {"timeout": 1, "retries": 1}, seconds=60)


@workflow
def cached(word: str = "a"):
    call("read", "read", {"cache": True}, path="word")
    call("again", "read", path="word")


@workflow
def handled():
    call("risky", "fail_while", file="trouble")
    call("told", "tell", {"on_exit": True}, **{k: exit_status[n] for k, n in
        (("state", "state"), ("error", "error"), ("run", "workflow_run"))})
"""


class Place:
    """The project, and what ran in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def ran(self) -> list[str]:
        """What the functions have noted, in order."""
        file = self.root / "ran"
        return file.read_text().split() if file.exists() else []

    def flow(self, name: str) -> Workflow:
        """Return a workflow."""
        found = open_project(str(self.root)).load_workflow(f"work.flows:{name}")
        assert isinstance(found, Workflow)
        return found

    def run(self, name: str, run: str = "r", **inputs: Any) -> WorkflowOutcome:
        """Run a workflow to its end."""
        flow = self.flow(name)
        engine = LocalEngine(project=str(self.root), project_name="work", workflow_run=run, workers=4)
        return engine.run(flow, flow.bind(inputs))

    def command(self, name: str, *words: str) -> list[str]:
        """Return the command that runs a workflow under the key ``k``."""
        given = ("--key", "k", "--json", "--project", str(self.root), *words)
        return [sys.executable, "-m", "modelyard.cli", "run", f"work.flows:{name}", *given]

    def wait_for(self, words: set[str], seconds: float = 120) -> None:
        """Wait until the functions have noted some words."""
        deadline = time.monotonic() + seconds
        while not words <= set(self.ran):
            assert time.monotonic() < deadline, self.ran
            time.sleep(0.02)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    root = tmp_path / "place"
    (root / "work").mkdir(parents=True)
    (root / "modelyard.yaml").write_text("name: work\n")
    (root / ".gitignore").write_text("ran\nhere-*\nhold-*\nworker\nword\ntrouble\n")
    (root / "work/__init__.py").touch()
    (root / "work/functions.py").write_text(FUNCTIONS.replace("{root}", str(root)))
    (root / "work/flows.py").write_text(FLOWS)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return Place(root)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_steps_that_need_nothing_of_each_other_run_at_the_same_time_in_processes_of_their_own(place: Place) -> None:
    results = place.run("together").results
    pids = {results[name]["value"]["pid"] for name in ("left", "right", "alone")}
    assert len(pids) == 3
    assert os.getpid() not in pids


def test_a_step_that_is_alone_runs_here(place: Place) -> None:
    flow = place.flow("together")
    alone = Workflow("alone", (flow.step("alone"),))
    engine = LocalEngine(project=str(place.root), project_name="work", workflow_run="r")
    assert engine.run(alone, {}).results["alone"]["value"]["pid"] == os.getpid()


def test_a_loop_keeps_no_more_turns_at_work_than_it_may(place: Place) -> None:
    place.run("one_by_one", items=[3, 1, 2])
    assert place.ran == ["begin-3", "end-3", "begin-1", "end-1", "begin-2", "end-2"]


def test_a_run_killed_in_the_midst_of_a_loop_goes_on_where_it_was(place: Place) -> None:
    (place.root / "word").write_text("x")
    (place.root / "hold-2").touch()
    command = place.command("turns", "--param", "items=[0, 1, 2]")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    place.wait_for({"end-0", "end-1", "begin-2"})
    process.kill()
    process.wait()
    (place.root / "hold-2").unlink()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    # The turn that was under way outlived the command: it is attached to, not begun anew.
    assert sorted(place.ran) == ["begin-0", "begin-1", "begin-2", "end-0", "end-1", "end-2", "read"]
    assert json.loads(again.stdout)["steps"] == {
        **{f"turn[{index}]": "succeeded" for index in range(3)},
        "all": "succeeded",
    }


def test_ctrl_c_ends_what_is_under_way_and_the_run_can_go_on(place: Place) -> None:
    (place.root / "word").write_text("x")
    for index in (1, 2):
        (place.root / f"hold-{index}").touch()
    command = place.command("turns", "--param", "items=[0, 1, 2]")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    place.wait_for({"end-0", "begin-1", "begin-2"} if (os.cpu_count() or 1) > 2 else {"end-0", "begin-1"})
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    states = {record.key: record.state for record in journal_of(place.root).records()}
    assert states["work/k/turn[0]"] == "succeeded"
    assert states["work/k/turn[1]"] == "cancelled"
    for index in (1, 2):
        (place.root / f"hold-{index}").unlink()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert (place.ran.count("begin-0"), place.ran.count("begin-1")) == (1, 2)


def test_a_step_that_takes_too_long_is_ended_and_tried_again(place: Place) -> None:
    with pytest.raises(StepFailed) as failed:
        place.run("limited")
    assert failed.value.error_kind is ErrorKind.TIMEOUT
    assert str(failed.value) == (
        "workflow limited, step slow: it took longer than 1 s. Give it more time: steps(timeout=…)."
    )
    # On a busy machine the second is over before the function begins: the journal knows of both tries all the same.
    (record,) = journal_of(place.root).records()
    handle = journal_of(place.root).job(record).handle()
    assert (record.newest.number, record.state) == (2, "cancelled")
    assert handle is not None
    assert _gone(handle.pid)


def test_a_cached_result_is_taken_until_the_projects_content_changes(place: Place) -> None:
    (place.root / "word").write_text("one")
    assert place.run("cached", "r1").results["read"]["value"] == {"text": "one"}
    (place.root / "word").write_text("two")
    second = place.run("cached", "r2").results
    assert (second["read"]["value"], second["again"]["value"]) == ({"text": "one"}, {"text": "two"})
    assert place.ran == ["read"] * 3
    (place.root / "work/more.py").write_text("x = 1\n")
    assert place.run("cached", "r3").results["read"]["value"] == {"text": "two"}


def test_the_exit_handler_runs_again_when_a_run_that_failed_goes_on(place: Place) -> None:
    (place.root / "trouble").touch()
    with pytest.raises(StepFailed) as failed:
        place.run("handled")
    left = failed.value.left
    assert left.states == {"risky": "failed", "told": "succeeded"}
    assert left.results["told"]["value"]["state"] == "failed"
    assert left.results["told"]["value"]["error"].startswith("risky: ")
    assert "RuntimeError: not yet" in left.results["told"]["value"]["error"]
    assert failed.value.facts["failures"] == [
        {"step": "risky", "kind": "user_code", "message": left.failures[0].message}
    ]
    with pytest.raises(StepFailed):
        place.run("handled")
    (place.root / "trouble").unlink()
    assert place.run("handled").results["told"]["value"] == {"state": "succeeded", "error": "", "run": "r"}
    assert place.ran == ["fail-while", "told-failed", "fail-while", "told-failed", "fail-while", "told-succeeded"]
