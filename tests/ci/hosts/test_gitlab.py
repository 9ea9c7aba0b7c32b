from collections.abc import Callable

import pytest

from modelyard.ci.hosts import detect

HEAD, BASE = "ec26c3e57ca3a959ca5aad62de7213c562f8c821", "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
Job = Callable[..., dict[str, str]]


def test_a_merge_request(gitlab_job: Job) -> None:
    variables = gitlab_job()
    found = detect(variables)

    assert (found.host, found.event, found.forge, found.request) == ("gitlab", "request", "gitlab", 7)
    assert (found.repository, found.project_id, found.pipeline_id) == ("ml/flights", "42", "1234")
    assert (found.head_commit, found.base_commit) == (HEAD, BASE)
    assert (found.branch, found.base_branch, found.fork) == ("better", "main", False)
    assert found.api == variables["CI_API_V4_URL"]
    assert (found.token.variable, found.token.ability) == ("GITLAB_TOKEN", "write")
    assert found.files.outputs == variables["MODELYARD_OUTPUTS"]


def test_the_source_branch_of_a_merged_result_is_judged(gitlab_job: Job) -> None:
    assert detect(gitlab_job(CI_MERGE_REQUEST_SOURCE_BRANCH_SHA="a" * 40)).head_commit == "a" * 40


def test_a_fork(gitlab_job: Job) -> None:
    assert detect(gitlab_job(CI_MERGE_REQUEST_SOURCE_PROJECT_ID="43")).fork is True


def test_the_token_of_a_job_cannot_comment(gitlab_job: Job) -> None:
    found = detect(gitlab_job(GITLAB_TOKEN="")).token
    assert (found.variable, found.ability) == ("CI_JOB_TOKEN", "read")
    assert found.reason == (
        "CI_JOB_TOKEN cannot comment on a merge request. Put a project access token with the scope api and the role "
        "Reporter or above into GITLAB_TOKEN."
    )


@pytest.mark.parametrize(
    ("source", "kind"),
    [("push", "push"), ("schedule", "schedule"), ("web", "dispatch"), ("trigger", "dispatch"), ("other", "none")],
)
def test_other_pipelines(gitlab_job: Job, source: str, kind: str) -> None:
    found = detect(gitlab_job(CI_PIPELINE_SOURCE=source, CI_MERGE_REQUEST_IID="", CI_COMMIT_BEFORE_SHA="0" * 40))
    assert (found.event, found.event_name, found.request, found.base_commit) == (kind, source, 0, "")


def test_a_child_pipeline_of_a_merge_request_and_a_merge_train(gitlab_job: Job) -> None:
    assert detect(gitlab_job(CI_PIPELINE_SOURCE="parent_pipeline")).event == "request"
    assert detect(gitlab_job(CI_MERGE_REQUEST_EVENT_TYPE="merge_train")).event == "merge_queue"
