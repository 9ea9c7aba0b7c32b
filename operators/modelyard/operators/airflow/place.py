"""Where a task's work belongs: connection, project, environment; found when the task runs."""

from pathlib import Path
from typing import Any, NamedTuple

from modelyard.airflow.connection import ConnectionSettings
from modelyard.operations import ParameterType
from modelyard.operators.airflow.errors import BundleProjectNotFound
from modelyard.operators.airflow.masking import Mask, mask_of
from modelyard.operators.airflow.values import plain

__all__ = ["BUNDLE", "Place", "connection_settings", "located", "place_of", "text_of"]

BUNDLE = "bundle:"
"""Begins a reference to a project by its path from the root of the DAG bundle."""


class Place(NamedTuple):
    """A project's environment, as a task uses it."""

    project: str
    """The reference that opens the project."""
    environment: str
    """The environment's name; empty is the project's default."""
    deploy_target: str
    """Where to deploy if the task does not say."""
    mask: Mask
    """Hides the secrets of the environment and of the connection."""
    tracking: str = ""
    """Where the environment tracks to."""


def connection_settings(conn_id: str) -> ConnectionSettings:
    """Return what a connection says; nothing for no connection.

    Raises
    ------
    ConnectionNotFound, ConnectionInvalid
        It cannot be used.
    """
    if not conn_id:
        return ConnectionSettings()
    # Imported here: a DAG file is read many times a minute and needs no hook.
    from modelyard.airflow.hook import ModelyardHook

    return ModelyardHook(conn_id).get_conn()


def place_of(settings: ConnectionSettings, project: str, environment: str, folder: Path) -> Place:
    """Return the place of a task's work, with the connection's variables in effect.

    Parameters
    ----------
    settings
        What the connection says.
    project, environment
        What the task says.
    folder
        The folder of the DAG file.

    Raises
    ------
    ProjectNotFound, ProjectInvalid, EnvironmentNotFound, ConnectionUnused
        There is no such place.
    """
    from modelyard.projects import open_project

    opened = open_project(located(project or settings.project, folder))
    chosen = opened.environment(environment)
    settings.check_tracking(chosen.name, chosen.tracking)
    mask = mask_of(settings.hidden, chosen.secrets)
    return Place(opened.reference, environment, settings.deploy_target, mask, chosen.tracking)


def text_of(field: Any) -> str:
    """Return the text in a rendered field; nothing is an empty one."""
    value = plain(field, ParameterType("string"))
    return "" if value is None else str(value)


def located(project: str, folder: Path) -> str:
    """Return a project reference, a path taken from the folder of the DAG file or from the root of its DAG bundle.

    Parameters
    ----------
    project
        A path, relative to the folder; ``bundle:`` and a path from the root of the DAG bundle; or ``git+URL@ref#sub``.
    folder
        The folder of the DAG file, as it lies on this machine: for a run of a versioned bundle, in that version.

    Raises
    ------
    BundleProjectNotFound
        Neither this folder nor one above it has that path.

    Examples
    --------
    >>> located("../flights", Path("/dags")), located("git+https://host/flights@main", Path("/dags"))
    ('/dags/../flights', 'git+https://host/flights@main')
    """
    if project.startswith(BUNDLE):
        inside = project.removeprefix(BUNDLE).strip("/")
        for above in (folder, *folder.parents):
            if (above / inside / "modelyard.yaml").is_file():
                return str(above / inside)
        raise BundleProjectNotFound(project, str(folder))
    if project.startswith("git+") or "://" in project:
        return project
    return str(folder / project)
