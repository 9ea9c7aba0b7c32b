"""What sensors wait for, and the trigger that waits for it without a worker."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from modelyard.airflow.connection import ConnectionSettings
from modelyard.airflow.reader import Reader
from modelyard.errors import ModelyardError

__all__ = ["ReadyTrigger", "look"]

_READY = ("running", "idle")


def look(reader: Reader, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is waited for; None while it is not there.

    Parameters
    ----------
    reader
        Reads it.
    wanted
        ``{"endpoint": name, "revision": id or ""}``, or ``{"model": reference, "newer_than": version}``.

    Raises
    ------
    ModelyardError
        It cannot be known, and waiting would not help; what may pass is waited for.
    """
    try:
        return _endpoint(reader, wanted) if "endpoint" in wanted else _version(reader, wanted)
    except ModelyardError as error:
        if error.outcome.retry:
            return None
        raise


def _endpoint(reader: Reader, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    found = reader.endpoint(wanted["endpoint"])
    if not found or found["state"] not in _READY or wanted["revision"] not in ("", found["revision"]):
        return None
    return {"endpoint": found["name"], **{name: found[name] for name in ("url", "state", "revision", "models")}}


def _version(reader: Reader, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    found = reader.version(wanted["model"])
    return found if found and found["version"] > wanted["newer_than"] else None


class ReadyTrigger(BaseTrigger):
    """Waits for an endpoint or a model version.

    Its one event holds ``found``, or ``error``, a sentence, where waiting would not help.

    Parameters
    ----------
    wanted
        As for `look`.
    project, environment, python
        As for `Reader`; a path must be seen by the triggerer.
    conn_id
        The connection, read by the triggerer; empty for none.
    interval
        Seconds between two looks.
    """

    def __init__(
        self, wanted: dict[str, Any], project: str, environment: str, python: str, conn_id: str, interval: float
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wanted = wanted
        self.project = project
        self.environment = environment
        self.python = python
        self.conn_id = conn_id
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes the same trigger elsewhere."""
        names = ("wanted", "project", "environment", "python", "conn_id", "interval")
        return "modelyard.airflow.ready_trigger.ReadyTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until it is there."""
        try:
            reader = Reader(self.project, self.environment, self.python, await self._settings())
            while not (found := await asyncio.to_thread(look, reader, self.wanted)):  # noqa: ASYNC110 - others' work
                await asyncio.sleep(self.interval)
        except ModelyardError as error:
            yield TriggerEvent({"error": str(error)})  # type: ignore[no-untyped-call]
            return
        yield TriggerEvent({"found": found})  # type: ignore[no-untyped-call]

    async def _settings(self) -> ConnectionSettings:
        if not self.conn_id:
            return ConnectionSettings()
        from modelyard.airflow.hook import ModelyardHook

        return await ModelyardHook(self.conn_id).aget_conn()
