"""The trigger of a run on a KFP server: follows it from the triggerer, without blocking."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from modelyard.errors import ModelyardError
from modelyard.operators.airflow.pipeline_server import aserver_of

__all__ = ["PipelineRunTrigger"]


class PipelineRunTrigger(BaseTrigger):
    """Waits for the end of a run on a KFP server.

    Its one event holds ``run_id`` and ``state``; ``timed_out`` if the deadline came first, when the run was ended; or
    ``error``, a sentence, if the server could not say how the run stands.

    Parameters
    ----------
    run_id
        The run.
    conn_id, endpoint, namespace
        Where it is; see `modelyard.operators.airflow.pipeline_server.server_of`. The triggerer reads the connection
        itself: no token is written down.
    interval
        Seconds between two looks.
    deadline
        When to end the run, in seconds since 1970; None is never.
    ends_run
        Whether the run is ended with the task that waits.
    """

    def __init__(
        self,
        run_id: str,
        *,
        conn_id: str = "",
        endpoint: str = "",
        namespace: str = "",
        interval: float = 15.0,
        deadline: float | None = None,
        ends_run: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.run_id = run_id
        self.conn_id = conn_id
        self.endpoint = endpoint
        self.namespace = namespace
        self.interval = interval
        self.deadline = deadline
        self.ends_run = ends_run

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes the same trigger elsewhere."""
        names = ("run_id", "conn_id", "endpoint", "namespace", "interval", "deadline", "ends_run")
        path = "modelyard.operators.airflow.pipeline_trigger.PipelineRunTrigger"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the run has ended."""
        from modelyard.operators.kfp.run_watch import RunWatch

        try:
            server = await aserver_of(self.conn_id, self.endpoint, self.namespace)
            watch = RunWatch(server, self.run_id)
            while True:
                run = await asyncio.to_thread(watch.look)
                if run is not None and run.state.finished:
                    yield self._event(state=str(run.state))
                    return
                if self.deadline is not None and time.time() >= self.deadline:
                    await asyncio.to_thread(server.terminate, self.run_id)
                    yield self._event(timed_out=True)
                    return
                await asyncio.sleep(self.interval)
        except ModelyardError as error:
            yield self._event(error=str(error), retry=error.outcome.retry)

    async def on_kill(self) -> None:
        """End the run: somebody has marked or cleared the deferred task."""
        if not self.ends_run:
            return
        self.log.info("The run %s is ended with its task.", self.run_id)
        server = await aserver_of(self.conn_id, self.endpoint, self.namespace)
        await asyncio.to_thread(server.terminate, self.run_id)

    def _event(self, **facts: Any) -> TriggerEvent:
        return TriggerEvent({"run_id": self.run_id, **facts})  # type: ignore[no-untyped-call]
