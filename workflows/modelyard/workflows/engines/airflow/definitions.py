"""Finds a workflow's definition while a DAG file is read: fast, and without the network where it can."""

import hashlib
import logging
import time
from pathlib import Path

import msgspec

from modelyard.errors import ModelyardError
from modelyard.operations.atomic import write_atomically
from modelyard.projects import open_project
from modelyard.projects.folders import cache_folder
from modelyard.workflows.definition import Workflow
from modelyard.workflows.errors import NotAWorkflow

__all__ = ["Found", "find_workflow"]

REFRESH_SECONDS = 300.0
"""How long the definition of a branch of a git repository is taken from the cache."""

_LOG = logging.getLogger("modelyard.workflows")


class Found(msgspec.Struct, frozen=True):
    """A workflow, and the name of its project."""

    project: str
    workflow: Workflow


class _Cached(msgspec.Struct, frozen=True):
    project: str
    workflow: str
    at: float


def find_workflow(project: str, name: str) -> Found:
    """Return a workflow of a project.

    The definition at a git reference is kept in the machine's cache. It is looked at again after some minutes, and
    taken from the cache where the repository does not answer, so that a DAG does not vanish with the network.

    Parameters
    ----------
    project
        The project's reference, as `modelyard.operators.airflow.place.located` returns it.
    name
        The workflow's name in modelyard.yaml, or package.module:name.

    Raises
    ------
    ModelyardError
        There is no such project or workflow, or it cannot be imported.
    """
    if not project.startswith("git+"):
        return _loaded(project, name)
    path = cache_folder() / "workflows" / f"{hashlib.sha256(f'{project} {name}'.encode()).hexdigest()}.json"
    cached = _read(path)
    if cached is not None and time.time() - cached.at < REFRESH_SECONDS:
        return Found(cached.project, Workflow.decoded(cached.workflow.encode()))
    try:
        found = _loaded(project, name)
    except ModelyardError as error:
        if cached is None or not error.outcome.retry:
            raise
        _LOG.warning("%s does not answer; the workflow %s is taken from the cache: %s", project, name, error)
        return Found(cached.project, Workflow.decoded(cached.workflow.encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, msgspec.json.encode(_Cached(found.project, found.workflow.encoded().decode(), time.time())))
    return found


def _loaded(project: str, name: str) -> Found:
    opened = open_project(project)
    workflow = opened.load_workflow(name)
    if not isinstance(workflow, Workflow):
        raise NotAWorkflow(name, type(workflow).__name__)
    return Found(opened.name, workflow)


def _read(path: Path) -> _Cached | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Cached)
    except (OSError, msgspec.DecodeError):
        return None
