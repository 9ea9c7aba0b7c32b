import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.ci.hosts import CiContext, detect

HEAD, BASE = "ec26c3e57ca3a959ca5aad62de7213c562f8c821", "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
Job = Callable[..., dict[str, str]]


def _facts(context: CiContext, *names: str) -> dict[str, Any]:
    return {name: getattr(context, name) for name in names}


def test_a_pull_request(github_job: Job) -> None:
    found = detect(github_job("pull_request"))

    assert _facts(found, "host", "event", "forge", "repository", "request", "fork", "actor") == {
        "host": "github",
        "event": "request",
        "forge": "github",
        "repository": "Codertocat/Hello-World",
        "request": 2,
        "fork": False,
        "actor": "Codertocat",
    }
    assert (found.head_commit, found.base_commit) == (HEAD, BASE)  # not the trial merge that GITHUB_SHA names
    assert (found.branch, found.base_branch) == ("changes", "master")
    assert found.run_url == "https://github.com/Codertocat/Hello-World/actions/runs/99"
    assert (found.token.variable, found.token.ability) == ("GITHUB_TOKEN", "write")


def test_a_fork_may_only_read(github_job: Job) -> None:
    found = detect(github_job("pull_request_fork"))

    assert (found.fork, found.request, found.token.ability) == (True, 2, "read")
    assert found.token.reason == "The request comes from a fork, for which GitHub's token may only read."


def test_a_fork_with_a_token_of_its_own_may_write(github_job: Job) -> None:
    found = detect(github_job("pull_request_fork", MODELYARD_FORGE_TOKEN="forge-secret-person"))
    assert (found.token.variable, found.token.ability) == ("MODELYARD_FORGE_TOKEN", "write")


def test_a_fork_that_was_deleted_is_a_fork(github_job: Job) -> None:
    variables = github_job("pull_request_fork")
    event = Path(variables["GITHUB_EVENT_PATH"])
    payload = json.loads(event.read_text())
    payload["pull_request"]["head"]["repo"] = None
    event.write_text(json.dumps(payload))
    assert detect(variables).fork is True


def test_dependabot_may_only_read(github_job: Job) -> None:
    found = detect(github_job("pull_request", GITHUB_ACTOR="dependabot[bot]"))
    assert (found.token.ability, found.token.reason) == (
        "read",
        "For Dependabot's requests GitHub's token may only read.",
    )


def test_a_closed_request(github_job: Job) -> None:
    found = detect(github_job("pull_request_closed"))
    assert (found.event, found.request) == ("request_closed", 2)


def test_a_push(github_job: Job) -> None:
    found = detect(github_job("push"))
    assert _facts(found, "event", "request", "branch", "head_commit", "base_commit") == {
        "event": "push",
        "request": 0,
        "branch": "master",
        "head_commit": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "base_commit": "",  # the branch is new: what was there before is all zeros
    }


def test_a_merge_queue_names_its_request(github_job: Job) -> None:
    found = detect(github_job("merge_group"))
    assert _facts(found, "event", "request", "head_commit", "base_commit", "base_branch") == {
        "event": "merge_queue",
        "request": 104,
        "head_commit": "2ffea6db159f6b6c47a24e778fb9ef40cf6b1c7d",
        "base_commit": "380387fbc80638b734a49e1be1c4dfec1c01b33c",
        "base_branch": "main",
    }


@pytest.mark.parametrize(("payload", "request_number"), [("issue_comment", 1), ("issue_comment_on_issue", 0)])
def test_a_comment(github_job: Job, payload: str, request_number: int) -> None:
    found = detect(github_job(payload))

    assert (found.event, found.request) == ("comment", request_number)
    assert found.comment == "You are totally right! I'll get this fixed right away."
    assert (found.association, found.may_command) == ("OWNER", True)
    assert found.head_commit == ("" if request_number else "f" * 40)


def test_a_comment_of_a_stranger_may_start_nothing(github_job: Job) -> None:
    variables = github_job("issue_comment")
    event = Path(variables["GITHUB_EVENT_PATH"])
    event.write_text(event.read_text().replace('"OWNER"', '"CONTRIBUTOR"'))
    assert detect(variables).may_command is False


@pytest.mark.parametrize(
    ("payload", "kind"),
    [("schedule", "schedule"), ("workflow_dispatch", "dispatch"), ("repository_dispatch", "dispatch")],
)
def test_events_without_a_change(github_job: Job, payload: str, kind: str) -> None:
    found = detect(github_job(payload))
    assert (found.event, found.event_name, found.request, found.head_commit) == (kind, payload, 0, "f" * 40)


def test_a_run_that_another_run_started(github_job: Job) -> None:
    found = detect(github_job("workflow_run"))
    assert (found.event, found.request, found.fork) == ("workflow_run", 2, False)
    assert found.head_commit == "3484a3fb816e0859fd6e1cea078d76385ff50625"

    forked = detect(github_job("workflow_run_fork"))
    assert (forked.request, forked.fork, forked.branch) == (0, True, "main")


def test_no_event_file_and_no_json_are_no_error(github_job: Job, tmp_path: Path) -> None:
    variables = github_job("pull_request", GITHUB_REF_NAME="7/merge")
    Path(variables["GITHUB_EVENT_PATH"]).unlink()
    assert (detect(variables).event, detect(variables).request) == ("request", 7)

    Path(variables["GITHUB_EVENT_PATH"]).write_text("[1, 2")
    assert detect(variables).request == 7


def test_no_token(github_job: Job) -> None:
    found = detect(github_job("pull_request", token=""))
    assert (found.token.variable, found.token.ability) == ("", "none")
    assert found.token.reason.startswith("There is no token: give the job GITHUB_TOKEN")


def test_an_enterprise_server(github_job: Job) -> None:
    variables = github_job(
        GITHUB_API_URL="https://git.example.com/api/v3/", GITHUB_SERVER_URL="https://git.example.com"
    )
    assert (detect(variables).api, detect(variables).server) == (
        "https://git.example.com/api/v3",
        "https://git.example.com",
    )
