"""What an engine that runs elsewhere is asked to do, and what it answers."""

import logging
from dataclasses import dataclass, field
from typing import Any

from modelyard.operations import NoProgress, Progress
from modelyard.workflows.definition import Workflow
from modelyard.workflows.outcome import WorkflowOutcome

__all__ = ["Publication", "RemoteRun", "RunRequest"]


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A workflow to be run elsewhere.

    Parameters
    ----------
    workflow
        The workflow.
    name
        Its name in modelyard.yaml, or ``package.module:name``.
    inputs
        All of its inputs, as `Workflow.bind` returns them.
    project, project_name, environment
        The project's reference and name, and the environment's name.
    workflow_run
        Names the run: the same name attaches to a run that is under way, and continues one that failed.
    follow
        Whether to wait for its end.
    log, progress
        Where to tell how it goes.
    """

    workflow: Workflow
    name: str
    inputs: dict[str, Any]
    project: str
    project_name: str
    environment: str = ""
    workflow_run: str
    follow: bool = False
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("modelyard.workflows"))
    progress: Progress = field(default_factory=NoProgress)


@dataclass(frozen=True, kw_only=True)
class RemoteRun:
    """A run elsewhere.

    Parameters
    ----------
    run
        What the run is called there.
    url
        Where people look at it; empty where there is no such place.
    outcome
        What it left; None where nobody waited for its end.
    """

    run: str
    url: str = ""
    outcome: WorkflowOutcome | None = None


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A workflow that people can start elsewhere.

    Parameters
    ----------
    name
        What it is called there.
    version
        The version's name.
    url
        Where people look at it.
    schedule
        The id of what starts it; empty where nothing does.
    replaced
        The ids of earlier schedules of the same name, which start nothing any more.
    """

    name: str
    version: str
    url: str
    schedule: str = ""
    replaced: tuple[str, ...] = ()
