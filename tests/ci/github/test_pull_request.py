"""Requests, by the files that the examples give, from the push to the comment."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_forge import Forge
from github_emulator import Emulator
from loans_project import git

EXAMPLES = Path(__file__).parents[3] / "examples" / "github"
PAYLOADS = Path(__file__).parents[1] / "payloads"
CALLER = (EXAMPLES / "pull-request.yml").read_text()
ALL = (EXAMPLES / "pull-request-all.yml").read_text()
WORSE = {"loans/training.py": ('USED = ["income", "age"]', 'USED = ["income"]')}
EVIL = "x$(touch${IFS}pwned)`touch${IFS}pwned`';touch${IFS}pwned;'@all<!--modelyard-->"
Push = Callable[..., dict[str, Any]]


@pytest.mark.slow
def test_from_a_worse_model_to_its_comment_and_on(emulator: Emulator, push: Push, forge: Forge) -> None:
    run = emulator.run(CALLER, "pull_request", push(WORSE))

    assert run.message == ""
    work, report = run.jobs["request / request"], run.jobs["request / report"]
    assert (run.result, work["result"], report["result"]) == ("failure", "success", "failure"), run.log
    assert report["codes"] == [0, 6], report["log"]
    assert (work["outputs"]["gate"], work["outputs"]["model-uri"]) == ("fail", "models:/loans/2")
    assert report["outputs"] == {"verdict": "failure"}
    assert work["permissions"] == {"contents": "read", "pull-requests": "read"}
    (comment,) = forge.comments[2]
    assert "**Gate failed:** <code>roc&#95;auc &#62;= champion" in comment["body"]
    assert "https://github.com/artifacts/modelyard-request" in comment["body"]
    (check,) = forge.check_runs
    assert check["conclusion"] == "failure"
    assert "Gate failed" in report["summary"]
    assert {each["group"] for each in run.concurrency} == {"ml-pull-request-modelyard-2"}

    git(emulator.project, "switch", "-q", "-C", "change", "main")
    run = emulator.run(CALLER, "pull_request", push({"README.md": ("Loans.", "Loans of 2013.")}))
    work, report = run.jobs["request / request"], run.jobs["request / report"]
    assert (run.result, work["outputs"]["gate"], report["codes"]) == ("success", "none", [0, 0, 0]), run.log
    assert "No model was measured." in work["log"]
    (comment,) = forge.comments[2]
    assert (comment["updates"], "<summary>1 earlier push</summary>" in comment["body"]) == (1, True)
    assert "**Nothing to run:**" in comment["body"]
    assert [each["conclusion"] for each in forge.check_runs] == ["failure", "success"]


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
def test_a_members_comment_runs_the_request(emulator: Emulator, push: Push, forge: Forge) -> None:
    secret = "tracking-s3cret"
    leak = "    import os\n    print('token', os.environ['MLFLOW_TRACKING_TOKEN'])\n    import numpy as np\n"
    push({"loans/training.py": ("    import numpy as np\n", leak)})
    head = git(emulator.project, "rev-parse", "HEAD")
    event = comment(emulator, forge, "MEMBER", "/modelyard run")
    git(emulator.project, "switch", "-q", "main")
    emulator.secrets = {"MLFLOW_TRACKING_TOKEN": secret}
    caller = ALL.replace("      inputs: |\n        rows=600\n", "      workflows: quick\n      baseline: none\n")
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
