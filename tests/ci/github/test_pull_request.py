"""Requests, by the files that the examples give, from the push to the comment."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_forge import Fault, Forge
from github_emulator import Emulator
from github_request import EXAMPLES, PAYLOADS, Judged, Push, pushed
from loans_project import git

CALLER = (EXAMPLES / "pull-request.yml").read_text()
ALL = (EXAMPLES / "pull-request-all.yml").read_text()
MONOREPO = (EXAMPLES / "monorepo.yml").read_text()
EVIL = "x$(touch${IFS}pwned)`touch${IFS}pwned`';touch${IFS}pwned;'@all<!--modelyard-->"


@pytest.mark.slow
def test_from_a_worse_model_to_its_comment_and_on(judged: Judged) -> None:
    emulator, forge, run = judged.emulator, judged.forge, judged.run
    assert run.message == ""
    work, report = run.jobs["request / request"], run.jobs["request / report"]
    assert (run.result, work["result"], report["result"]) == ("failure", "success", "failure"), run.log
    assert report["codes"] == [0, 6], report["log"]
    assert (work["outputs"]["gate"], work["outputs"]["model-uri"]) == ("fail", "models:/loans/2")
    assert report["outputs"] == {"verdict": "failure"}
    assert work["permissions"] == {"contents": "read", "pull-requests": "read"}
    assert report["permissions"] == {
        "contents": "read",
        "pull-requests": "write",
        "checks": "write",
        "statuses": "write",
    }
    (comment,) = forge.comments[2]
    assert "**Gate failed:** <code>roc&#95;auc &#62;= champion" in comment["body"]
    assert "https://github.com/artifacts/modelyard-request" in comment["body"]
    (check,) = forge.check_runs
    assert check["conclusion"] == "failure"
    assert "Gate failed" in report["summary"]
    assert {each["group"] for each in run.concurrency} == {"ml-pull-request-modelyard-2"}

    git(emulator.project, "switch", "-q", "-C", "change", "main")
    run = emulator.run(CALLER, "pull_request", pushed(emulator.project, {"README.md": ("Loans.", "Loans of 2013.")}))
    work, report = run.jobs["request / request"], run.jobs["request / report"]
    assert (run.result, work["outputs"]["gate"], report["codes"]) == ("success", "none", [0, 0, 0]), run.log
    assert "No model was measured." in work["log"]
    (comment,) = forge.comments[2]
    assert (comment["updates"], "<summary>1 earlier push</summary>" in comment["body"]) == (1, True)
    assert "**Nothing to run:**" in comment["body"]
    assert [each["conclusion"] for each in forge.check_runs] == ["failure", "success"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "comments", "told"),
    [
        (Fault(status=502, times=2), 1, ""),
        (Fault(status=429, times=1, headers={"Retry-After": "1"}), 1, ""),
        (Fault(method="POST", path="comments", status=500, after=True), 1, ""),
        (Fault(status=0, times=99), 0, "the forge does not answer"),
        (Fault(status=503, times=99), 0, "the forge does not answer"),
        (Fault(status=429, times=99, headers={"Retry-After": "3600"}), 0, "asks to come again in 3600 s"),
        (Fault(status=401, times=99, message="Bad credentials"), 0, "401"),
        (Fault(status=403, times=99, message="Resource not accessible"), 0, "403"),
        (Fault(status=404, times=99, message="Not Found"), 0, "404"),
        (Fault(seconds=30, times=99), 0, "the forge does not answer"),
    ],
    ids=["502", "429", "lost answer", "hung up", "503", "limit of an hour", "401", "403", "404", "silent"],
)
def test_whatever_the_forge_does_the_work_is_told_and_judged(
    judged: Judged, tmp_path: Path, forge: Forge, fault: Fault, comments: int, told: str
) -> None:
    # The job that works is not run again: the one that reports gets what it has kept.
    emulator = replace(judged.emulator, temp=tmp_path, api=forge.github, artifacts=judged.kept)
    emulator.played = {"request / request": {"result": "success", "outputs": {}}}
    if told == "the forge does not answer":
        emulator.machine = {"MODELYARD_FORGE_PATIENCE": "1"}
    git(emulator.project, "switch", "-q", "-C", "judged", judged.event["pull_request"]["head"]["sha"])
    forge.faults.append(replace(fault))

    run = emulator.run(CALLER, "pull_request", judged.event)

    report = run.jobs["request / report"]
    assert (run.message, run.result, report["codes"]) == ("", "failure", [0, 6]), run.log
    assert report["outputs"] == {"verdict": "failure"}
    assert len(forge.comments[2]) == comments
    assert "**Gate failed:**" in report["summary"]
    assert ("The comment was not written" in report["summary"], told in report["summary"]) == (not comments, True)
    left = Path(report["workspace"]) / ".modelyard/ci"
    assert "Gate failed" in (left / "report.md").read_text()
    assert (left / "run.json").read_bytes() == (judged.kept / "modelyard-request/run.json").read_bytes()


@pytest.mark.slow
def test_a_fork_is_judged_though_its_token_may_only_read(judged: Judged, tmp_path: Path, forge: Forge) -> None:
    emulator = replace(judged.emulator, temp=tmp_path, api=forge.github, artifacts=judged.kept, fork=True)
    emulator.played = {"request / request": {"result": "success", "outputs": {}}}
    head = judged.event["pull_request"]["head"]["sha"]
    git(emulator.project, "switch", "-q", "-C", "judged", head)
    event = json.loads((PAYLOADS / "pull_request_fork.json").read_text())
    event["pull_request"]["head"]["sha"] = head

    run = emulator.run(CALLER, "pull_request", event)

    report = run.jobs["request / report"]
    assert (run.message, run.result, report["codes"]) == ("", "failure", [0, 6]), run.log
    assert "The comment was not written&#58; The request comes from a fork" in report["summary"]
    assert "**Gate failed:** <code>roc&#95;auc &#62;= champion" in report["summary"]
    assert not [each for each in forge.log if each["method"] != "GET"]


@pytest.mark.slow
def test_the_queue_of_merges_is_judged_by_its_own_commits(emulator: Emulator, forge: Forge) -> None:
    root = emulator.project
    (root / "requests.json").write_text('[{"income": 1.0, "age": 1.0}]')
    path = root / "loans/flows.py"
    path.write_text(path.read_text().replace("def quick(rows: int", "def quick(every: int = 1, rows: int"))
    path = root / "modelyard.yaml"
    path.write_text(path.read_text().replace("  main: loans.flows:main\n", ""))
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "merged")
    event = json.loads((PAYLOADS / "merge_group.json").read_text())
    head = event["merge_group"]["head_sha"] = git(root, "rev-parse", "HEAD")
    event["merge_group"]["base_sha"] = git(root, "rev-parse", "main")
    forge.faults.append(Fault(method="POST", path="comments", status=403, times=99, message="Resource not accessible"))

    run = emulator.run(ALL, "merge_group", event)

    work, report = run.jobs["request / request"], run.jobs["request / report"]
    assert (run.message, run.result, report["codes"]) == ("", "success", [0, 0, 0]), run.log
    assert (work["environment"]["name"], work["outputs"]["gate"]) == ("", "pass")
    assert work["outputs"]["model-uri"] == "models:/quick-loans/1"
    assert "every=10" in work["uses"][2]["with"]["inputs"]
    (check,) = forge.check_runs
    assert (check["head_sha"], check["conclusion"]) == (head, "success")
    # The request's number is in the name of the queue's branch.
    assert {each["path"] for each in forge.asked("POST", "comments")} == {
        "/github/repos/Codertocat/Hello-World/issues/104/comments"
    }
    assert "The comment was not written" in report["summary"]


@pytest.mark.slow
def test_two_projects_of_one_repository(emulator: Emulator, forge: Forge) -> None:
    root = emulator.project
    git(root, "switch", "-q", "main")
    (root / "models/loans").mkdir(parents=True)
    git(root, "mv", "modelyard.yaml", "README.md", "loans", "models/loans")
    shutil.copytree(root / "models/loans", root / "models/flights")
    path = root / "models/flights/modelyard.yaml"
    path.write_text(path.read_text().replace("name: loans", "name: flights"))
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "two projects")
    git(root, "switch", "-q", "-C", "change", "main")
    broken = ("    matrix = np.array(", "    1 / 0\n    matrix = np.array(")

    run = emulator.run(MONOREPO, "pull_request", pushed(root, {"models/loans/loans/training.py": broken}))

    assert (run.message, run.result) == ("", "failure"), run.log
    work, other = run.jobs["loans / request"], run.jobs["flights / request"]
    image = re.search(r"image: (\S+)", MONOREPO)
    assert image
    assert (work["container"], other["container"]) == (image[1], "")
    reports = {name: run.jobs[f"{name} / report"] for name in ("loans", "flights")}
    assert {name: each["codes"] for name, each in reports.items()} == {"loans": [0, 7], "flights": [0, 0, 0]}
    assert {name: each["outputs"]["verdict"] for name, each in reports.items()} == {
        "loans": "failure",
        "flights": "nothing",
    }
    bodies = {each["body"].splitlines()[0]: each["body"] for each in forge.comments[2]}
    assert [*bodies] == ["<!-- modelyard:report flights -->", "<!-- modelyard:report loans -->"]
    assert "ZeroDivisionError" in bodies["<!-- modelyard:report loans -->"]
    # A remark names the file as the repository does, not as the project.
    remarks = [each for check in forge.check_runs for each in check["output"].get("annotations", [])]
    assert {(each["path"], each["start_line"]) for each in remarks} == {("models/loans/loans/training.py", 13)}
    assert len({each["group"] for each in run.concurrency}) == 2


@pytest.mark.slow
def test_a_server_that_does_not_know_this_repository(emulator: Emulator, push: Push, tmp_path: Path) -> None:
    """The workflows are copied, and changed by the line of the page."""
    page = (EXAMPLES.parents[1] / "docs/ci/github.md").read_text()
    line = re.search(r"^\$ (sed -i .*)$", page, re.MULTILINE)
    assert line
    copy = tmp_path / "copy"
    for name in (".github", "github-actions"):
        shutil.copytree(EXAMPLES.parents[1] / name, copy / name)
    subprocess.run(["bash", "-c", line[1]], cwd=copy, check=True)
    left = [path.name for path in (copy / ".github/workflows").glob("ml-*.yml") if "$/" in path.read_text()]
    assert left == []
    emulator.actions = copy

    run = emulator.run(CALLER, "pull_request", push({"README.md": ("Loans.", "Loans of 2013.")}))

    assert (run.message, run.result) == ("", "success"), run.log
    ours = {each["uses"] for job in run.jobs.values() for each in job["uses"] if "github-actions" in each["uses"]}
    assert ours == {f"OWNER/REPO/github-actions/{name}@v1" for name in ("setup", "request", "report")}


def test_hostile_names_are_only_text_and_a_forks_report_is_on_the_page(
    emulator: Emulator, push: Push, forge: Forge
) -> None:
    emulator.fork = True
    event = push({"README.md": ("Loans.", EVIL)}, payload="pull_request_fork")
    event["pull_request"] |= {"title": EVIL, "body": EVIL}
    event["pull_request"]["head"]["ref"] = EVIL

    run = emulator.run(CALLER, "pull_request", event)

    assert (run.message, run.result) == ("", "success"), run.log
    report = run.jobs["request / report"]
    assert report["outputs"] == {"verdict": "nothing"}
    assert "**Nothing to run:**" in report["summary"]
    assert "The comment was not written&#58; The request comes from a fork" in report["summary"]
    assert not forge.comments[2]
    assert not [*emulator.temp.glob("**/pwned"), *emulator.project.glob("**/pwned")]
    assert not [each for each in forge.log if each["method"] != "GET" and each["status"] < 300]


def comment(emulator: Emulator, forge: Forge, association: str, said: str, payload: str = "issue_comment") -> Any:
    event = json.loads((PAYLOADS / f"{payload}.json").read_text())
    event["comment"] |= {"body": said, "author_association": association}
    root = emulator.project
    number = event["issue"]["number"]
    own = {"full_name": "Codertocat/Hello-World"}
    forge.requests[number] = {
        "number": number,
        "head": {"sha": git(root, "rev-parse", "change"), "ref": "change", "repo": own},
        "base": {"sha": git(root, "rev-parse", "main"), "ref": "main", "repo": own},
    }
    return event


@pytest.mark.parametrize(
    ("association", "said", "payload"),
    [
        ("NONE", "/modelyard run", "issue_comment"),
        ("CONTRIBUTOR", "/modelyard run", "issue_comment"),
        ("OWNER", "please /modelyard run", "issue_comment"),
        ("OWNER", "/modelyard run", "issue_comment_on_issue"),
    ],
)
def test_comments_that_start_nothing(
    emulator: Emulator, forge: Forge, association: str, said: str, payload: str
) -> None:
    run = emulator.run(ALL, "issue_comment", comment(emulator, forge, association, said, payload))
    assert (run.message, run.result) == ("", "success")
    assert {name: each["result"] for name, each in run.jobs.items()} == {
        "request / request": "skipped",
        "request / report": "skipped",
    }
    assert run.concurrency == []


@pytest.mark.slow
def test_a_fork_runs_by_comment_only_where_an_environment_approves_it(emulator: Emulator, forge: Forge) -> None:
    event = comment(emulator, forge, "OWNER", "/modelyard run")
    (asked,) = forge.requests.values()
    asked["head"]["repo"] = {"full_name": "stranger/Hello-World"}
    caller = ALL.replace("      comment-environment: comments\n", "")
    assert caller != ALL

    run = emulator.run(caller, "issue_comment", event)

    work = run.jobs["request / request"]
    assert (run.message, run.result, work["codes"]) == ("", "failure", [0, 1]), run.log
    assert [each["message"] for each in work["annotations"]] == [
        "a fork's change runs by comment only with comment-environment, which approves it"
    ]
    # The fork's commit was not even checked out.
    assert [each["uses"].split("@")[0] for each in work["uses"]] == [
        "actions/checkout",
        "$/github-actions/setup",
        "actions/upload-artifact",
    ]


@pytest.mark.slow
def test_a_members_comment_runs_the_request(emulator: Emulator, push: Push, forge: Forge) -> None:
    secret = "tracking-s3cret"
    leak = "    import os\n    print('token', os.environ['MLFLOW_TRACKING_TOKEN'])\n    import numpy as np\n"
    push({"loans/training.py": ("    import numpy as np\n", leak)})
    head = git(emulator.project, "rev-parse", "HEAD")
    event = comment(emulator, forge, "MEMBER", "/modelyard run")
    git(emulator.project, "switch", "-q", "main")
    emulator.secrets = {"MLFLOW_TRACKING_TOKEN": secret}
    caller = ALL.replace("      inputs: |\n        every=10\n", "      workflows: quick\n      baseline: none\n")
    assert caller != ALL
    caller = caller.replace("      requests: requests.json\n", "      preview: false\n")

    run = emulator.run(caller, "issue_comment", event)

    work = run.jobs["request / request"]
    assert (run.message, run.result) == ("", "success"), run.log
    assert work["environment"]["name"] == "comments"
    checkouts = [each["with"].get("ref") for each in work["uses"] if each["uses"].startswith("actions/checkout")]
    assert checkouts == [None, head]
    assert (work["outputs"]["gate"], work["outputs"]["model-uri"]) == ("pass", "models:/quick-loans/1")
    assert len(forge.comments[1]) == 1
    assert "token ***" in run.log
    assert secret not in run.log
    kept = [path for path in (emulator.temp / "run-1/artifacts").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if secret.encode() in path.read_bytes()]
    assert secret not in json.dumps([forge.comments[1], forge.check_runs, forge.statuses])

    emulator.rejected = ("comments",)
    run = emulator.run(caller, "issue_comment", event)
    assert run.jobs["request / request"]["rejected"]
    assert (run.message, run.result) == ("", "failure")
    assert "**Not finished:** <code>the job ended before it could judge anything</code>" in forge.comments[1][0]["body"]
