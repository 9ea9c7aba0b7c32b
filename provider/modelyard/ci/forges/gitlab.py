"""GitLab by its REST API, version 4."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from modelyard.ci.forges.connection import Connection
from modelyard.ci.forges.forge import CheckReport, Comment, CommitStatus, DeploymentReport, RequestFacts

__all__ = ["GitLabForge"]

_STATES = {"pending": "pending", "success": "success", "failure": "failed"}
_DESCRIPTION = 255


class GitLabForge:
    """A project on GitLab; a `modelyard.ci.forges.Forge`.

    Parameters
    ----------
    connection
        To the API.
    project
        The project's number, or its path with ``/`` written as ``%2F``.
    pipeline
        The number of the pipeline that statuses belong to; 0 lets GitLab choose.
    author
        The name under which the token writes; asked of GitLab if empty.
    """

    most_characters = 1_000_000

    def __init__(self, connection: Connection, project: str, pipeline: int = 0, author: str = "") -> None:
        self._connection = connection
        self._place = f"projects/{project if '%' in project else quote(project, safe='')}"
        self._pipeline = pipeline
        self._author = author

    @staticmethod
    def headers(token: str, *, job: bool = False) -> Mapping[str, str]:
        """Return what every request carries; a job's own token has a header of its own."""
        return {"JOB-TOKEN" if job else "PRIVATE-TOKEN": token}

    def author(self) -> str:
        """Return the name under which the token writes."""
        if not self._author:
            self._author = str(self._connection.send("GET", "user")["username"])
        return self._author

    def comments(self, request: int) -> list[Comment]:
        """Return the notes on a merge request."""
        path = f"{self._place}/merge_requests/{request}/notes"
        rows = self._connection.pages(path, sort="asc", order_by="created_at")
        return [_comment(each) for each in rows if not each.get("system")]

    def create_comment(self, request: int, body: str) -> Comment:
        """Write a note on a merge request."""
        path = f"{self._place}/merge_requests/{request}/notes"
        return _comment(self._connection.send("POST", path, {"body": body}, repeatable=False))

    def update_comment(self, request: int, comment: int, body: str) -> None:
        """Write a note anew."""
        path = f"{self._place}/merge_requests/{request}/notes/{comment}"
        self._connection.send("PUT", path, {"body": body})

    def set_status(self, status: CommitStatus) -> None:
        """Set a commit status."""
        text = status.description
        body: dict[str, Any] = {
            "state": _STATES[status.state],
            "name": status.name,
            "description": text if len(text) <= _DESCRIPTION else f"{text[: _DESCRIPTION - 1]}…",
        }
        if status.url and len(status.url) <= 255:
            body["target_url"] = status.url
        if self._pipeline:
            body["pipeline_id"] = self._pipeline
        self._connection.send("POST", f"{self._place}/statuses/{quote(status.commit, safe='')}", body)

    def set_check(self, check: CheckReport) -> None:
        """Set the line alone: GitLab takes remarks on lines from the job's artifacts."""
        self.set_status(check.status)

    def deployed(self, deployment: DeploymentReport) -> None:
        """Do nothing: on GitLab the job's own ``environment:`` tells of it."""

    def request(self, number: int) -> RequestFacts:
        """Return what is known of a merge request."""
        return _facts(self._connection.send("GET", f"{self._place}/merge_requests/{number}"))

    def requests_of(self, commit: str) -> list[RequestFacts]:
        """Return the open merge requests whose last commit this is."""
        path = f"{self._place}/repository/commits/{quote(commit, safe='')}/merge_requests"
        found = [_facts(each) for each in self._connection.send("GET", path)]
        return [each for each in found if each.head_commit == commit and each.is_open]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _comment(row: Mapping[str, Any]) -> Comment:
    return Comment(int(row["id"]), str((row.get("author") or {}).get("username", "")), row["body"])


def _facts(row: Mapping[str, Any]) -> RequestFacts:
    refs = row.get("diff_refs") or {}
    return RequestFacts(
        number=int(row["iid"]),
        head_commit=row["sha"],
        base_commit=refs.get("base_sha") or "",
        branch=row["source_branch"],
        base_branch=row["target_branch"],
        fork=row["source_project_id"] != row["target_project_id"],
        is_open=row.get("state") == "opened",
    )
