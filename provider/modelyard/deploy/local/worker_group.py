"""The workers of one revision: started together, restarted one by one, drained together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from modelyard.deploy.errors import ReloadIncomplete
from modelyard.deploy.local.records import WorkerStatus
from modelyard.deploy.local.settings import ServingSettings
from modelyard.deploy.local.worker_process import Wiring, WorkerNotReady, WorkerProcess
from modelyard.errors import ErrorKind, ErrorRecord
from modelyard.serving.control import Call, Told
from modelyard.serving.splits import Figures, Split

__all__ = ["GroupNotReady", "WorkerGroup"]

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before a crashed worker is started again: doubled each time, up to the longest."""
STEADY = 3.0
"""A worker that served for so many seconds starts again with the first pause: it was killed, and is not broken."""
RESTART_TIMEOUT = 120.0
IDLE, LIMIT = 6.0, 30.0
"""Draining: clients keep a silent connection about 5 s; a request may take so long before it is given up."""


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
    wiring
        The sockets that they share.
    settings
        How they run.
    count
        How many there are at first.
    log
        Where their output goes.
    changed
        Called when a worker's state has changed.
    """

    def __init__(
        self,
        bundle: Path,
        wiring: Wiring,
        settings: ServingSettings,
        count: int,
        log: logging.Logger,
        changed: Callable[[], None],
    ) -> None:
        self.revision = bundle.name
        self.settings = settings
        self.wiring = wiring
        self.bundle = bundle
        self._log = log
        self._changed = changed
        self._inner = False
        self._split: Split | None = None
        self._past, self._past_trial = Figures(), Figures()
        self._turn = self._tickets = 0
        self._loading = asyncio.Lock()
        self._workers = [self._worker(number) for number in range(count)]
        self._restarts = [0] * count
        self._keepers: list[asyncio.Task[None]] = []
        self._leaving: set[asyncio.Task[None]] = set()

    def status(self) -> tuple[WorkerStatus, ...]:
        """Return what each worker is doing."""
        return tuple(
            WorkerStatus(worker.pid, self.revision, worker.state, restarts)
            for worker, restarts in zip(self._workers, self._restarts, strict=True)
            if worker.pid or restarts
        )

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    @property
    def is_serving(self) -> bool:
        """Whether every worker takes requests."""
        wanted = "admitting" if self._inner else "accepting"
        return all(worker.state == wanted for worker in self._workers)

    @property
    def in_flight(self) -> int:
        """How many requests the workers have, by what they said last."""
        return sum(worker.in_flight for worker in self._workers if worker.state != "exited")

    @property
    def requests(self) -> int:
        """How many requests the workers of now have had, by what they said last."""
        return sum(worker.requests for worker in self._workers)

    def figures(self, *, trial: bool = False) -> Figures:
        """Return what was counted since the split began, also by workers that have ended; or of what they try."""
        total = Figures()
        told = (worker.trial if trial else worker.figures for worker in self._workers)
        for each in (self._past_trial if trial else self._past, *told):
            if each:
                total.merge(each)
        return total

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
        await self._each(WorkerProcess.accept)
        self.keep()

    async def take_over(self) -> None:
        """Let workers that took what others handed on take connections of their own.

        Raises
        ------
        GroupNotReady
            None of them does; those that come up later will.
        """
        self._inner = False
        up = [worker for worker in self._workers if worker.state == "admitting"]
        done = await asyncio.gather(*(worker.accept() for worker in up), return_exceptions=True)
        failed = [each for each in done if isinstance(each, WorkerNotReady)]
        if len(failed) == len(up):
            self._inner = True
            cause = failed[0] if failed else WorkerNotReady("none of its workers is up", ErrorKind.USER_CODE)
            raise GroupNotReady(cause, self.recent_lines())
        await self.divide(None)

    async def admit(self) -> None:
        """Let the workers take what another revision's hand on, and keep them alive from now on.

        Raises
        ------
        GroupNotReady
            One of them did not react; all are ended.
        """
        self._inner = True
        await self._each(WorkerProcess.admit)
        self.keep()

    async def divide(self, split: Split | None) -> None:
        """Tell the workers how the traffic is split from now on; None ends the split."""
        before, self._split = self._split, split
        if not split or not before or (split.salt, split.metric) != (before.salt, before.metric):
            self._past, self._past_trial = Figures(), Figures()
            for worker in self._workers:
                worker.figures = worker.trial = None
        for error in await asyncio.gather(*(each.divide(split) for each in self._up()), return_exceptions=True):
            if isinstance(error, WorkerNotReady):
                self._log.info("a worker was not told of the split: %s", error)

    async def load(self, call: Call) -> Told:
        """Have every worker load a model anew, and return what became of it: all serve the new one, or none does.

        Those that are coming up load what there is now anyway.
        """
        async with self._loading:
            self._tickets += 1
            call = msgspec.structs.replace(call, action="prepare", ticket=self._tickets)
            workers = self._up()
            failed = await self._failed(workers, call)
            for pid, error in failed.items():
                self._log.info("worker %s did not load %s: %s", pid, call.model, error.message)
            if failed or not workers:
                await self._failed(workers, msgspec.structs.replace(call, action="drop"))
                if workers and len(failed) == len(workers):
                    return Told(call.id, next(iter(failed.values())))
                told = {pid: error.message for pid, error in failed.items()}
                return Told(call.id, ReloadIncomplete(call.model, len(workers), told).record())
            behind = await self._failed(workers, msgspec.structs.replace(call, action="serve"))
            for worker in workers:
                if worker.pid in behind:  # whoever takes its place loads the new one
                    self._log.info(
                        "worker %s does not serve %s: %s", worker.pid, call.model, behind[worker.pid].message
                    )
                    await worker.kill()
            self._log.info("%s was loaded anew by %s workers", call.model, len(workers))
            return Told(call.id)

    async def _failed(self, workers: Sequence[WorkerProcess], call: Call) -> dict[int, ErrorRecord]:
        """Have workers do something, and return why some of them did not, by their process."""
        found = await asyncio.gather(*(worker.do(call) for worker in workers))
        return {worker.pid: told.error for worker, told in zip(workers, found, strict=True) if told.error}

    async def ask(self, call: Call, *, one: bool = False) -> list[Told]:
        """Return what each worker that serves answers to a request, or what the next `one` in turn does."""
        workers = self._up()
        if one and workers:
            self._turn += 1
            workers = [workers[self._turn % len(workers)]]
        return list(await asyncio.gather(*(worker.do(call) for worker in workers)))

    def keep(self) -> None:
        """Keep the workers alive: those that end are started again, as are those that never were."""
        self._keepers = [asyncio.create_task(self._keep(index)) for index in range(len(self._workers))]
        self._changed()

    def resize(self, count: int) -> None:
        """Start or end workers until there are `count`; those that end finish what they have."""
        while len(self._workers) < count:
            self._workers.append(self._worker(len(self._workers)))
            self._restarts.append(0)
            self._keepers.append(asyncio.create_task(self._keep(len(self._workers) - 1)))
        while len(self._workers) > count:
            self._keepers.pop().cancel()
            self._restarts.pop()
            task = asyncio.create_task(self._dismiss(self._workers.pop()))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        self._changed()

    async def stop_accepting(self, *, idle: float, limit: float) -> None:
        """Make the workers drain, and return when none takes connections any more."""
        self._release()
        await asyncio.gather(*(each.stop_accepting(idle=idle, limit=limit) for each in self._workers if each.pid))
        self._changed()

    async def wait_ended(self, timeout: float) -> None:  # noqa: ASYNC109
        """Wait until the workers have ended; after `timeout` seconds end them."""
        await asyncio.gather(*(each.wait_ended(timeout) for each in self._workers if each.pid), *self._leaving)
        self._changed()

    async def kill(self) -> None:
        """End the workers at once."""
        self._release()
        await asyncio.gather(*(worker.kill() for worker in self._workers))
        self._changed()

    def recent_lines(self) -> list[str]:
        """Return the last lines of the first worker that does not serve."""
        ill = [worker for worker in self._workers if worker.state not in ("accepting", "admitting")]
        return list((ill or self._workers)[0].lines) if self._workers else []

    def _release(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()

    def _up(self) -> list[WorkerProcess]:
        return [each for each in self._workers if each.state in ("accepting", "admitting")]

    def _worker(self, number: int) -> WorkerProcess:
        worker = WorkerProcess(self.bundle, self.wiring, self.settings, number, self._log)
        worker.for_all = self.load
        return worker

    async def _each(self, do: Callable[[WorkerProcess], Awaitable[None]]) -> None:
        for worker in self._workers:
            try:
                await do(worker)
            except WorkerNotReady as error:
                await self.kill()
                raise GroupNotReady(error, list(worker.lines)) from error

    async def _dismiss(self, worker: WorkerProcess) -> None:
        if worker.pid and worker.state != "exited":
            await worker.stop_accepting(idle=IDLE, limit=LIMIT)
            await worker.wait_ended(LIMIT + 5)

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
            ended = self._workers[index]
            self._past.merge(ended.figures or Figures())
            self._past_trial.merge(ended.trial or Figures())
            self._workers[index] = self._worker(index)
            self._workers[index].lines.extend(ended.lines)
            await self._bring_up(self._workers[index])

    async def _bring_up(self, worker: WorkerProcess) -> None:
        try:
            await worker.start()
            self._changed()
            await worker.wait_ready(asyncio.get_running_loop().time() + RESTART_TIMEOUT)
            await (worker.admit() if self._inner else worker.accept())
            if self._split:
                await worker.divide(self._split)
        except WorkerNotReady as error:
            self._log.info("worker %s did not get ready: %s", worker.pid, error)
            await worker.kill()
        except asyncio.CancelledError:
            await worker.kill()
            raise
        else:
            self._log.info("worker %s serves revision %s", worker.pid, self.revision)
        self._changed()
