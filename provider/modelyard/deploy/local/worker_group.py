"""The workers of one revision: started together, restarted one by one, drained together."""

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path

from modelyard.deploy.local.records import ServingSettings, WorkerStatus
from modelyard.deploy.local.worker_process import WorkerNotReady, WorkerProcess
from modelyard.errors import ErrorKind

__all__ = ["GroupNotReady", "WorkerGroup"]

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before a crashed worker is started again: doubled each time, up to the longest."""
STEADY = 30.0
"""A worker that lasted so many seconds starts again with the first pause."""
RESTART_TIMEOUT = 120.0


class GroupNotReady(Exception):
    """Raised inside the supervisor when one of a revision's workers does not get ready."""

    def __init__(self, cause: WorkerNotReady, lines: list[str]) -> None:
        super().__init__(str(cause))
        self.kind = cause.kind
        self.lines = lines


class WorkerGroup:
    """Keeps the workers of one revision alive.

    Parameters
    ----------
    bundle
        The revision's folder.
    listener
        The socket that they share.
    settings
        How many there are, and how they run.
    log
        Where their output goes.
    changed
        Called when a worker's state has changed.
    """

    def __init__(
        self,
        bundle: Path,
        listener: socket.socket,
        settings: ServingSettings,
        log: logging.Logger,
        changed: Callable[[], None],
    ) -> None:
        self.revision = bundle.name
        self.settings = settings
        self.listener = listener
        self._bundle = bundle
        self._log = log
        self._changed = changed
        self._workers = [self._worker() for _ in range(settings.workers)]
        self._restarts = [0] * settings.workers
        self._keepers: list[asyncio.Task[None]] = []

    def status(self) -> tuple[WorkerStatus, ...]:
        """Return what each worker is doing."""
        return tuple(
            WorkerStatus(worker.pid, self.revision, worker.state, restarts)
            for worker, restarts in zip(self._workers, self._restarts, strict=True)
        )

    @property
    def is_serving(self) -> bool:
        """Whether every worker takes connections."""
        return all(worker.state == "accepting" for worker in self._workers)

    async def start(self, timeout: float) -> None:  # noqa: ASYNC109 (one deadline for all workers)
        """Start all workers, and return when all have loaded the revision and answer.

        Raises
        ------
        GroupNotReady
            One of them did not within `timeout` seconds; all are ended.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        worker = self._workers[0]
        try:
            for worker in self._workers:
                await worker.start()
                self._changed()
            for worker in self._workers:
                await worker.wait_ready(deadline)
        except WorkerNotReady as error:
            await self.kill()
            limit = f" (more than {timeout:g} s)" if error.kind is ErrorKind.TIMEOUT else ""
            raise GroupNotReady(WorkerNotReady(f"{error}{limit}", error.kind), list(worker.lines)) from error
        except BaseException:
            await self.kill()
            raise

    async def accept(self) -> None:
        """Let the workers take connections, and keep them alive from now on.

        Raises
        ------
        GroupNotReady
            One of them did not react; all are ended.
        """
        for worker in self._workers:
            try:
                await worker.accept()
            except WorkerNotReady as error:
                await self.kill()
                raise GroupNotReady(error, list(worker.lines)) from error
        self.keep()

    def keep(self) -> None:
        """Keep the workers alive: those that end are started again, as are those that never were."""
        self._keepers = [asyncio.create_task(self._keep(index)) for index in range(len(self._workers))]
        self._changed()

    async def stop_accepting(self, *, idle: float, limit: float) -> None:
        """Make the workers drain, and return when none takes connections any more."""
        self._release()
        await asyncio.gather(*(each.stop_accepting(idle=idle, limit=limit) for each in self._workers if each.pid))
        self._changed()

    async def wait_ended(self, timeout: float) -> None:  # noqa: ASYNC109
        """Wait until the workers have ended; after `timeout` seconds end them."""
        await asyncio.gather(*(each.wait_ended(timeout) for each in self._workers if each.pid))
        self._changed()

    async def kill(self) -> None:
        """End the workers at once."""
        self._release()
        await asyncio.gather(*(worker.kill() for worker in self._workers))
        self._changed()

    def recent_lines(self) -> list[str]:
        """Return the last lines of the first worker that does not serve."""
        ill = next((worker for worker in self._workers if worker.state != "accepting"), self._workers[0])
        return list(ill.lines)

    def _release(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()

    def _worker(self) -> WorkerProcess:
        return WorkerProcess(self._bundle, self.listener, self.settings, self._log)

    async def _keep(self, index: int) -> None:
        clock, pause = asyncio.get_running_loop().time, FIRST_PAUSE
        if not self._workers[index].pid:
            await self._bring_up(self._workers[index])
        while True:
            begun = clock()
            code = await self._workers[index].exited()
            self._log.info("worker %s ended with %s", self._workers[index].pid, code)
            self._restarts[index] += 1
            self._changed()
            pause = FIRST_PAUSE if clock() - begun > STEADY else pause
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            lines = self._workers[index].lines
            self._workers[index] = self._worker()
            self._workers[index].lines.extend(lines)
            await self._bring_up(self._workers[index])

    async def _bring_up(self, worker: WorkerProcess) -> None:
        try:
            await worker.start()
            self._changed()
            await worker.wait_ready(asyncio.get_running_loop().time() + RESTART_TIMEOUT)
            await worker.accept()
        except WorkerNotReady as error:
            self._log.info("worker %s did not get ready: %s", worker.pid, error)
            await worker.kill()
        except asyncio.CancelledError:
            await worker.kill()
            raise
        else:
            self._log.info("worker %s serves revision %s", worker.pid, self.revision)
        self._changed()
