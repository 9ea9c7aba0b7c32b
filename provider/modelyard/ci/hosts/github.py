"""Reads what GitHub Actions tells a job."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelyard.ci.hosts.context import CiContext, CiFiles, EventKind, Token

__all__ = ["github_context"]

_API = "https://api.github.com"
_SERVER = "https://github.com"
_TOKENS = ("MODELYARD_FORGE_TOKEN", "GITHUB_TOKEN", "GH_TOKEN")
_OWN_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
_QUEUED = re.compile(r"gh-readonly-queue/(?P<base>.+)/pr-(?P<number>\d+)-[0-9a-f]+$")
_EVENTS: Mapping[str, EventKind] = {
    "pull_request": "request",
    "pull_request_target": "request",
    "pull_request_review": "request",
    "merge_group": "merge_queue",
    "push": "push",
    "issue_comment": "comment",
    "schedule": "schedule",
    "workflow_dispatch": "dispatch",
    "repository_dispatch": "dispatch",
    "workflow_run": "workflow_run",
}
_LARGEST_EVENT = 25_000_000


def github_context(variables: Mapping[str, str]) -> CiContext:
    """Return what a job of GitHub Actions knows about itself.

    Parameters
    ----------
    variables
        The job's environment variables; ``GITHUB_EVENT_PATH`` names the file with the event.
    """
    name = variables.get("GITHUB_EVENT_NAME", "")
    payload = _payload(variables.get("GITHUB_EVENT_PATH", ""))
    common = _common(variables, name)
    found = _READERS.get(name, _any_event)(common, payload)
    return msgspec.structs.replace(found, token=_token(variables, found))


def _common(variables: Mapping[str, str], name: str) -> CiContext:
    server = variables.get("GITHUB_SERVER_URL", "").rstrip("/") or _SERVER
    repository, run = variables.get("GITHUB_REPOSITORY", ""), variables.get("GITHUB_RUN_ID", "")
    return CiContext(
        host="github",
        event=_EVENTS.get(name, "none"),
        event_name=name,
        forge="github",
        api=variables.get("GITHUB_API_URL", "").rstrip("/") or _API,
        server=server,
        repository=repository,
        head_commit=variables.get("GITHUB_SHA", ""),
        branch=variables.get("GITHUB_HEAD_REF") or variables.get("GITHUB_REF_NAME", ""),
        base_branch=variables.get("GITHUB_BASE_REF", ""),
        actor=variables.get("GITHUB_ACTOR", ""),
        run_id=run,
        run_url=f"{server}/{repository}/actions/runs/{run}" if repository and run else "",
        files=CiFiles(
            summary=variables.get("GITHUB_STEP_SUMMARY", ""),
            outputs=variables.get("GITHUB_OUTPUT", ""),
            event=variables.get("GITHUB_EVENT_PATH", ""),
        ),
    )


def _payload(path: str) -> dict[str, Any]:
    """Return the event; a file that is not there, or is no JSON object, tells nothing."""
    if not path:
        return {}
    try:
        content = Path(path).read_bytes()[:_LARGEST_EVENT]
        found = msgspec.json.decode(content)
    except (OSError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _request(common: CiContext, payload: dict[str, Any]) -> CiContext:
    request = _part(payload, "pull_request")
    head, base = _part(request, "head"), _part(request, "base")
    return msgspec.structs.replace(
        common,
        event="request_closed" if payload.get("action") == "closed" else "request",
        request=_whole(payload.get("number") or request.get("number")) or _from_ref(common),
        head_commit=_text(head, "sha") or common.head_commit,
        base_commit=_text(base, "sha"),
        branch=_text(head, "ref") or common.branch,
        base_branch=_text(base, "ref") or common.base_branch,
        fork=_is_fork(head, base, request),
    )


def _from_ref(common: CiContext) -> int:
    """Return the number in a branch such as ``7/merge``, for a run whose event file is gone."""
    number, slash, _ = common.branch.partition("/")
    return _whole(number) if slash else 0


def _is_fork(head: dict[str, Any], base: dict[str, Any], request: dict[str, Any]) -> bool:
    if not request:
        return False
    mine = _text(_part(base, "repo"), "full_name")
    # A fork that was deleted meanwhile is null here.
    return _text(_part(head, "repo"), "full_name") != mine


def _push(common: CiContext, payload: dict[str, Any]) -> CiContext:
    before = _text(payload, "before")
    return msgspec.structs.replace(
        common,
        head_commit=_known(_text(payload, "after")) or common.head_commit,
        base_commit=_known(before),
        branch=_text(payload, "ref").removeprefix("refs/heads/").removeprefix("refs/tags/") or common.branch,
    )


def _merge_group(common: CiContext, payload: dict[str, Any]) -> CiContext:
    group = _part(payload, "merge_group")
    queued = _QUEUED.search(_text(group, "head_ref"))
    return msgspec.structs.replace(
        common,
        request=int(queued["number"]) if queued else 0,
        head_commit=_text(group, "head_sha") or common.head_commit,
        base_commit=_text(group, "base_sha"),
        base_branch=_text(group, "base_ref").removeprefix("refs/heads/"),
    )


def _comment(common: CiContext, payload: dict[str, Any]) -> CiContext:
    issue, comment = _part(payload, "issue"), _part(payload, "comment")
    on_request = isinstance(issue.get("pull_request"), dict)
    return msgspec.structs.replace(
        common,
        request=_whole(issue.get("number")) if on_request else 0,
        # The job runs on the default branch, which is not what was commented: only the forge knows the head.
        head_commit="" if on_request else common.head_commit,
        branch="" if on_request else common.branch,
        association=_text(comment, "author_association"),
        comment=_text(comment, "body"),
        actor=_text(_part(comment, "user"), "login") or common.actor,
    )


def _workflow_run(common: CiContext, payload: dict[str, Any]) -> CiContext:
    run = _part(payload, "workflow_run")
    listed = run.get("pull_requests")
    requests = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    first = requests[0] if requests else {}
    source = _text(_part(run, "head_repository"), "full_name")
    return msgspec.structs.replace(
        common,
        request=_whole(first.get("number")),
        head_commit=_text(run, "head_sha") or common.head_commit,
        base_commit=_text(_part(first, "base"), "sha"),
        base_branch=_text(_part(first, "base"), "ref"),
        branch=_text(run, "head_branch") or common.branch,
        fork=bool(source) and source != _text(_part(payload, "repository"), "full_name"),
    )


def _any_event(common: CiContext, payload: dict[str, Any]) -> CiContext:
    del payload
    return common


_READERS = {
    "pull_request": _request,
    "pull_request_target": _request,
    "pull_request_review": _request,
    "push": _push,
    "merge_group": _merge_group,
    "issue_comment": _comment,
    "workflow_run": _workflow_run,
}


def _token(variables: Mapping[str, str], found: CiContext) -> Token:
    variable = next((each for each in _TOKENS if variables.get(each)), "")
    if not variable:
        return Token(reason="There is no token: give the job GITHUB_TOKEN, and the permission pull-requests: write.")
    if variable in _OWN_TOKENS and found.event_name == "pull_request":
        if found.fork:
            return Token(variable, "read", "The request comes from a fork, for which GitHub's token may only read.")
        if found.actor == "dependabot[bot]":
            return Token(variable, "read", "For Dependabot's requests GitHub's token may only read.")
    return Token(variable, "write")


def _part(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _whole(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _known(commit: str) -> str:
    """Return a commit; all zeros stand for none."""
    return commit if commit.strip("0") else ""
