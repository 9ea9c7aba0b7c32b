"""Reads what Jenkins tells a job, and finds the forge that it builds for."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from modelyard.ci.hosts.context import CiContext, CiFiles, EventKind, ForgeKind, Token
from modelyard.ci.hosts.gitlab import gitlab_token

__all__ = ["jenkins_context"]

_PULL = re.compile(r"/(?P<repository>[^/]+/[^/]+)/pull/(?P<number>\d+)/?$")
_MERGE = re.compile(r"/(?P<repository>.+?)/(?:-/)?merge_requests/(?P<number>\d+)/?$")
_REMOTE = re.compile(r"^(?:[a-z+]+://)?(?:[^@/]+@)?(?P<host>[^/:]+)(?::\d+)?[/:](?P<path>.+?)(?:\.git)?/?$")
_GITHUB_TOKENS = ("MODELYARD_FORGE_TOKEN", "GITHUB_TOKEN", "GH_TOKEN")


class _Place(NamedTuple):
    forge: ForgeKind
    server: str
    repository: str
    request: int


def jenkins_context(variables: Mapping[str, str]) -> CiContext:
    """Return what a job of Jenkins knows about itself.

    Parameters
    ----------
    variables
        The job's environment variables: those of multibranch pipelines (``CHANGE_ID``, ``CHANGE_URL``,
        ``CHANGE_TARGET``, ``CHANGE_FORK``) and of the git plugin (``GIT_COMMIT``, ``GIT_URL``,
        ``GIT_PREVIOUS_SUCCESSFUL_COMMIT``).
    """
    place = _place(variables)
    event: EventKind = "request" if place.request else "push" if variables.get("GIT_COMMIT") else "none"
    if _is_timed(variables):
        event = "schedule"
    return CiContext(
        host="jenkins",
        event=event,
        event_name="change" if place.request else "branch",
        forge=place.forge,
        api=_api(place, variables),
        server=place.server,
        repository=place.repository,
        project_id=place.repository.replace("/", "%2F") if place.forge == "gitlab" else "",
        request=place.request,
        head_commit=variables.get("GIT_COMMIT", ""),
        # Of builds that failed nothing was promoted: what they changed still counts.
        base_commit="" if place.request else variables.get("GIT_PREVIOUS_SUCCESSFUL_COMMIT", ""),
        branch=variables.get("CHANGE_BRANCH") or variables.get("BRANCH_NAME", ""),
        base_branch=variables.get("CHANGE_TARGET", ""),
        fork=bool(variables.get("CHANGE_FORK")),
        actor=variables.get("CHANGE_AUTHOR") or variables.get("BUILD_USER_ID", ""),
        run_id=variables.get("BUILD_TAG") or variables.get("BUILD_NUMBER", ""),
        run_url=variables.get("RUN_DISPLAY_URL") or variables.get("BUILD_URL", ""),
        token=_token(place.forge, variables),
        files=CiFiles(outputs=variables.get("MODELYARD_OUTPUTS", "")),
    )


def _place(variables: Mapping[str, str]) -> _Place:
    change = urlsplit(variables.get("CHANGE_URL", ""))
    server = f"{change.scheme}://{change.netloc}"
    patterns: tuple[tuple[re.Pattern[str], ForgeKind], ...] = ((_PULL, "github"), (_MERGE, "gitlab"))
    for pattern, forge in patterns:
        if change.scheme in ("http", "https") and (found := pattern.search(change.path)):
            return _Place(forge, server, found["repository"].strip("/"), int(found["number"]))
    remote = _REMOTE.match(variables.get("GIT_URL", ""))
    if not remote:
        return _Place("none", "", "", 0)
    host, path = remote["host"], remote["path"]
    kind: ForgeKind = "none"
    if host == "github.com" or variables.get("GITHUB_API_URL"):
        kind = "github"
    elif host.startswith("gitlab.") or variables.get("CI_API_V4_URL"):
        kind = "gitlab"
    return _Place(kind, f"https://{host}", path, 0)


def _api(place: _Place, variables: Mapping[str, str]) -> str:
    if place.forge == "gitlab":
        return variables.get("CI_API_V4_URL", "").rstrip("/") or f"{place.server}/api/v4"
    if place.forge == "github":
        of_server = "https://api.github.com" if place.server == "https://github.com" else f"{place.server}/api/v3"
        return variables.get("GITHUB_API_URL", "").rstrip("/") or of_server
    return ""


def _token(forge: ForgeKind, variables: Mapping[str, str]) -> Token:
    if forge == "gitlab":
        return gitlab_token(variables)
    variable = next((each for each in _GITHUB_TOKENS if variables.get(each)), "")
    if forge == "none":
        return Token(variable, reason="The repository's forge is not known: neither CHANGE_URL nor GIT_URL names it.")
    return Token(variable, "write") if variable else Token(reason="There is no token: bind one to GITHUB_TOKEN.")


def _is_timed(variables: Mapping[str, str]) -> bool:
    return bool(variables.get("BUILD_CAUSE_TIMERTRIGGER")) or variables.get("BUILD_CAUSE") == "TIMERTRIGGER"
