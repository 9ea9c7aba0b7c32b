"""Reads what GitLab CI tells a job."""

from collections.abc import Mapping

from modelyard.ci.hosts.context import CiContext, CiFiles, EventKind, Token

__all__ = ["gitlab_context", "gitlab_token"]

_TOKENS = ("MODELYARD_FORGE_TOKEN", "GITLAB_TOKEN")
_EVENTS: Mapping[str, EventKind] = {
    "merge_request_event": "request",
    "push": "push",
    "schedule": "schedule",
    "web": "dispatch",
    "api": "dispatch",
    "trigger": "dispatch",
    "pipeline": "dispatch",
    "chat": "dispatch",
    "ondemand_dast_scan": "none",
}


def gitlab_context(variables: Mapping[str, str]) -> CiContext:
    """Return what a job of GitLab CI knows about itself.

    Parameters
    ----------
    variables
        The job's environment variables.
    """
    source = variables.get("CI_PIPELINE_SOURCE", "")
    request = _whole(variables.get("CI_MERGE_REQUEST_IID", ""))
    server = variables.get("CI_SERVER_URL", "").rstrip("/")
    default_api = f"{server}/api/v4" if server else ""
    return CiContext(
        host="gitlab",
        event=_event(variables, source, request),
        event_name=source,
        forge="gitlab",
        api=variables.get("CI_API_V4_URL", "").rstrip("/") or default_api,
        server=server,
        repository=variables.get("CI_MERGE_REQUEST_PROJECT_PATH") or variables.get("CI_PROJECT_PATH", ""),
        project_id=variables.get("CI_MERGE_REQUEST_PROJECT_ID") or variables.get("CI_PROJECT_ID", ""),
        request=request,
        # In a pipeline for the merged result the job's own commit is one that GitLab made for the trial.
        head_commit=variables.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or variables.get("CI_COMMIT_SHA", ""),
        base_commit=_base(variables, request),
        branch=variables.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or variables.get("CI_COMMIT_REF_NAME", ""),
        base_branch=variables.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", ""),
        fork=_is_fork(variables),
        actor=variables.get("GITLAB_USER_LOGIN", ""),
        run_id=variables.get("CI_JOB_ID", ""),
        run_url=variables.get("CI_JOB_URL") or variables.get("CI_PIPELINE_URL", ""),
        pipeline_id=variables.get("CI_PIPELINE_ID", ""),
        token=gitlab_token(variables),
        files=CiFiles(outputs=variables.get("MODELYARD_OUTPUTS", "")),
    )


def _event(variables: Mapping[str, str], source: str, request: int) -> EventKind:
    if variables.get("CI_MERGE_REQUEST_EVENT_TYPE") == "merge_train":
        return "merge_queue"
    if request:
        return "request"  # a child pipeline of one, too
    return _EVENTS.get(source, "none")


def _base(variables: Mapping[str, str], request: int) -> str:
    if request:
        return variables.get("CI_MERGE_REQUEST_DIFF_BASE_SHA") or variables.get(
            "CI_MERGE_REQUEST_TARGET_BRANCH_SHA", ""
        )
    before = variables.get("CI_COMMIT_BEFORE_SHA", "")
    return before if before.strip("0") else ""


def _is_fork(variables: Mapping[str, str]) -> bool:
    source, own = variables.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID"), variables.get("CI_MERGE_REQUEST_PROJECT_ID")
    return bool(source and own and source != own)


def gitlab_token(variables: Mapping[str, str]) -> Token:
    """Return where GitLab's token is; the job's own cannot comment on a merge request."""
    variable = next((each for each in _TOKENS if variables.get(each)), "")
    if variable:
        return Token(variable, "write")
    mend = "Put a project access token with the scope api and the role Reporter or above into GITLAB_TOKEN."
    if variables.get("CI_JOB_TOKEN"):
        return Token("CI_JOB_TOKEN", "read", f"CI_JOB_TOKEN cannot comment on a merge request. {mend}")
    return Token(reason=f"There is no token. {mend}")


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
