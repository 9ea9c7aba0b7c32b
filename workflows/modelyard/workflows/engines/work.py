"""The work of one step on this machine: its tries, its time limit, its end."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modelyard.errors import ForeignError, ModelyardError
from modelyard.operations import Progress
from modelyard.operations.execution import record_of
from modelyard.operations.handles import Handle
from modelyard.projects.dispatch import acknowledge, cancel, dispatch
from modelyard.workflows.definition import Step
from modelyard.workflows.errors import StepTimeout
from modelyard.workflows.retrying import is_worth_another_try

__all__ = ["Work"]


@dataclass
class Work:
    """Does what one step asks for; `stop` may be called from another thread.

    Parameters
    ----------
    step
        The step.
    name
        Its name, with the positions of its items.
    parameters
        Its parameters, filled in.
    key
        Its key in the journal.
    launcher
        ``inline`` or ``process``.
    project, environment, workflow_run
        Where it works; see `modelyard.projects.dispatch.dispatch`.
    log, progress
        Where to tell how it goes.
    """

    step: Step
    name: str
    parameters: dict[str, Any]
    key: str
    launcher: str
    project: str
    environment: str
    workflow_run: str
    log: logging.Logger
    progress: Progress
    _handle: Handle | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> dict[str, Any]:
        """Do it, again where it failed and a try is left; return its result.

        Raises
        ------
        ModelyardError
            The last try failed.
        """
        tries = 1
        while True:
            try:
                return self._try()
            except ModelyardError as error:
                if tries > self.step.retries or not is_worth_another_try(error) or self._stopped.is_set():
                    raise
                self.log.info("%s: try %d failed: %s", self.name, tries, error)
                if self._stopped.wait(self.step.retry_delay):
                    raise
            tries += 1

    def _try(self) -> dict[str, Any]:
        self._handle = None
        limit = _Limit(self.step.timeout, self._end)
        try:
            with limit:
                return dispatch(
                    self.step.operation,
                    self.parameters,
                    project=self.project,
                    environment=self.environment,
                    key=self.key,
                    workflow_run=self.workflow_run,
                    step=self.name,
                    launcher=self.launcher,
                    on_log=self._tell if self.launcher == "process" else None,
                    on_start=self._started,
                    progress=self.progress,
                ).result
        except ModelyardError as error:
            if limit.passed:
                raise StepTimeout(self.name, self.step.timeout or 0) from error
            raise
        except Exception as error:
            # What an operation in this process raised: as if it had come from another.
            raise ForeignError(record_of(error)) from error

    def stop(self) -> None:
        """End it, with all its processes; it is not tried again."""
        self._stopped.set()
        self._end()

    def release(self) -> None:
        """Say that its result is kept elsewhere: its key is free to start anew."""
        acknowledge(self.key, project=self.project, environment=self.environment)

    def _started(self, handle: Handle) -> None:
        self._handle = handle
        if self._stopped.is_set():
            self._end()

    def _end(self) -> None:
        if self._handle is not None:
            cancel(self._handle)

    def _tell(self, line: str) -> None:
        self.log.info("%s: %s", self.name, line)


class _Limit:
    """Calls for the end of what takes too long.

    Parameters
    ----------
    seconds
        How long it may take; None for any time.
    end
        Ends it; called in a thread of its own.
    """

    def __init__(self, seconds: float | None, end: Callable[[], None]) -> None:
        self.passed = False
        self._end = end
        self._timer = None if seconds is None else threading.Timer(seconds, self._pass)

    def _pass(self) -> None:
        self.passed = True
        self._end()

    def __enter__(self) -> None:
        if self._timer:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()
