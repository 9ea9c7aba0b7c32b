"""What only the forge knows is asked of it; what it does not tell stays as it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fake_forge import Fault, Forge

from modelyard.ci.forges import Forge as AnyForge
from modelyard.ci.forges import completed, open_forge
from modelyard.ci.hosts import CiContext, detect

Job = Callable[..., dict[str, str]]


@contextmanager
def opened(variables: dict[str, str]) -> Iterator[tuple[CiContext, AnyForge]]:
    context = detect(variables)
    found = open_forge(context, variables)
    assert found is not None
    yield context, found
    found.close()


def pull(number: int, sha: str, head: str = "Codertocat/Hello-World", state: str = "open") -> dict[str, Any]:
    return {
        "number": number,
        "state": state,
        "head": {"sha": sha, "ref": "better", "repo": {"full_name": head}},
        "base": {"sha": "b" * 40, "ref": "main", "repo": {"full_name": "Codertocat/Hello-World"}},
    }


def facts(found: CiContext) -> tuple[Any, ...]:
    return found.request, found.head_commit, found.base_commit, found.branch, found.base_branch, found.fork


def test_the_commit_that_a_comment_is_about(github_job: Job, forge: Forge) -> None:
    forge.requests[1] = pull(1, "a" * 40, head="eve/Hello-World")
    with opened(github_job("issue_comment")) as (context, github):
        assert facts(completed(context, github)) == (1, "a" * 40, "b" * 40, "better", "main", True)


def test_the_request_of_a_run_that_a_fork_has_started(github_job: Job, forge: Forge) -> None:
    commit = "5779607b49aab1200488439f02372c57b4f75444"
    with opened(github_job("workflow_run_fork")) as (context, github):
        assert context.head_commit == commit
        assert completed(context, github).request == 0
        forge.requests[8] = pull(8, commit, state="closed")
        assert completed(context, github).request == 0
        forge.requests[9] = pull(9, commit, head="Codertocat/fork")
        assert facts(completed(context, github))[:2] == (9, commit)
        forge.requests[10] = pull(10, commit)
        assert completed(context, github).request == 0  # which of the two, nobody can say


def test_jenkins_builds_a_trial_merge(forge: Forge) -> None:
    variables = {
        "JENKINS_URL": "https://ci.example.com",
        "CHANGE_URL": "https://github.com/Codertocat/Hello-World/pull/4",
        "GIT_COMMIT": "c" * 40,
        "GITHUB_API_URL": forge.github,
        "GITHUB_TOKEN": "forge-secret-write",
    }
    forge.requests[4] = pull(4, "a" * 40)
    with opened(variables) as (context, github):
        assert completed(context, github).head_commit == "a" * 40


def test_jenkins_and_gitlab(forge: Forge) -> None:
    variables = {
        "JENKINS_URL": "https://ci.example.com",
        "CHANGE_URL": "https://git.example.com/ml/flights/-/merge_requests/5",
        "GIT_COMMIT": "c" * 40,
        "CI_API_V4_URL": forge.gitlab,
        "GITLAB_TOKEN": "forge-secret-gitlab",
    }
    forge.requests[5] = {
        "iid": 5,
        "sha": "a" * 40,
        "state": "opened",
        "source_branch": "better",
        "target_branch": "main",
        "source_project_id": 2,
        "target_project_id": 1,
        "diff_refs": {"base_sha": "b" * 40},
    }
    with opened(variables) as (context, gitlab):
        assert facts(completed(context, gitlab)) == (5, "a" * 40, "b" * 40, "better", "main", True)
        assert forge.log[0]["path"] == "/gitlab/api/v4/projects/ml%2Fflights/merge_requests/5"
        gitlab.create_comment(5, "hello")
        assert [each.author for each in gitlab.comments(5)] == [gitlab.author()]


def test_a_forge_that_does_not_tell_changes_nothing(
    github_job: Job, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.faults.append(Fault(status=404, times=9))
    with opened(github_job("issue_comment")) as (context, github):
        assert completed(context, github) == context
    assert completed(context, None) == context


@pytest.mark.parametrize(
    "more",
    [{"GITHUB_TOKEN": ""}, {"GITHUB_API_URL": "ftp://x"}, {"GITHUB_REPOSITORY": ""}],
    ids=["token", "api", "repository"],
)
def test_without_token_address_or_repository_there_is_no_forge(github_job: Job, more: dict[str, str]) -> None:
    variables = github_job(**more)
    assert open_forge(detect(variables), variables) is None


def test_an_app_of_ones_own_knows_itself(github_job: Job, forge: Forge) -> None:
    with opened(github_job() | {"MODELYARD_FORGE_USER": "my-app[bot]"}) as (_, github):
        assert github.author() == "my-app[bot]"
    assert forge.log == []


def test_who_a_token_is(github_job: Job, forge: Forge) -> None:
    with opened(github_job()) as (_, github):
        assert github.author() == "github-actions[bot]"  # it may not ask
    with opened(github_job(token="forge-secret-person")) as (_, github):
        assert github.author() == "ada"
