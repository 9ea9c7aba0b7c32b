"""The KFP server that a task speaks to, found in an Airflow connection or in the environment."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from modelyard.airflow.connection import address_of

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from modelyard.operators.kfp.api import KfpApi

__all__ = ["aserver_of", "server_of"]


def server_of(conn_id: str, endpoint: str, namespace: str) -> "KfpApi":
    """Return the client of a KFP server; it needs no kfp.

    Parameters
    ----------
    conn_id
        An Airflow connection of any type: its host (with scheme, port and path, such as
        ``https://kubeflow.example.com/pipeline``, or the scheme and the port in their own fields), in its password a
        bearer token, and in its extra ``namespace``. Empty for none.
    endpoint, namespace
        What the task says, which goes before.

    Raises
    ------
    ApiUnreachable
        Neither the task nor the connection nor KF_PIPELINES_ENDPOINT names a server.
    """
    return _server(BaseHook.get_connection(conn_id) if conn_id else None, endpoint, namespace)


async def aserver_of(conn_id: str, endpoint: str, namespace: str) -> "KfpApi":
    """Return the client as `server_of` does, without blocking the triggerer."""
    connection: Any = await BaseHook.aget_connection(conn_id) if conn_id else None
    return _server(connection, endpoint, namespace)


def _server(connection: "Connection | None", endpoint: str, namespace: str) -> "KfpApi":
    # Imported here: a DAG file is read many times a minute and speaks to no server.
    from modelyard.operators.kfp.api import KfpApi

    if connection is None:
        return KfpApi(endpoint=endpoint, namespace=namespace)
    told = connection.extra_dejson
    return KfpApi(
        endpoint=endpoint or address_of(connection, "http"),
        token=connection.password or "",
        namespace=namespace or str(told.get("namespace", "")),
    )
