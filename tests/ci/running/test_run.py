"""A request's models are trained, measured and judged; the project learns in a moment."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_lines import Command
from fake_forge import Forge
from loans_project import git, write_loans

from modelyard.ci.folder import CiFolder
from modelyard.ci.previews import PreviewRecord, PreviewsRecord
from modelyard.ci.records import Baseline, PlanRecord
from modelyard.ci.running.baselines import Baselines, Comparison
from modelyard.ci.running.slimming import slim
from modelyard.projects import open_project
from modelyard.tracking import open_tracking

Job = Callable[..., dict[str, str]]
BASE = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
WORSE = 'USED = ["income"]'


@pytest.fixture
def loans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "loans"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return write_loans(folder)


def change(loans: Path, file: str, old: str, new: str) -> None:
    path = loans / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    git(loans, "commit", "-q", "-a", "-m", "change")


def recorded(loans: Path, name: str = "run") -> Any:
    return json.loads((loans / f".modelyard/ci/{name}.json").read_text())


def test_a_worse_model_fails_its_gate_and_nothing_is_lost(command: Command, loans: Path, tmp_path: Path) -> None:
    """On a fresh machine: the merge base is trained in the same job, and the report says so."""
    change(loans, "loans/training.py", 'USED = ["income", "age"]', WORSE)

    ran = command("ci", "run", "main", "--base", "main")
    assert ran.code == 0, ran.err

    (flow,) = recorded(loans)["workflows"]
    assert flow["states"] == dict.fromkeys(["prepare", "train", "register", "evaluate"], "succeeded")
    assert flow["left_out"] == ["promote", "tell", "deploy"]
    (candidate,) = flow["candidates"]
    assert (candidate["model"], candidate["baseline"]) == ("models:/loans/2", "models:/loans/1")
    assert (candidate["baseline_kind"], candidate["verdict"], candidate["rows"]) == ("merge-base", "worse", 1500)
    base = git(loans, "rev-parse", "main")[:12]
    assert candidate["baseline_note"] == (
        "There is no champion in this environment, so the merge base was trained in this job. "
        f"Compared with the merge base {base}."
    )
    metrics = {each["name"]: each for each in candidate["metrics"]}
    loss = metrics["roc_auc"]["baseline"] - metrics["roc_auc"]["candidate"]
    assert 0.05 < loss < 0.2
    assert metrics["cost"]["greater_is_better"] is False
    assert [(each["gate"], each["held"]) for each in candidate["gates"]] == [
        ("roc_auc >= 0.6", True),
        ("roc_auc >= champion - 0.005", False),
    ]
    assert {each["value"] for each in candidate["slices"]} == {"north", "south"}
    assert [each["role"] for each in candidate["data"]] == ["training"]
    assert candidate["data"][0]["digest"] == candidate["data"][0]["baseline_digest"] != ""
    assert (loans / ".modelyard/ci" / candidate["report"]).read_text().startswith("<!")
    assert not (loans / "announced.txt").exists()

    gate = command("ci", "gate")
    assert gate.code == 6
    assert (
        f"error: 1 gate does not hold: models:/loans/2: roc_auc >= champion - 0.005 ({candidate['gates'][1]['said']})"
        in gate.err
    )
    assert recorded(loans, "gate")["gate"] == "fail"

    report = command("ci", "report", "--dry-run").out
    assert "**Gate failed:** <code>roc&#95;auc &#62;= champion - 0&#46;005&#58; " in report
    assert "so the merge base was trained in this job" in report
    assert '    step_1["train"]' in report


def test_a_champion_is_what_it_is_compared_with(command: Command, loans: Path, github_job: Job, forge: Forge) -> None:
    assert command("ci", "run", "main", "--all", "--baseline", "none", "--input", "rows=600").code == 0
    tracking = open_tracking(open_project(loans).environment(), "loans")
    tracking.registry.point_alias("loans", "champion", 1)
    change(loans, "loans/training.py", "LogisticRegression()", "LogisticRegression(C=0.5)")
    variables = github_job()

    assert (
        command("ci", "run", "main", "--base", "main", "--input", "rows=600", "--gate", "cost <= champion + 1").code
        == 0
    )

    (candidate,) = recorded(loans)["workflows"][0]["candidates"]
    assert (candidate["baseline"], candidate["baseline_kind"]) == ("models:/loans/1", "champion")
    assert [each["held"] for each in candidate["gates"]] == [True, True, True]
    assert candidate["gates"][0]["gate"] == "cost <= champion + 1"
    assert list(recorded(loans)["graphs"]) == ["approve"]  # it is not touched, and it serves the candidate
    assert command("ci", "gate").code == 0
    outputs = Path(variables["GITHUB_OUTPUT"]).read_text()
    assert "\nmodels:/loans/2\n" in outputs
    assert "\npass\n" in outputs
    assert tracking.registry.aliases("loans") == {"champion": 1}  # a request promotes nothing


def test_a_change_of_the_text_trains_nothing(command: Command, loans: Path) -> None:
    (loans / "README.md").write_text("Loans, explained.\n")
    git(loans, "commit", "-q", "-a", "-m", "docs")
    ran = command("ci", "run", "--base", "main")

    assert (ran.code, ran.out) == (0, "No model was measured.\n")
    assert recorded(loans)["workflows"] == []
    assert not (loans / ".modelyard/mlflow.db").exists()
    assert command("ci", "gate").code == 0
    assert recorded(loans, "gate")["gate"] == "none"
    promoted = command("ci", "promote")
    assert (promoted.code, promoted.out) == (0, "No model was measured.\n")
    assert command("ci", "promote", "--dry-run").out == "No model was measured.\n"


def test_a_function_that_raises_is_told_with_its_line(
    command: Command, loans: Path, github_job: Job, forge: Forge
) -> None:
    change(
        loans, "loans/training.py", "    import numpy as np\n", "    raise ValueError('no loans, password=hunter22')\n"
    )
    github_job(DB_PASSWORD="hunter22")
    ran = command("ci", "run", "main", "--baseline", "none", "--base", "main")

    assert ran.code == 7
    # The journal, which has the traceback, is no artifact: the job's own log must have it, too.
    assert re.search(r'  File ".*/loans/training\.py", line 10, in fit\n', ran.err)
    assert (" ValueError: no loans, password=***\n" in ran.err, "hunter22" in ran.err) == (True, False)
    (failure,) = recorded(loans)["workflows"][0]["failures"]
    assert (failure["step"], failure["kind"], failure["path"], failure["line"]) == (
        "train",
        "user_code",
        "loans/training.py",
        10,
    )
    assert failure["message"].endswith("fit raised ValueError: no loans, password=***. The log has the traceback.")
    assert command("ci", "gate").code == 7
    reported = command("ci", "report")
    assert reported.code == 0
    assert "::error file=loans/training.py,line=10,title=train failed::" in reported.err
    assert forge.check_runs[0]["output"]["annotations"][0]["start_line"] == 10
    everything = json.dumps(forge.state()) + reported.out + reported.err + ran.out + ran.err
    everything += "".join(path.read_text() for path in (loans / ".modelyard/ci").rglob("*") if path.is_file())
    assert "hunter22" not in everything


def test_a_dry_run_runs_nothing(command: Command, loans: Path) -> None:
    shown = command("ci", "run", "--all", "--dry-run", "--json")
    assert json.loads(shown.out) == [
        {
            "workflow": "main",
            "runs": ["prepare", "train", "register", "evaluate"],
            "left_out": ["promote", "tell", "deploy"],
        },
        {"workflow": "announcing", "runs": [], "left_out": ["tell"]},
        {"workflow": "quick", "runs": ["prepare", "train", "register"], "left_out": []},
    ]
    assert not (loans / ".modelyard").exists()


def test_a_merge_base_that_was_asked_for_and_cannot_be_trained_fails_the_gate(command: Command, loans: Path) -> None:
    """A gate that names the champion must not hold because nobody could look."""
    git(loans, "switch", "-q", "main")
    change(loans, "loans/training.py", "    import numpy as np\n", "    raise ValueError('broken before')\n")
    git(loans, "switch", "-q", "-c", "mending")
    change(loans, "loans/training.py", "    raise ValueError('broken before')\n", "    import numpy as np\n")

    ran = command("ci", "run", "main", "--base", "main", "--baseline", "merge-base", "--input", "rows=300")
    assert ran.code == 0
    (candidate,) = recorded(loans)["workflows"][0]["candidates"]
    assert (candidate["baseline"], candidate["baseline_kind"]) == ("", "none")
    base = git(loans, "rev-parse", "main")[:12]
    reason = f"There is no baseline: the merge base {base} cannot be trained: "
    assert candidate["baseline_note"].startswith(reason)
    assert "fit raised ValueError: broken before" in candidate["baseline_note"]
    measured, compared = candidate["gates"]
    assert (measured["gate"], measured["held"], "judged" in measured) == ("roc_auc >= 0.6", True, False)
    assert (compared["gate"], compared["held"], compared["judged"]) == ("roc_auc >= champion - 0.005", False, False)
    assert compared["said"].endswith(f". {candidate['baseline_note']}")

    gate = command("ci", "gate")
    assert (gate.code, f"roc_auc >= champion - 0.005 ({compared['said']})" in gate.err) == (6, True)
    report = command("ci", "report", "--dry-run").out
    assert "**Gate failed:** <code>roc&#95;auc &#62;= champion - 0&#46;005&#58; could not be judged&#58; " in report
    assert "| **could not be judged** |" in report


def test_what_the_merge_base_did_not_have_yet_is_no_failure(command: Command, loans: Path) -> None:
    """The first request that brings a workflow, or the project itself, has nothing to be compared with."""
    text = (loans / "modelyard.yaml").read_text()
    (loans / "modelyard.yaml").write_text(text.replace("  quick: loans.flows:quick\n", ""))
    git(loans, "commit", "-q", "-a", "-m", "without")
    without = git(loans, "rev-parse", "HEAD")
    git(loans, "rm", "-q", "modelyard.yaml")
    git(loans, "commit", "-q", "-m", "nothing")
    nothing = git(loans, "rev-parse", "HEAD")
    (loans / "modelyard.yaml").write_text(text)
    project = open_project(loans)

    def compared(base: str, name: str, asked: Baseline) -> Comparison:
        plan = PlanRecord("loans", base, without, everything="" if base else "the clone is shallow")
        flow = slim(project.load_workflow("main"))
        return Baselines(project, "", plan, asked, logging.getLogger()).of(name, flow, {}, {})

    assert compared(without, "quick", "merge-base") == Comparison(
        "none", {"evaluate": "none"}, f"There is no baseline: the merge base {without[:12]} has no workflow quick yet."
    )
    assert compared(nothing, "main", "merge-base") == Comparison(
        "none", {"evaluate": "none"}, f"There is no baseline: the merge base {nothing[:12]} has no such project yet."
    )
    assert compared(nothing, "main", "champion") == Comparison(
        "champion",
        {},
        f"There is no champion in this environment, and the merge base {nothing[:12]} has no such project yet.",
    )
    shallow = "the merge base is not known: the clone is shallow."
    asked_for = compared("", "main", "merge-base")
    assert (asked_for.required, asked_for.note) == (True, f"There is no baseline: {shallow}")
    usual = compared("", "main", "champion")
    assert (usual.required, usual.note) == (False, f"There is no champion in this environment, and {shallow}")
    gone = compared("f" * 40, "main", "merge-base")
    assert (gone.required, f"the merge base {'f' * 12} cannot be trained: " in gone.note) == (True, True)
    assert compared(without, "main", "none") == Comparison("none", {"evaluate": "none"})


def test_jobs_of_a_matrix_are_reported_together(command: Command, loans: Path) -> None:
    from judged import FAILED, HELD, candidate, run_of

    commit = git(loans, "rev-parse", "HEAD")
    for name, gate in (("main", HELD), ("nightly", FAILED)):
        CiFolder(loans / f".modelyard/ci/{name}").write("run.json", run_of(candidate(gate), commit=commit))
    assert command("ci", "gate").code == 6
    report = command("ci", "report", "--dry-run").out
    assert report.count("**Candidate**") == 2


def test_a_model_that_is_measured_only_while_it_trains(command: Command, loans: Path) -> None:
    ran = command("ci", "run", "quick", "--all", "--gate", "roc_auc >= 0.5", "--gate", "roc_auc >= champion")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[1].split()[:6] == ["quick", "models:/quick-loans/1", "none", "1", "of", "2"]
    (candidate,) = recorded(loans)["workflows"][0]["candidates"]
    assert (candidate["model"], candidate["baseline_kind"], candidate["rows"]) == ("models:/quick-loans/1", "none", 60)
    assert candidate["baseline_note"] == "Measured only on the rows that its training held out."
    assert (candidate["gates"][1]["held"], candidate["gates"][1]["judged"]) == (True, False)
    assert candidate["gates"][1]["said"].endswith(". Measured only on the rows that its training held out.")
    shown = command("ci", "gate")
    assert (shown.code, shown.out.splitlines()[1].split()[:5]) == (
        0,
        ["models:/quick-loans/1", "roc_auc", ">=", "champion", "skipped"],
    )
    report = command("ci", "report", "--dry-run").out
    said = "1 gate holds, 1 was skipped, as there is no baseline"
    assert f"**Passed:** <code>{said}</code>" in report


def test_a_preview_that_fails_is_a_gate_that_does_not_hold(command: Command, loans: Path) -> None:
    from judged import HELD, candidate, run_of

    folder = CiFolder(loans / ".modelyard/ci")
    folder.write("run.json", run_of(candidate(HELD), commit=git(loans, "rev-parse", "HEAD")))
    folder.write("preview.json", PreviewsRecord((PreviewRecord("approve", smoke_requests=3, smoke_failures=1),)))
    ended = command("ci", "gate")
    assert (ended.code, "preview of approve: smoke test (1 of 3 requests failed)" in ended.err) == (6, True)
    promoted = command("ci", "promote")
    assert (promoted.code, "preview of approve: smoke test (1 of 3 requests failed)" in promoted.err) == (6, True)


def test_what_an_earlier_job_has_left_is_not_taken_for_this_ones(command: Command, loans: Path) -> None:
    from judged import HELD, candidate, run_of

    for place in ("", "main"):
        CiFolder(loans / ".modelyard/ci" / place).write("run.json", run_of(candidate(HELD)))
    change(loans, "loans/training.py", 'USED = ["income", "age"]', WORSE)
    assert command("ci", "plan", "--base", "main").code == 0
    assert command("ci", "gate").code == 3


def test_a_run_of_another_commit_is_not_taken_for_this_one(
    command: Command, loans: Path, github_job: Job, forge: Forge
) -> None:
    """A plan that failed has not cleared the folder of a workspace that lasts."""
    from judged import HELD, candidate, run_of

    folder = CiFolder(loans / ".modelyard/ci")
    earlier = git(loans, "rev-parse", "HEAD")
    folder.write("plan.json", PlanRecord("loans", "b" * 40, earlier))
    CiFolder(folder.path / "main").write("run.json", run_of(candidate(HELD), commit=earlier))
    folder.write("preview.json", PreviewsRecord((PreviewRecord("approve", smoke_requests=3),)))
    change(loans, "loans/training.py", 'USED = ["income", "age"]', WORSE)
    present = git(loans, "rev-parse", "HEAD")

    ended = command("ci", "gate")
    said = f"it is about the commit {earlier[:12]}, and the commit {present[:12]} is here"
    assert (ended.code, said in ended.err) == (4, True)
    github_job()
    assert command("ci", "report").code == 0
    (comment,) = forge.comments[2]
    assert "**Failed:** <code>plan&#46;json&#58; " in comment["body"]
    assert f"and the commit {present[:12]} is here" in comment["body"]
    assert "**Candidate**" not in comment["body"]
    assert "**Preview**" not in comment["body"]

    (folder.path / "plan.json").unlink()
    ended = command("ci", "gate")
    assert (ended.code, f"main/run.json: {said}" in ended.err) == (4, True)
    event = Path(github_job()["GITHUB_EVENT_PATH"])
    event.write_text(event.read_text().replace("ec26c3e57ca3a959ca5aad62de7213c562f8c821", earlier))
    assert command("ci", "gate").code == 0  # what is checked out is a trial merge of this commit


@pytest.mark.parametrize("payload", ["workflow_run", "issue_comment"])
def test_a_job_that_reports_what_another_has_run_stands_on_another_commit(
    command: Command, loans: Path, github_job: Job, payload: str
) -> None:
    from judged import HELD, candidate, run_of

    CiFolder(loans / ".modelyard/ci").write("run.json", run_of(candidate(HELD)))
    github_job(payload)
    assert command("ci", "gate").code == 0


def test_the_work_that_never_ran_is_a_failure(command: Command, loans: Path) -> None:
    ended = command("ci", "gate")
    assert ended.code == 3
    assert "modelyard ci run has left nothing to judge" in ended.err


def test_runs_are_mirrored_to_gitlab(command: Command, loans: Path, gitlab_job: Job, forge: Forge) -> None:
    gitlab_job()
    ran = command("ci", "run", "main", "--all", "--baseline", "none", "--input", "rows=300", "--mirror", "--quiet")
    assert ran.code == 0, ran.err
    ((name, run),) = forge.mlflow["runs"].items()
    assert f"Mirrored models:/loans/1 as the run {name}." in ran.err
    assert forge.mlflow["experiments"] == {"loans-main": run["experiment"]}
    assert (run["status"], run["tags"]["gitlab.CI_JOB_ID"]) == ("FINISHED", "5678")
    measured = recorded(loans)["workflows"][0]["candidates"][0]["metrics"]
    assert run["metrics"] == {each["name"]: each["candidate"] for each in measured}

    gitlab_job(GITLAB_TOKEN="")
    again = command("ci", "run", "main", "--all", "--baseline", "none", "--input", "rows=300", "--mirror", "--quiet")
    assert (again.code, "The candidates were not mirrored: CI_JOB_TOKEN cannot comment" in again.err) == (0, True)


def test_a_plan_of_an_earlier_commit_is_made_anew(command: Command, loans: Path) -> None:
    """A workspace that lasts: the plan for a change of the text must not let a worse model pass."""
    change(loans, "README.md", "Loans.", "All loans.")
    assert "No model was measured." in command("ci", "run", "--quiet").out
    (loans / ".modelyard/ci/preview.json").write_text("{}")
    change(loans, "loans/training.py", 'USED = ["income", "age"]', WORSE)

    told = command("ci", "run", "--dry-run", "--json")
    assert [each["workflow"] for each in json.loads(told.out)] == ["main", "quick"]
    assert recorded(loans, "plan")["changed"] == ["README.md"]

    assert command("ci", "run", "--quiet", "--input", "rows=60").code == 0
    assert recorded(loans, "plan")["changed"] == ["README.md", "loans/training.py"]
    assert not (loans / ".modelyard/ci/preview.json").exists()
    assert command("ci", "gate").code == 6


def test_what_is_not_committed_is_planned_anew_on_a_persons_machine(command: Command, loans: Path) -> None:
    base = git(loans, "rev-parse", "HEAD")
    assert command("ci", "plan", "--base", base).code == 0
    (loans / "loans/training.py").write_text("x = 1\n")
    told = command("ci", "run", "--dry-run", "--json")
    assert [each["workflow"] for each in json.loads(told.out)] == ["main", "quick"]


def test_a_gate_that_cannot_be_read_is_refused_before_anything_is_trained(command: Command, loans: Path) -> None:
    ended = command("ci", "run", "main", "--quiet", "--gate", "roc_auc is fine")
    assert (ended.code, "the gate 'roc_auc is fine' is wrong at character" in ended.err) == (2, True)
    (flow,) = recorded(loans)["workflows"]
    assert flow.get("states", {}) == {}
    assert not (loans / "data").exists()


def test_an_input_that_no_workflow_has_is_refused(command: Command, loans: Path) -> None:
    ended = command("ci", "run", "main", "--input", "row=60", "--input", "model=models:/loans/1")
    said = "--input row: no workflow of the project has an input of this name"
    assert (ended.code, ended.err) == (2, f"error: the work of the request failed: {said}. See the report.\n")
    assert (recorded(loans)["workflows"], (loans / "data").exists()) == ([], False)
    assert said in command("ci", "report", "--dry-run").out.replace("&#45;", "-").replace("&#58;", ":")


@pytest.mark.parametrize(("baseline", "code"), [("champion", 0), ("merge-base", 6)])
def test_a_shallow_clone_says_that_nothing_was_compared(
    command: Command, loans: Path, github_job: Job, baseline: str, code: int
) -> None:
    """Where the merge base is only a makeshift it is a note; where it was asked for, nobody could judge."""
    github_job()  # its base is in no clone of ours
    ran = command("ci", "run", "main", "--quiet", "--input", "rows=200", "--baseline", baseline)
    assert ran.code == 0, ran.err
    (candidate,) = recorded(loans)["workflows"][0]["candidates"]
    assert candidate["gates"][1]["judged"] is False
    assert candidate["baseline_note"].endswith(f"the merge base is not known: the commit {BASE} is not in this clone.")
    assert command("ci", "gate").code == code
