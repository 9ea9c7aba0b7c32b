"""What the console shows: the connections of the type ``modelyard``, and the projects that the configuration names."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from modelyard.airflow.connection import ConnectionSettings, settings_of
from modelyard.airflow.connection_form import CONNECTION_TYPE
from modelyard.airflow.errors import ConnectionNotFound
from modelyard.airflow.reader import Reader
from modelyard.errors import ModelyardError

__all__ = ["SECTION", "Place", "place_of_task", "places"]

SECTION = "modelyard"
"""The section of Airflow's configuration."""

_SHORTEST = 5
"""Shorter values are in too many words that are no secrets; Airflow's own masking has the same limit."""


@dataclass(frozen=True)
class Place:
    """An environment of a project, or a tracking server alone.

    Parameters
    ----------
    name
        What it is called in the console: ``connection:ml``, ``project:/path``.
    settings
        What the connection says.
    project, environment, python
        What is said besides; it comes before what the connection says.
    problem
        Why it cannot be read; empty if that is not known.
    """

    name: str
    settings: ConnectionSettings = field(default_factory=ConnectionSettings)
    project: str = ""
    environment: str = ""
    python: str = ""
    problem: str = ""

    @property
    def reader(self) -> Reader:
        """Reads it."""
        return Reader(
            self.project or self.settings.project,
            self.environment,
            self.python,
            self.settings,
        )

    def without_secrets(self, text: str) -> str:
        """Return a text with ``***`` in the place of the connection's secrets."""
        for secret in sorted(self.settings.hidden.values(), key=len, reverse=True):
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, "***")
        return text


def places() -> list[Place]:
    """Return all places, those of connections first.

    Connections are those of Airflow's database, and those that ``[modelyard] connections`` names because they are in
    environment variables or in another store of secrets. ``[modelyard] projects`` names projects without a connection.
    """
    found = {each.name: each for each in (*_of_database(), *map(_of_connection, _listed("connections")))}
    projects = [Place(f"project:{each}", project=each) for each in _listed("projects")]
    return [*sorted(found.values(), key=lambda each: each.name), *projects]


def place_of_task(dag_file: str, fields: dict[str, Any]) -> Place:
    """Return the place of a task's work, as its operator finds it.

    Parameters
    ----------
    dag_file
        The path of the DAG file, as the workers know it.
    fields
        The task's rendered fields ``conn_id``, ``project``, ``environment`` and ``python``, as far as it has them.
    """
    given = {name: str(fields.get(name) or "") for name in ("conn_id", "project", "environment", "python")}
    conn_id = given["conn_id"]
    place = _of_connection(conn_id) if conn_id else Place("task")
    project = given["project"] or place.settings.project
    if not project.startswith("git+") and "://" not in project:
        project = str(Path(dag_file).parent / project)
    return Place(place.name, place.settings, project, given["environment"], given["python"], place.problem)


def _listed(option: str) -> list[str]:
    text = conf.get(SECTION, option, fallback="") or ""
    return [each.strip() for each in text.split(",") if each.strip()]


def _of_database() -> Iterator[Place]:
    from sqlalchemy import select

    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        for each in session.scalars(select(Connection).where(Connection.conn_type == CONNECTION_TYPE)):
            yield _place(each.conn_id, each)


def _of_connection(conn_id: str) -> Place:
    from airflow.models.connection import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        found = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        return Place(f"connection:{conn_id}", problem=str(ConnectionNotFound(conn_id)))
    return _place(conn_id, found)


def _place(conn_id: str, connection: Any) -> Place:
    name = f"connection:{conn_id}"
    try:
        return Place(name, settings_of(connection))
    except ModelyardError as error:
        return Place(name, problem=str(error))
