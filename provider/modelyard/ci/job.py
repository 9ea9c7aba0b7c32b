"""One CI job: the project it works on, what is known of it, its folder, and what must not leave it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.ci.errors import ForgeError
from modelyard.ci.folder import CiFolder
from modelyard.ci.forges import completed, open_forge
from modelyard.ci.hosts import CiContext, detect
from modelyard.ci.redaction import Redaction
from modelyard.projects import Project, open_project

__all__ = ["FOLDER", "CiJob", "open_job"]

FOLDER = ".modelyard/ci"
"""Where the commands of a job leave their files, below the project, unless told otherwise."""


@dataclass(frozen=True)
class CiJob:
    """A CI job.

    Parameters
    ----------
    project
        The project it works on.
    context
        What is known of the job.
    folder
        Where its commands leave their files.
    redaction
        What must not leave the job.
    """

    project: Project
    context: CiContext
    folder: CiFolder
    redaction: Redaction


def open_job(project: str = ".", folder: str = "", variables: Mapping[str, str] | None = None) -> CiJob:
    """Return the CI job that this process is part of.

    Parameters
    ----------
    project
        The project's reference.
    folder
        Where the job's commands leave their files; empty is `FOLDER` below the project.
    variables
        The environment variables; those of this process unless given.

    Raises
    ------
    ProjectNotFound, ProjectInvalid
        There is no project, or its modelyard.yaml is wrong.
    """
    known = dict(os.environ) if variables is None else variables
    opened = open_project(project)
    secrets = [name for each in opened.definition.environments.values() for name in each.secrets]
    redaction = Redaction.of(known, secrets)
    context = detect(known)
    if context.event in ("comment", "workflow_run") or context.host == "jenkins":
        context = _completed(context, known)
    place = Path(folder) if folder else opened.root / FOLDER
    return CiJob(opened, context, CiFolder(place, redaction), redaction)


def _completed(context: CiContext, variables: Mapping[str, str]) -> CiContext:
    try:
        forge = open_forge(context, variables)
    except ForgeError:
        return context  # the report says what is wrong with it
    try:
        return completed(context, forge)
    finally:
        if forge:
            forge.close()
