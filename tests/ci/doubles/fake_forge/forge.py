"""The state of the fake forge: what was written to it, who may write, what goes wrong, and everything it was asked."""

import re
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Token:
    """Who shows a token, and what it allows: all, all but deployments, nothing but reading, statuses alone."""

    login: str = "github-actions[bot]"
    may: Literal["write", "request", "read", "statuses"] = "write"
    is_person: bool = False


@dataclass
class Fault:
    """Something that goes wrong for the next `times` requests that fit.

    `after` lets the request be done first: the answer alone is lost. A status of 0 ends the connection unanswered;
    `seconds` makes the answer late.
    """

    method: str = ""
    path: str = ""
    status: int = 500
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "injected"
    seconds: float = 0.0
    after: bool = False

    def fits(self, method: str, path: str) -> bool:
        """Tell whether it is about this request."""
        return self.times > 0 and self.method in ("", method) and bool(re.search(self.path, path))


def _tokens() -> dict[str, Token]:
    return {
        "forge-secret-write": Token(),
        "forge-secret-request": Token(may="request"),
        "forge-secret-read": Token(may="read"),
        "forge-secret-statuses": Token(may="statuses"),
        "forge-secret-person": Token("ada", is_person=True),
        "forge-secret-gitlab": Token("project_1_bot", is_person=True),
    }


@dataclass
class Forge:
    """Everything that the fake forge knows.

    Attributes
    ----------
    comments
        Of GitHub, by request number; of GitLab (`notes`) likewise.
    log
        Every request: method, path, whether it had a token, body, and the status that was answered.
    """

    tokens: dict[str, Token] = field(default_factory=_tokens)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    statuses: list[dict[str, Any]] = field(default_factory=list)
    check_runs: list[dict[str, Any]] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    deployment_statuses: list[dict[str, Any]] = field(default_factory=list)
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    requests: dict[int, dict[str, Any]] = field(default_factory=dict)
    notes: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    mlflow: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    faults: list[Fault] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    url: str = ""
    _last: int = 0

    @property
    def github(self) -> str:
        """The base of GitHub's API."""
        return f"{self.url}/github"

    @property
    def gitlab(self) -> str:
        """The base of GitLab's API."""
        return f"{self.url}/gitlab/api/v4"

    def new_id(self) -> int:
        """Return a number that nothing else has."""
        self._last += 1
        return 1000 + self._last

    def fault(self, method: str, path: str) -> Fault | None:
        """Take the fault that a request meets."""
        with self.lock:
            found = next((each for each in self.faults if each.fits(method, path)), None)
            if found:
                found.times -= 1
            return found

    def asked(self, method: str, path: str = "") -> list[dict[str, Any]]:
        """Return the requests of a method whose path holds `path`."""
        return [each for each in self.log if each["method"] == method and path in each["path"]]

    def state(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "comments": {str(number): each for number, each in self.comments.items()},
            "statuses": self.statuses,
            "check_runs": self.check_runs,
            "deployments": self.deployments,
            "deployment_statuses": self.deployment_statuses,
            "dispatches": self.dispatches,
            "notes": {str(number): each for number, each in self.notes.items()},
            "mlflow": self.mlflow,
        }
