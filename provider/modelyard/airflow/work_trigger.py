"""The trigger of work in a process: follows it from the triggerer, on the same host, without blocking."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from modelyard.operations.handles import Handle

__all__ = ["WorkTrigger"]

_INTERVAL = 1.0
_GRACE = 3.0
"""Seconds for the work to clean up; Airflow waits 30 for `WorkTrigger.on_kill`."""


class WorkTrigger(BaseTrigger):
    """Waits for the end of work in a process.

    Its one event holds the handle; ``state``, any state that is an end (see `modelyard.operations.states.RunState`);
    ``timed_out`` if the deadline came first, when the work has been ended; or ``unseen`` if it is on another host.

    Parameters
    ----------
    handle
        The handle of the work, as JSON.
    deadline
        When to end the work, in seconds since 1970; None is never.
    interval
        Seconds between two looks.
    """

    def __init__(self, handle: dict[str, Any], deadline: float | None = None, interval: float = _INTERVAL) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.handle = handle
        self.deadline = deadline
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes the same trigger elsewhere."""
        path = "modelyard.airflow.work_trigger.WorkTrigger"
        return path, {"handle": self.handle, "deadline": self.deadline, "interval": self.interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the work has ended."""
        handle = self._handle()
        if not _is_seen(handle):
            yield self._event(unseen=True)
            return
        while not (state := await asyncio.to_thread(_state, handle)).finished:
            if self.deadline is not None and time.time() >= self.deadline:
                state = await asyncio.to_thread(_cancel, handle)
                # It may have succeeded at the last moment: then it has a result.
                yield self._event(state=state, timed_out=state == "cancelled")
                return
            await asyncio.sleep(self.interval)
        yield self._event(state=str(state))

    async def on_kill(self) -> None:
        """End the work and all its processes: somebody has marked or cleared the deferred task."""
        handle = self._handle()
        self.log.info("The work of %s is ended with its task.", handle.key)
        await asyncio.to_thread(_cancel, handle)

    def _event(self, **facts: Any) -> TriggerEvent:
        return TriggerEvent({"handle": self.handle, **facts})  # type: ignore[no-untyped-call]

    def _handle(self) -> "Handle":
        import msgspec

        from modelyard.operations.handles import Handle

        return msgspec.convert(self.handle, Handle)


def _is_seen(handle: "Handle") -> bool:
    from modelyard.operations.handles import Sight

    return handle.sight() is not Sight.HIDDEN


def _state(handle: "Handle") -> Any:
    from modelyard.operations.launchers.registry import launcher_of

    return launcher_of(handle).poll(handle)


def _cancel(handle: "Handle") -> str:
    from pathlib import Path

    from modelyard.operations.jobs import Job
    from modelyard.operations.journal import Journal
    from modelyard.operations.launchers import ProcessLauncher

    return str(ProcessLauncher(Journal.of(Job(Path(handle.folder))), grace=_GRACE).cancel(handle))
