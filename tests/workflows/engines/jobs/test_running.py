"""What a job does of a workflow, and what it leaves; the meaning of a run is in the contract of all engines."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.ci.redaction import Redaction
from modelyard.errors import ErrorKind
from modelyard.workflows import StepFailed, WorkflowInvalid
from modelyard.workflows.engines.jobs import JobRun

Runs = Callable[..., JobRun]


def left(project: Path) -> list[str]:
    folder = project / "handed"
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())


def test_files_are_handed_on_to_machines_that_have_nothing_else(job_run: Runs, project: Path) -> None:
    (project / "data").mkdir()
    (project / "data/old").write_text("from git")
    assert job_run("handing", {"text": "ä"}, files=["data"]).do("write") == "succeeded"
    assert left(project) == [".gitignore", "step-write/ends/write.json", "step-write/files/data/text"]
    shutil.rmtree(project / "data")
    (project / "data").mkdir()
    assert job_run("handing", {"text": "ä"}, files=["data"]).do("read") == "succeeded"
    end = json.loads((project / "handed/step-read/ends/read.json").read_text())
    assert end == {"result": {"value": {"text": "ä"}}}
    assert not (project / "handed/step-read/files").exists()


@pytest.mark.parametrize("path", ["/etc", "../other", ""])
def test_files_of_others_are_not_handed_on(job_run: Runs, path: str) -> None:
    with pytest.raises(WorkflowInvalid, match="does not lie in the project"):
        job_run("handing", files=[path]).do("write")


def test_a_branch_that_is_not_taken_is_skipped(job_run: Runs) -> None:
    run = job_run("branching")
    assert [run.do(part) for part in ("yes", "no", "all")] == ["skipped", "succeeded", "succeeded"]
    outcome = run.finish()
    assert outcome.states == {"yes": "skipped", "no": "succeeded", "all": "succeeded", "told": "succeeded"}
    assert outcome.results["all"] == {"value": {"got": 2}}
    assert outcome.results["told"] == {"value": {"state": "succeeded", "error": ""}}


def test_a_job_that_left_nothing_is_lost(job_run: Runs, project: Path) -> None:
    run = job_run("branching")
    run.do("yes")
    with pytest.raises(StepFailed) as failed:
        run.finish()
    assert failed.value.error_kind is ErrorKind.LOST
    assert failed.value.left.states == {"yes": "skipped", "no": "failed", "all": "blocked", "told": "succeeded"}
    told = failed.value.left.results["told"]["value"]
    assert told["state"] == "failed"
    assert "its job has left no result" in told["error"]
    assert run.folder.outcome("workflow-finish") == failed.value.left


def test_a_job_without_what_it_needs_says_so(job_run: Runs, project: Path) -> None:
    with pytest.raises(WorkflowInvalid) as missing:
        job_run("handing").do("read")
    assert str(missing.value) == (
        f"{project}/handed: read cannot start: the results that it needs are not there. "
        "Put what the jobs before have left into this folder."
    )


def test_a_failed_job_leaves_why_and_another_attempt_does_it_again(job_run: Runs, project: Path) -> None:
    with pytest.raises(StepFailed, match="this is wrong") as failed:
        job_run("failing", {"word": "this is wrong"}).do("bad")
    assert failed.value.error_kind is ErrorKind.USER_CODE
    end = json.loads((project / "handed/step-bad/ends/bad.json").read_text())
    assert end["error"]["kind"] == "user_code"
    functions = project / "work/functions.py"
    functions.write_text(functions.read_text().replace("raise ValueError(word)", "return {'mended': word}"))
    again = job_run("failing", {"word": "this is wrong"})
    assert again.do("bad") == "succeeded"
    assert again.finish().results == {"bad": {"value": {"mended": "this is wrong"}}}


def test_what_has_ended_well_is_done_anew_by_another_attempt(job_run: Runs, project: Path) -> None:
    job_run("handing", {"text": "a"}).do("write")
    (project / "data/text").unlink()
    job_run("handing", {"text": "a"}).do("write")
    assert (project / "data/text").read_text() == "a"


def test_a_secret_leaves_no_job(job_run: Runs, project: Path) -> None:
    redact = Redaction(["hunter2hunter2"]).values
    with pytest.raises(WorkflowInvalid, match="its result holds a secret"):
        job_run("revealing", {"word": "hunter2hunter2"}, redact=redact).do("shown")
    with pytest.raises(StepFailed) as failed:
        job_run("revealing", {"word": "hunter2hunter2"}, redact=redact).finish()
    assert failed.value.left.results == {"told": {"value": {"word": "***"}}}
    with pytest.raises(StepFailed):
        job_run("failing", {"word": "hunter2hunter2"}, redact=redact).do("bad")
    assert [path for path in left(project) if "hunter2" in (project / "handed" / path).read_text()] == []
    assert "***" in (project / "handed/step-bad/ends/bad.json").read_text()
