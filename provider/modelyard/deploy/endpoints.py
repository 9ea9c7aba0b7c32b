"""The register of endpoints: what answers where, read from the state location without disturbing it."""

import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelyard.deploy.errors import EndpointNameInvalid, EndpointNotFound
from modelyard.deploy.local.locks import is_held
from modelyard.deploy.local.logs import tail
from modelyard.deploy.local.records import (
    Deployed,
    EndpointFolder,
    PastRevision,
    Status,
    WorkerStatus,
    read_json,
)
from modelyard.deploy.local.settings import Scale
from modelyard.deploy.rollout import RolloutStatus
from modelyard.serving.bundle import read_manifest
from modelyard.serving.errors import BundleInvalid

__all__ = ["EndpointRecord", "check_endpoint_name", "list_endpoints", "read_endpoint", "tail_log"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class EndpointRecord(msgspec.Struct, frozen=True):
    """One endpoint, as it is now.

    Parameters
    ----------
    name
        The endpoint's name.
    state
        ``running``; ``idle``, if it waits for a request with no worker; ``starting``, while a worker is (re)started;
        ``stopped``, if its supervisor is gone.
    url, grpc
        Where it answers; the latter is empty if it does not answer gRPC.
    metrics
        Where the page, the metrics and admin calls of all its workers are; empty until its supervisor is up.
    graph, project
        What it serves.
    revision, previous
        The revision that answers, and the one before.
    models
        The exact model of each model step.
    since
        When traffic moved to the revision, in seconds since 1970.
    provenance
        Commit of the project, and whether it was dirty.
    supervisor
        The process id of the supervisor; 0 if it is gone.
    workers
        The worker processes.
    scale
        The bounds of their number.
    history
        The revisions that answered, oldest first: since when, who did what, the commit, the models.
    rollout
        Where the last rollout stands, or how it ended; None if there was none.
    log
        The path of its log.
    """

    name: str
    state: Literal["running", "idle", "starting", "stopped"]
    url: str
    grpc: str
    metrics: str
    graph: str
    project: str
    revision: str
    previous: str | None
    models: dict[str, str]
    since: float
    provenance: dict[str, Any]
    supervisor: int
    workers: tuple[WorkerStatus, ...]
    scale: Scale
    history: tuple[PastRevision, ...]
    rollout: RolloutStatus | None
    log: str


def check_endpoint_name(name: str) -> str:
    """Return `name` if it can be an endpoint's.

    Raises
    ------
    EndpointNameInvalid
        It cannot.

    Examples
    --------
    >>> check_endpoint_name("delays-2")
    'delays-2'
    """
    if not _NAME.fullmatch(name):
        raise EndpointNameInvalid(name)
    return name


def list_endpoints(state: Path) -> list[EndpointRecord]:
    """Return the endpoints of an environment, by name.

    Parameters
    ----------
    state
        The environment's state folder.
    """
    found = (_record(state, name) for name in _names(state))
    return [record for record in found if record]


def read_endpoint(state: Path, name: str) -> EndpointRecord:
    """Return one endpoint.

    Raises
    ------
    EndpointNotFound
        There is none of this name; the error names the nearest.
    """
    record = _record(state, name)
    if not record:
        raise EndpointNotFound(name, [each.name for each in list_endpoints(state)])
    return record


def tail_log(state: Path, name: str, lines: int = 50) -> list[str]:
    """Return the last lines of an endpoint's log.

    Raises
    ------
    EndpointNotFound
        There is none of this name.
    """
    folder = EndpointFolder(state, check_endpoint_name(name))
    if not folder.root.is_dir():
        raise EndpointNotFound(name, _names(state))
    return tail(folder.log, lines)


def _names(state: Path) -> list[str]:
    try:
        return sorted(each.name for each in (state / "endpoints").iterdir() if _NAME.fullmatch(each.name))
    except FileNotFoundError:
        return []


def _record(state: Path, name: str) -> EndpointRecord | None:
    folder = EndpointFolder(state, check_endpoint_name(name))
    deployed = read_json(folder.deployed, Deployed)
    if not deployed:
        return None
    try:
        manifest = read_manifest(folder.revisions / deployed.revision)
    except BundleInvalid:
        return None
    status = read_json(folder.status, Status) if is_held(folder.supervisor_lock) else None
    workers = status.workers if status else ()
    mine = [worker for worker in workers if worker.revision == deployed.revision]
    least = deployed.settings.workers.min
    up = len(mine) >= max(least, 1) and all(worker.state in ("accepting", "draining") for worker in mine)
    idle = not mine and not least
    return EndpointRecord(
        name=name,
        state="stopped" if not status else "running" if up else "idle" if idle else "starting",
        url=deployed.url,
        grpc=deployed.grpc,
        metrics=status.metrics if status else "",
        graph=manifest.graph.name,
        project=manifest.project,
        revision=deployed.revision,
        previous=deployed.previous,
        models={step: model.reference for step, model in manifest.models.items()},
        since=deployed.since,
        provenance=manifest.provenance,
        supervisor=status.pid if status else 0,
        workers=workers,
        scale=deployed.settings.workers,
        history=deployed.history,
        rollout=read_json(folder.rollout, RolloutStatus),
        log=str(folder.log),
    )
