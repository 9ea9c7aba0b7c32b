"""What a CI job knows about itself, in the same words on every host."""

from typing import Literal

import msgspec

__all__ = ["CiContext", "CiFiles", "EventKind", "ForgeKind", "HostKind", "Token", "TokenAbility"]

HostKind = Literal["github", "gitlab", "jenkins", "none"]
"""What runs the job; ``none`` is a person's machine, or a host that is not known."""

ForgeKind = Literal["github", "gitlab", "none"]
"""Where the repository and its requests live, and where reports go."""

EventKind = Literal[
    "request", "request_closed", "merge_queue", "push", "comment", "schedule", "dispatch", "workflow_run", "none"
]
"""Why the job runs; a request is a pull request or a merge request."""

TokenAbility = Literal["write", "read", "none"]
"""``write``: may comment, as far as can be told beforehand. ``read``: the host says that it may not."""


class Token(msgspec.Struct, frozen=True):
    """Where the forge's token is, never the token itself.

    Parameters
    ----------
    variable
        The environment variable that holds it; empty if there is none.
    ability
        What it is good for.
    reason
        Why it cannot comment, in a sentence for people; empty if it can.
    """

    variable: str = ""
    ability: TokenAbility = "none"
    reason: str = ""


class CiFiles(msgspec.Struct, frozen=True):
    """Files through which the host takes things from a job; empty where it has no such file.

    Parameters
    ----------
    summary
        Markdown that is shown beside the job.
    outputs
        Values for later steps and jobs.
    event
        The event's own payload, as JSON.
    """

    summary: str = ""
    outputs: str = ""
    event: str = ""


class CiContext(msgspec.Struct, frozen=True):
    """A CI job's surroundings.

    Parameters
    ----------
    host
        What runs the job.
    event
        Why it runs.
    event_name
        The host's own word for that.
    forge
        Where reports go.
    api
        The base of the forge's API, without a slash at the end.
    server
        The forge's web pages.
    repository
        ``owner/name``; of GitLab the project's path.
    project_id
        GitLab's number of the project; elsewhere empty.
    request
        The number of the pull request or merge request; 0 if there is none.
    head_commit
        The commit that is judged, and that statuses are put on: a request's own last commit, not a trial merge.
    base_commit
        What the change is against: the base of a request, or what was there before a push; empty if unknown.
    branch, base_branch
        The branch with the change, and the one that it is for.
    fork
        Whether the change comes from another repository.
    actor
        Who caused the event.
    association
        What the author of a comment is to the repository, such as ``MEMBER``; empty for other events.
    comment
        The text of a comment; empty for other events. It is from outside.
    run_id, run_url
        The host's name and page of this run.
    pipeline_id
        GitLab's number of the pipeline.
    token
        Where the forge's token is.
    files
        The files that the host reads.
    """

    host: HostKind = "none"
    event: EventKind = "none"
    event_name: str = ""
    forge: ForgeKind = "none"
    api: str = ""
    server: str = ""
    repository: str = ""
    project_id: str = ""
    request: int = 0
    head_commit: str = ""
    base_commit: str = ""
    branch: str = ""
    base_branch: str = ""
    fork: bool = False
    actor: str = ""
    association: str = ""
    comment: str = ""
    run_id: str = ""
    run_url: str = ""
    pipeline_id: str = ""
    token: Token = Token()
    files: CiFiles = CiFiles()

    @property
    def is_request(self) -> bool:
        """Whether a report belongs on a request."""
        return self.request > 0

    @property
    def may_command(self) -> bool:
        """Whether the author of a comment may start work with it: owners, members and collaborators may.

        Examples
        --------
        >>> CiContext(event="comment", association="MEMBER").may_command
        True
        >>> CiContext(event="comment", association="NONE").may_command
        False
        """
        return self.event == "comment" and self.association in ("OWNER", "MEMBER", "COLLABORATOR")
