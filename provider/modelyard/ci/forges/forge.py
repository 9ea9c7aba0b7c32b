"""What a forge must be able to do for a report."""

from typing import Literal, NamedTuple, Protocol

__all__ = [
    "Annotation",
    "CheckReport",
    "Comment",
    "CommitState",
    "CommitStatus",
    "DeploymentReport",
    "Forge",
    "RequestFacts",
]

CommitState = Literal["pending", "success", "failure"]


class Comment(NamedTuple):
    """A comment on a request.

    Parameters
    ----------
    id
        The forge's number of it.
    author
        Who wrote it.
    body
        Its Markdown.
    url
        Its page; empty if not known.
    """

    id: int
    author: str
    body: str
    url: str = ""


class CommitStatus(NamedTuple):
    """A line beside a commit.

    Parameters
    ----------
    commit
        Which commit.
    name
        What the line is about, such as ``modelyard/flights``.
    state
        Its colour.
    description
        A short sentence.
    url
        Where more is said; may be empty.
    """

    commit: str
    name: str
    state: CommitState
    description: str
    url: str = ""


class Annotation(NamedTuple):
    """A remark on a line of a file.

    Parameters
    ----------
    path, line
        Where: relative to the repository.
    title, message
        What.
    level
        How bad.
    """

    path: str
    line: int
    title: str
    message: str
    level: Literal["notice", "warning", "failure"] = "failure"


class CheckReport(NamedTuple):
    """A status with a page of its own and remarks on lines.

    Parameters
    ----------
    status
        The line.
    summary
        Markdown.
    annotations
        Remarks on lines.
    """

    status: CommitStatus
    summary: str
    annotations: tuple[Annotation, ...] = ()


class DeploymentReport(NamedTuple):
    """Something that was deployed from a commit.

    Parameters
    ----------
    commit
        Which commit.
    environment
        The forge's name of the place, such as ``preview/flights-7``.
    url
        Where it answers; empty if that does not last.
    state
        How it stands.
    log_url
        The run that did it.
    transient
        Whether it goes away again.
    """

    commit: str
    environment: str
    url: str
    state: Literal["success", "failure", "inactive"]
    log_url: str = ""
    transient: bool = True


class RequestFacts(NamedTuple):
    """What a forge knows of a request.

    Parameters
    ----------
    number
        Its number.
    head_commit, base_commit
        Its last commit, and what it is against.
    branch, base_branch
        The same as branches.
    fork
        Whether it comes from another repository.
    is_open
        Whether it is neither merged nor closed.
    """

    number: int
    head_commit: str
    base_commit: str
    branch: str
    base_branch: str
    fork: bool
    is_open: bool


class Forge(Protocol):
    """A place where repositories and requests live.

    Every method raises `modelyard.ci.errors.ForgeError` if the forge does not do it. `create_comment` is never sent
    again when it may have been done: ask `comments` first.
    """

    most_characters: int
    """How long a comment may be."""

    def author(self) -> str:
        """Return the name under which the token writes."""
        ...

    def comments(self, request: int) -> list[Comment]:
        """Return the comments on a request, the oldest first."""
        ...

    def create_comment(self, request: int, body: str) -> Comment:
        """Write a comment."""
        ...

    def update_comment(self, request: int, comment: int, body: str) -> None:
        """Write a comment anew."""
        ...

    def set_status(self, status: CommitStatus) -> None:
        """Set the line beside a commit."""
        ...

    def set_check(self, check: CheckReport) -> None:
        """Set the line beside a commit, with a page and remarks; where a forge has no such thing, the line alone."""
        ...

    def deployed(self, deployment: DeploymentReport) -> None:
        """Tell of a deployment."""
        ...

    def request(self, number: int) -> RequestFacts:
        """Return what is known of a request."""
        ...

    def requests_of(self, commit: str) -> list[RequestFacts]:
        """Return the requests whose last commit this is."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...
