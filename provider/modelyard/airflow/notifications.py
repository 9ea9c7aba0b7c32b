"""Notifications: what a task or a DAG run has to report, sent to a webhook."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from airflow.sdk import BaseHook, BaseNotifier, Context
from modelyard.airflow.connection import address_of
from modelyard.airflow.errors import ConnectionInvalid, WebhookUnavailable
from modelyard.airflow.run_report import report_of
from modelyard.operations import ParameterInvalid

__all__ = ["ModelyardNotifier"]

_SECONDS = 10.0
Body = Literal["text", "report"]


class ModelyardNotifier(BaseNotifier):
    """Sends a report on a task, or on a DAG run, to a webhook.

    For a task of ours the report has its verdict, its metrics, its gates and its links; for a DAG run those of all its
    tasks. Give it as ``on_success_callback`` or ``on_failure_callback``.

    Parameters
    ----------
    conn_id
        A connection with the webhook: its host is the address, or schema, host and port are; its password, if any, is
        sent as a bearer token, with a login as basic authentication; its extras are headers.
    message
        Said before the report; may have templates.
    body
        ``text``: ``{"text": …}``, which Slack, Mattermost and others take. ``report``: the report as JSON besides, for
        programs.
    context
        Airflow's context, where there is no callback to hand it over.
    """

    template_fields: Sequence[str] = ("conn_id", "message")

    def __init__(self, conn_id: str, message: str = "", body: Body = "text", context: Context | None = None) -> None:
        super().__init__(context)
        if body not in get_args(Body):
            raise ParameterInvalid("body", f"one of {', '.join(get_args(Body))}", body)
        if not isinstance(conn_id, str) or not conn_id:
            raise ParameterInvalid("conn_id", "the name of a connection", conn_id)
        if not isinstance(message, str):
            raise ParameterInvalid("message", "text", message)
        self.conn_id = conn_id
        self.message = message
        self.body = body

    def notify(self, context: Context) -> None:
        """Send the report.

        Raises
        ------
        ConnectionInvalid
            The connection names no address.
        WebhookUnavailable
            The webhook does not answer, or does not take it.
        """
        import httpx

        request = self._request(BaseHook.get_connection(self.conn_id), context)
        try:
            reply = httpx.post(**request, timeout=_SECONDS)
        except httpx.HTTPError as error:
            raise WebhookUnavailable(self.conn_id, type(error).__name__) from None
        self._check(reply.status_code)

    async def async_notify(self, context: Context) -> None:
        """Send the report without blocking the event loop; raises as `notify`."""
        import httpx

        request = self._request(await BaseHook.aget_connection(self.conn_id), context)
        try:
            async with httpx.AsyncClient(timeout=_SECONDS) as client:
                reply = await client.post(**request)
        except httpx.HTTPError as error:
            raise WebhookUnavailable(self.conn_id, type(error).__name__) from None
        self._check(reply.status_code)

    def _request(self, connection: Any, context: Any) -> dict[str, Any]:
        report = report_of(context)
        text = f"{self.message}\n{report.as_text()}" if self.message else report.as_text()
        told = {"text": text, **report.as_json()} if self.body == "report" else {"text": text}
        headers = {str(name): str(value) for name, value in connection.extra_dejson.items()}
        asked: dict[str, Any] = {"url": _address(connection), "json": told, "headers": headers}
        if connection.login:
            asked["auth"] = (connection.login, connection.password or "")
        elif connection.password:
            headers["Authorization"] = f"Bearer {connection.password}"
        return asked

    def _check(self, status: int) -> None:
        if status >= 400:
            raise WebhookUnavailable(self.conn_id, f"status {status}")


def _address(connection: Any) -> str:
    if not connection.host:
        raise ConnectionInvalid(str(connection.conn_id), "host", "must be the address of the webhook, it is empty")
    return address_of(connection, "https")
