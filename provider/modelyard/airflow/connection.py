"""What an Airflow connection of the type ``modelyard`` says, checked."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from modelyard.airflow.connection_form import CONNECTION_TYPE, FIELDS
from modelyard.airflow.errors import ConnectionInvalid, ConnectionUnused

__all__ = ["ConnectionSettings", "address_of", "settings_of"]


@dataclass(frozen=True, kw_only=True)
class ConnectionSettings:
    """What a connection says; what it leaves out is empty.

    Parameters
    ----------
    conn_id
        The connection's name; empty where there is none.
    project
        The project's reference.
    environment, python
        What MODELYARD_ENVIRONMENT and MODELYARD_PYTHON are to be.
    tracking_uri
        Fills in ``${MLFLOW_TRACKING_URI}``.
    deploy_target
        The target of tasks that deploy and name none.
    username, password
        Who we are to the tracking server.
    secrets
        Values by name.

    Examples
    --------
    >>> ConnectionSettings(tracking_uri="https://mlflow", secrets={"TOKEN": "s3cret"}).variables
    {'MLFLOW_TRACKING_URI': 'https://mlflow', 'TOKEN': 's3cret'}
    """

    conn_id: str = ""
    project: str = ""
    environment: str = ""
    python: str = ""
    tracking_uri: str = ""
    deploy_target: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that the work gets from it."""
        named = {
            "MODELYARD_ENVIRONMENT": self.environment,
            "MODELYARD_PYTHON": self.python,
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_TRACKING_USERNAME": self.username,
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }
        return {**{name: value for name, value in named.items() if value}, **self.secrets}

    @property
    def hidden(self) -> dict[str, str]:
        """The values that nobody shall see, by name."""
        return {**({"MLFLOW_TRACKING_PASSWORD": self.password} if self.password else {}), **self.secrets}

    @contextmanager
    def in_effect(self) -> Iterator[None]:
        """Have this process, a task's own, and the work that it starts see the variables."""
        before = {name: os.environ.get(name) for name in self.variables}
        os.environ.update(self.variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def check_tracking(self, environment: str, tracking: str) -> None:
        """Refuse a tracking URI that would not be used.

        Parameters
        ----------
        environment
            The name of the project's environment.
        tracking
            Where it tracks to.

        Raises
        ------
        ConnectionUnused
            It tracks to another place than the connection names.
        """
        from modelyard.projects.credentials import without_credentials

        if self.tracking_uri and self.tracking_uri.rstrip("/") != tracking.rstrip("/"):
            named, taken = without_credentials(self.tracking_uri), without_credentials(tracking)
            raise ConnectionUnused(self.conn_id, named, environment, taken)


def address_of(connection: Any, scheme: str) -> str:
    """Return the address in an Airflow connection's host; its schema and its port come in where the host has no scheme.

    Parameters
    ----------
    connection
        A connection of any type.
    scheme
        What counts where nothing says it.

    Returns
    -------
    str
        The address; empty without a host.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> address_of(SimpleNamespace(host="kfp.example.com/pipeline", port=8888, schema=None), "http")
    'http://kfp.example.com:8888/pipeline'
    """
    host = str(connection.host or "")
    if not host or "://" in host:
        return host
    port = f":{connection.port}" if connection.port else ""
    name, slash, path = host.partition("/")
    return f"{connection.schema or scheme}://{name}{port}{slash}{path}"


def settings_of(connection: Any) -> ConnectionSettings:
    """Return the settings of an Airflow connection.

    Raises
    ------
    ConnectionInvalid
        The type is another, an extra is unknown, or a value is of the wrong type.
    """
    conn_id = str(connection.conn_id)
    if connection.conn_type != CONNECTION_TYPE:
        raise ConnectionInvalid(conn_id, "the type", f"must be {CONNECTION_TYPE}, got {connection.conn_type!r}")
    extras = connection.extra_dejson
    for name, value in extras.items():
        if name not in FIELDS:
            raise ConnectionInvalid(conn_id, str(name), "is no field of a connection to modelyard", tuple(FIELDS))
        if name != "secrets" and not isinstance(value, str | None):
            raise ConnectionInvalid(conn_id, name, f"must be a text, got {value!r}")
    texts = {name: (extras.get(name) or "").strip() for name in FIELDS if name != "secrets"}
    if texts["project"] and not texts["project"].startswith(("git+", "/")):
        raise ConnectionInvalid(conn_id, "project", f"must begin with git+ or /, got {texts['project']!r}")
    return ConnectionSettings(
        conn_id=conn_id,
        username=connection.login or "",
        password=connection.password or "",
        secrets=_secrets(conn_id, extras.get("secrets")),
        **texts,
    )


def _secrets(conn_id: str, given: Any) -> dict[str, str]:
    """Return the secrets; messages never quote what was given."""
    rule = 'must be JSON such as {"TOKEN": "…"}, with names of environment variables and texts'
    try:
        found = json.loads(given) if isinstance(given, str) and given.strip() else given or {}
    except ValueError:
        raise ConnectionInvalid(conn_id, "secrets", rule) from None
    if not isinstance(found, dict) or not all(
        str(name).isidentifier() and isinstance(value, str) for name, value in found.items()
    ):
        raise ConnectionInvalid(conn_id, "secrets", rule)
    return found
