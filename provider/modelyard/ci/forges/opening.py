"""Opens the forge that a job's context names."""

import os
from collections.abc import Mapping

import msgspec

from modelyard.ci.errors import ForgeError
from modelyard.ci.forges.connection import Connection, Patience
from modelyard.ci.forges.forge import Forge
from modelyard.ci.forges.github import GitHubForge
from modelyard.ci.forges.gitlab import GitLabForge
from modelyard.ci.hosts import CiContext

__all__ = ["completed", "open_forge"]

AUTHOR_VARIABLE = "MODELYARD_FORGE_USER"
"""Names the user of the token, where the forge does not tell: a GitHub app of one's own."""


def open_forge(context: CiContext, variables: Mapping[str, str] | None = None) -> Forge | None:
    """Return the forge of a job; None where there is none, or no token for it.

    Parameters
    ----------
    context
        The job.
    variables
        The environment variables with the token; those of this process unless given.

    Raises
    ------
    LibraryMissing
        httpx is not installed.
    ForgeUnreachable
        The address, the proxy, a certificate or the token is not of the kind that could work.
    """
    known = os.environ if variables is None else variables
    token = known.get(context.token.variable, "").strip() if context.token.variable else ""
    if not token or not context.api.startswith(("http://", "https://")) or not context.repository:
        return None
    patience, author = Patience.of(known), known.get(AUTHOR_VARIABLE, "")
    if context.forge == "github":
        return GitHubForge(Connection(context.api, GitHubForge.headers(token), patience), context.repository, author)
    if context.forge == "gitlab":
        headers = GitLabForge.headers(token, job=context.token.variable == "CI_JOB_TOKEN")
        pipeline = int(context.pipeline_id) if context.pipeline_id.isdigit() else 0
        project = context.project_id or context.repository
        return GitLabForge(Connection(context.api, headers, patience), project, pipeline, author)
    return None


def completed(context: CiContext, forge: Forge | None) -> CiContext:
    """Return a context with what only the forge knows: the request of a commit, and the last commit of a request.

    A comment's event does not name the commit, Jenkins builds a trial merge, and a run that another run of a fork has
    started does not name the request. What the forge does not tell stays as it is.
    """
    if forge is None:
        return context
    asks_commit = context.is_request and (context.event == "comment" or context.host == "jenkins")
    asks_request = not context.is_request and context.event == "workflow_run" and context.head_commit != ""
    try:
        if asks_commit:
            found = [forge.request(context.request)]
        elif asks_request:
            found = forge.requests_of(context.head_commit)
        else:
            return context
    except ForgeError:
        return context
    if len(found) != 1:
        return context
    facts = found[0]
    return msgspec.structs.replace(
        context,
        request=facts.number,
        head_commit=facts.head_commit,
        base_commit=facts.base_commit or context.base_commit,
        branch=facts.branch,
        base_branch=facts.base_branch,
        fork=facts.fork,
    )
