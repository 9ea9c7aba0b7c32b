"""The hook of connections of the type ``modelyard``."""

import os
from typing import Any, ClassVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from modelyard.airflow.connection import ConnectionSettings, settings_of
from modelyard.airflow.connection_form import CONNECTION_TYPE
from modelyard.airflow.errors import ConnectionNotFound
from modelyard.errors import ModelyardError

__all__ = ["ModelyardHook"]


class ModelyardHook(BaseHook):
    """Reads a connection of the type ``modelyard``.

    Parameters
    ----------
    conn_id
        The connection's name.
    """

    conn_name_attr: ClassVar[str] = "conn_id"
    default_conn_name: ClassVar[str] = "modelyard_default"
    conn_type: ClassVar[str] = CONNECTION_TYPE
    hook_name: ClassVar[str] = "modelyard"

    def __init__(self, conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.conn_id = conn_id

    def get_conn(self) -> ConnectionSettings:
        """Return what the connection says.

        Raises
        ------
        ConnectionNotFound
            Airflow has no such connection.
        ConnectionInvalid
            It breaks a rule.
        """
        try:
            connection = self.get_connection(self.conn_id)
        except AirflowNotFoundException as error:
            raise ConnectionNotFound(self.conn_id) from error
        return settings_of(connection)

    async def aget_conn(self) -> ConnectionSettings:
        """Return what the connection says, without blocking the event loop; raises as `get_conn`."""
        try:
            connection: Any = await self.aget_connection(self.conn_id)
        except AirflowNotFoundException as error:
            raise ConnectionNotFound(self.conn_id) from error
        return settings_of(connection)

    def test_connection(self) -> tuple[bool, str]:
        """Open the project and ask the tracking server, as far as the connection names them.

        Returns
        -------
        tuple
            Whether all is well, and a sentence for people.
        """
        try:
            return True, self._tested(self.get_conn())
        except ModelyardError as error:
            return False, str(error)

    def _tested(self, settings: ConnectionSettings) -> str:
        from modelyard.airflow.mlflow_server import MlflowServer
        from modelyard.projects import open_project

        said = []
        variables = {**os.environ, **settings.variables}
        tracking = settings.tracking_uri
        if settings.project:
            project = open_project(settings.project)
            environment = project.environment(settings.environment, variables)
            settings.check_tracking(environment.name, environment.tracking)
            said.append(f"The project {project.name} opens, with the environment {environment.name}.")
            tracking = environment.tracking
        if tracking.startswith(("http://", "https://")):
            MlflowServer(tracking, variables).check()
            said.append("The tracking server answers.")
        return " ".join(said) or "The connection is well formed; it names no project and no tracking server to ask."
