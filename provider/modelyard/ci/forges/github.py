"""GitHub, and GitHub Enterprise Server, by the REST API."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from modelyard.ci.errors import ForgeDenied
from modelyard.ci.forges.connection import Connection
from modelyard.ci.forges.forge import Annotation, CheckReport, Comment, CommitStatus, DeploymentReport, RequestFacts

__all__ = ["GitHubForge"]

ACTIONS_BOT = "github-actions[bot]"
_VERSION = "2022-11-28"
_ANNOTATIONS, _DESCRIPTION, _SUMMARY = 50, 140, 65_000


class GitHubForge:
    """A repository on GitHub; a `modelyard.ci.forges.Forge`.

    Parameters
    ----------
    connection
        To the API.
    repository
        ``owner/name``.
    author
        The name under which the token writes; asked of GitHub if empty.
    """

    most_characters = 65_536

    def __init__(self, connection: Connection, repository: str, author: str = "") -> None:
        self._connection = connection
        owner, _, name = repository.partition("/")
        self._place = f"repos/{quote(owner, safe='')}/{quote(name, safe='')}"
        self._author = author

    @staticmethod
    def headers(token: str) -> Mapping[str, str]:
        """Return what every request carries."""
        return {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": _VERSION,
        }

    def author(self) -> str:
        """Return the name under which the token writes; a job's own token may not ask, and is the Actions bot."""
        if not self._author:
            try:
                self._author = str(self._connection.send("GET", "user")["login"])
            except ForgeDenied as error:
                if error.facts["status"] != 403:
                    raise
                self._author = ACTIONS_BOT
        return self._author

    def comments(self, request: int) -> list[Comment]:
        """Return the comments on a pull request."""
        rows = self._connection.pages(f"{self._place}/issues/{request}/comments")
        return [_comment(each) for each in rows]

    def create_comment(self, request: int, body: str) -> Comment:
        """Write a comment on a pull request."""
        path = f"{self._place}/issues/{request}/comments"
        return _comment(self._connection.send("POST", path, {"body": body}, repeatable=False))

    def update_comment(self, request: int, comment: int, body: str) -> None:
        """Write a comment anew."""
        del request
        self._connection.send("PATCH", f"{self._place}/issues/comments/{comment}", {"body": body})

    def set_status(self, status: CommitStatus) -> None:
        """Set a commit status."""
        body = {"state": status.state, "context": status.name, "description": _cut(status.description, _DESCRIPTION)}
        if status.url:
            body["target_url"] = status.url
        self._connection.send("POST", f"{self._place}/statuses/{quote(status.commit, safe='')}", body)

    def set_check(self, check: CheckReport) -> None:
        """Make a check run; its annotations are sent 50 at a time."""
        status = check.status
        batches = [check.annotations[at : at + _ANNOTATIONS] for at in range(0, len(check.annotations), _ANNOTATIONS)]
        text = {"title": _cut(status.description, 255), "summary": _cut(check.summary, _SUMMARY)}
        state = (
            {"status": "in_progress"}
            if status.state == "pending"
            else {"status": "completed", "conclusion": status.state}
        )
        body: dict[str, Any] = {"name": status.name, "head_sha": status.commit, **state, "output": text}
        if status.url:
            body["details_url"] = status.url
        if batches:
            body["output"] = {**text, "annotations": [_annotation(each) for each in batches[0]]}
        made = self._connection.send("POST", f"{self._place}/check-runs", body)
        for batch in batches[1:]:
            more = {"output": {**text, "annotations": [_annotation(each) for each in batch]}}
            self._connection.send("PATCH", f"{self._place}/check-runs/{made['id']}", more)

    def deployed(self, deployment: DeploymentReport) -> None:
        """Make a deployment and its status; one that ended makes the earlier ones of its environment inactive."""
        if deployment.state == "inactive":
            for each in self._connection.pages(f"{self._place}/deployments", environment=deployment.environment):
                self._deployment_status(int(each["id"]), deployment)
            return
        body = {
            "ref": deployment.commit,
            "environment": deployment.environment,
            "auto_merge": False,
            "required_contexts": [],
            "transient_environment": deployment.transient,
            "production_environment": not deployment.transient,
        }
        made = self._connection.send("POST", f"{self._place}/deployments", body)
        self._deployment_status(int(made["id"]), deployment)

    def request(self, number: int) -> RequestFacts:
        """Return what is known of a pull request."""
        return _facts(self._connection.send("GET", f"{self._place}/pulls/{number}"))

    def requests_of(self, commit: str) -> list[RequestFacts]:
        """Return the open pull requests whose last commit this is."""
        rows = self._connection.send("GET", f"{self._place}/commits/{quote(commit, safe='')}/pulls")
        found = [_facts(each) for each in rows]
        return [each for each in found if each.head_commit == commit and each.is_open]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _deployment_status(self, number: int, deployment: DeploymentReport) -> None:
        body: dict[str, Any] = {"state": deployment.state, "auto_inactive": True}
        if deployment.url:
            body["environment_url"] = deployment.url
        if deployment.log_url:
            body["log_url"] = deployment.log_url
        self._connection.send("POST", f"{self._place}/deployments/{number}/statuses", body)


def _comment(row: Mapping[str, Any]) -> Comment:
    return Comment(int(row["id"]), str((row.get("user") or {}).get("login", "")), row["body"], row.get("html_url", ""))


def _facts(row: Mapping[str, Any]) -> RequestFacts:
    head, base = row["head"], row["base"]
    mine = (base.get("repo") or {}).get("full_name")
    return RequestFacts(
        number=int(row["number"]),
        head_commit=head["sha"],
        base_commit=base["sha"],
        branch=head["ref"],
        base_branch=base["ref"],
        fork=(head.get("repo") or {}).get("full_name") != mine,
        is_open=row.get("state") == "open",
    )


def _annotation(each: Annotation) -> dict[str, Any]:
    return {
        "path": each.path,
        "start_line": each.line,
        "end_line": each.line,
        "annotation_level": each.level,
        "title": _cut(each.title, 255),
        "message": _cut(each.message, 10_000),
    }


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
