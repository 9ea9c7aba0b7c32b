"""What lies in an endpoint's folder, and who writes it.

::

    endpoints/<name>/
    ├── deploy.lock        held while somebody deploys or removes the endpoint
    ├── supervisor.lock    held by the one supervisor, as long as it lives
    ├── request.json       what the deployer asks for
    ├── status.json        what the supervisor says about now, and the outcome of the last request
    ├── endpoint.json      what answers; written by the supervisor when traffic has moved
    ├── rollout.json       where the last rollout stands, or how it ended
    ├── revisions/<id>/    immutable bundles
    ├── figures/           what workers counted, and those that ended
    ├── sockets/           where a new revision takes what the stable one hands on
    └── logs/              endpoint.log and its predecessors
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from modelyard.deploy.local.settings import ServingSettings
from modelyard.deploy.rollout import Rollout
from modelyard.errors import ErrorRecord
from modelyard.operations.atomic import write_atomically

__all__ = [
    "Author",
    "Deployed",
    "EndpointFolder",
    "Outcome",
    "PastRevision",
    "Request",
    "Status",
    "WorkerStatus",
    "commit_of",
    "read_json",
    "write_json",
]

RecordT = TypeVar("RecordT", bound=msgspec.Struct)


class Request(msgspec.Struct, frozen=True):
    """What a deployer asks of the supervisor.

    Parameters
    ----------
    id
        Tells requests apart; the outcome names it.
    action
        ``deploy`` a revision, ``promote`` the one that has a part of the traffic or ``abort`` it, ``scale`` the
        workers of what answers, ``withdraw`` what was asked for and has not happened yet, or ``stop`` for good.
    revision
        What shall answer.
    port
        Where; 0 keeps the port, or takes a free one.
    timeout
        Seconds until the workers must be ready.
    settings
        How they run; None for ``stop``.
    author
        Who asks, and of what: what the history will say.
    rollout
        How the revision gets its traffic; None at once.
    """

    id: str
    action: Literal["deploy", "promote", "abort", "scale", "withdraw", "stop"]
    revision: str = ""
    port: int = 0
    timeout: float = 60.0
    settings: ServingSettings | None = None
    author: "Author | None" = None
    rollout: Rollout | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What became of a request."""

    request: str
    changed: bool = False
    error: ErrorRecord | None = None


class Author(msgspec.Struct, frozen=True):
    """Who put a revision before the traffic, and what is in it.

    Parameters
    ----------
    action
        ``deploy``, ``rollback`` or ``promote``.
    by
        The name of the user.
    commit
        The project's commit, with ``-dirty`` where its files were no longer those; empty if it has none.
    models
        The exact model of each model step.
    """

    action: str
    by: str = ""
    commit: str = ""
    models: dict[str, str] = {}


def commit_of(provenance: Mapping[str, Any]) -> str:
    """Return where a revision is from, as the history shows it.

    Parameters
    ----------
    provenance
        The bundle's: ``commit``, and whether the files were ``dirty``; empty outside of a repository.

    Examples
    --------
    >>> commit_of({"commit": "41c239e", "dirty": True}), commit_of({"commit": "41c239e"}), commit_of({})
    ('41c239e-dirty', '41c239e', '')
    """
    commit = str(provenance.get("commit", ""))
    return f"{commit}-dirty" if commit and provenance.get("dirty") else commit


class PastRevision(msgspec.Struct, frozen=True):
    """One entry of an endpoint's history.

    Parameters
    ----------
    revision
        What answered.
    since
        When traffic moved to it, in seconds since 1970.
    action, by, commit, models
        As for `Author`.
    """

    revision: str
    since: float
    action: str = "deploy"
    by: str = ""
    commit: str = ""
    models: dict[str, str] = {}


class Deployed(msgspec.Struct, frozen=True):
    """What answers at an endpoint.

    Parameters
    ----------
    revision, previous
        What answers now, and what did before; None if nothing did.
    port
        Where.
    grpc_port
        Where gRPC is answered; 0 if it is not.
    since
        When traffic moved, in seconds since 1970.
    settings
        How the workers run.
    history
        The revisions that answered, oldest first, this one last.
    """

    revision: str
    previous: str | None
    port: int
    since: float
    settings: ServingSettings
    history: tuple[PastRevision, ...] = ()
    grpc_port: int = 0

    @property
    def reachable_host(self) -> str:
        """An address of this machine that leads to the endpoint, also when it listens on all of them."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.settings.host, self.settings.host)  # noqa: S104

    @property
    def url(self) -> str:
        """Where it answers."""
        scheme = "https" if self.settings.certificates else "http"
        return f"{scheme}://{self._shown_host}:{self.port}"

    @property
    def grpc(self) -> str:
        """Where it answers gRPC, as ``host:port``; empty if it does not."""
        return f"{self._shown_host}:{self.grpc_port}" if self.grpc_port else ""

    @property
    def _shown_host(self) -> str:
        host = self.reachable_host
        return f"[{host}]" if ":" in host else host


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker process."""

    pid: int
    revision: str
    state: str
    restarts: int = 0


class Status(msgspec.Struct, frozen=True):
    """What the supervisor says about now.

    Parameters
    ----------
    pid
        The supervisor's own.
    state
        ``running`` or ``stopping``.
    workers
        The processes that serve or will.
    outcome
        That of the last request.
    metrics
        Where the metrics of all workers are; empty if nowhere.
    """

    pid: int
    state: Literal["running", "stopping"]
    workers: tuple[WorkerStatus, ...] = ()
    outcome: Outcome | None = None
    metrics: str = ""


class EndpointFolder:
    """The paths in an endpoint's folder.

    Parameters
    ----------
    state
        The environment's state location.
    name
        The endpoint's name.
    """

    def __init__(self, state: Path, name: str) -> None:
        self.name = name
        self.root = state / "endpoints" / name
        self.deploy_lock = self.root / "deploy.lock"
        self.supervisor_lock = self.root / "supervisor.lock"
        self.request = self.root / "request.json"
        self.status = self.root / "status.json"
        self.deployed = self.root / "endpoint.json"
        self.rollout = self.root / "rollout.json"
        self.sockets = self.root / "sockets"
        self.figures = self.root / "figures"
        self.revisions = self.root / "revisions"
        self.log = self.root / "logs" / "endpoint.log"
        self.supervisor_log = self.root / "logs" / "supervisor.log"

    @classmethod
    def at(cls, root: Path) -> "EndpointFolder":
        """Return the paths in the endpoint's folder `root`."""
        return cls(root.parent.parent, root.name)


def read_json(path: Path, type_: type[RecordT]) -> RecordT | None:
    """Return the record at `path`; None if there is none, or it is of another version."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_json(path: Path, record: Any) -> None:
    """Write a record so that a reader sees the old one or the new one, also after a crash."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(record), indent=2))
