"""Another model in the same process: a second plan of the same graph, beside the one that answers."""

import asyncio
import logging
from contextlib import ExitStack, suppress
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.serving.application import Application
from modelyard.serving.figures import FigureFile
from modelyard.serving.options import WorkerOptions
from modelyard.serving.splits import Figures
from modelyard.serving.worker_application import open_application

__all__ = ["Trial", "Trials"]

LIMIT = 30.0
"""Seconds that requests under way may take when the trial is over."""
_LOG = logging.getLogger("modelyard.serving.worker")


class Trial:
    """A revision that is tried; a ``with`` block is one request that it answers.

    Parameters
    ----------
    folder
        Its bundle.
    application
        What answers.
    helpers
        What ends after it.
    counts
        Where it is written what was counted; None is nowhere.

    Attributes
    ----------
    figures
        What it answered since the split began.
    """

    def __init__(
        self, folder: Path, application: Application, helpers: ExitStack, counts: FigureFile | None = None
    ) -> None:
        self.folder = folder
        self.application = application
        self.figures = Figures()
        self._helpers = helpers
        self._counts = counts
        self._keeping = asyncio.create_task(counts.keep()) if counts else None
        self._active = 0
        self._idle = asyncio.Event()

    def __enter__(self) -> None:
        self._active += 1

    def __exit__(self, *error: object) -> None:
        self._active -= 1
        if not self._active:
            self._idle.set()

    async def close(self, limit: float = LIMIT) -> None:
        """Wait until it has answered what it has, at most `limit` seconds, and close it."""
        self._idle.clear()
        if self._active:
            with suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self._idle.wait()
        if self._keeping:
            self._keeping.cancel()
        await self.application.plan.close_async()
        await asyncio.to_thread(self._helpers.close)
        if self._counts:
            await asyncio.to_thread(self._counts.write)


class Trials:
    """Opens and closes what one worker tries, one revision at a time.

    Parameters
    ----------
    application
        What answers here.
    options
        How the worker serves.

    Attributes
    ----------
    now
        What is tried; None is nothing.
    """

    def __init__(self, application: Application, options: WorkerOptions) -> None:
        self._application = application
        self._options = options
        self._closing: set[asyncio.Task[None]] = set()
        self.now: Trial | None = None

    async def change(self, folder: str) -> None:
        """Try the revision in a folder; nothing without one. What cannot be opened is logged, and not tried."""
        before = self.now
        if before is not None and str(before.folder) != folder:
            self.now = None
            task = asyncio.create_task(before.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        if folder and self.now is None:
            try:
                self.now = await self._open(Path(folder))
            except Exception as error:  # noqa: BLE001 (whatever a model raises, the worker answers on without it)
                _LOG.error("cannot try %s: %s", folder, error, exc_info=not isinstance(error, ModelyardError))

    async def end(self, limit: float) -> None:
        """Close what is tried; requests under way have `limit` seconds."""
        if self.now is not None:
            await self.now.close(limit)
            self.now = None
        await asyncio.gather(*self._closing)

    async def _open(self, folder: Path) -> Trial:
        application, helpers = await open_application(folder, self._options, beside=self._application)
        counts = FigureFile(Path(self._options.figures), application.metrics) if self._options.figures else None
        return Trial(folder, application, helpers, counts)
