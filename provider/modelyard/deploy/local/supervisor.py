"""The supervisor of one endpoint: owns its socket, its workers and its log, and outlives whoever deployed it.

``python -m modelyard.deploy.local FOLDER`` detaches itself and keeps the endpoint in the folder until it is
asked to stop, gets SIGTERM, or the folder is gone. It acts on ``request.json``, one request at a time, and answers in
``status.json``; so neither side loses anything when the other is killed.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import PurePath

import msgspec
from msgspec.structs import replace

from modelyard.deploy.errors import DeploymentWithdrawn, RevisionNotReady, SettingInvalid
from modelyard.deploy.local.canary import Canary, tried_in_process
from modelyard.deploy.local.locks import FolderLock
from modelyard.deploy.local.monitor import Monitor
from modelyard.deploy.local.ports import InnerSockets, Ports
from modelyard.deploy.local.records import (
    Author,
    Deployed,
    EndpointFolder,
    Outcome,
    PastRevision,
    Request,
    Status,
    WorkerStatus,
    read_json,
    write_json,
)
from modelyard.deploy.local.scaling import Scaler
from modelyard.deploy.local.settings import ServingSettings
from modelyard.deploy.local.worker_group import IDLE, LIMIT, GroupNotReady, WorkerGroup
from modelyard.deploy.local.worker_process import Wiring
from modelyard.deploy.rollout import Rollout, RolloutStatus
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.serving.errors import PortTaken

__all__ = ["Supervisor"]

TICK = 0.05
LOOK = 0.25
"""Seconds between two looks at the load and at a rollout."""
STOP_LIMIT = 10.0
PAST = 50


class Supervisor:
    """Keeps one endpoint.

    Parameters
    ----------
    folder
        The endpoint's.
    log
        Its log.
    """

    def __init__(self, folder: EndpointFolder, log: logging.Logger) -> None:
        self._folder = folder
        self._log = log
        self._deployed = read_json(folder.deployed, Deployed)
        self._outcome: Outcome | None = None
        self._ports: Ports | None = None
        self._group: WorkerGroup | None = None
        self._canary: Canary | None = None
        self._scaler: Scaler | None = None
        self._draining: set[WorkerGroup] = set()
        self._monitor = Monitor(folder.figures, self._workers, log, lambda: self._group)
        self._drains: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._looked = 0.0
        self._was_up = False
        self._committed = False

    async def run(self, lock: FolderLock) -> None:
        """Keep the endpoint until asked to stop, SIGTERM, or the end of the folder."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)
        self._resume()
        self._tell()
        while not self._stopping.is_set() and not lock.is_lost():
            request = read_json(self._folder.request, Request)
            if request and not (self._outcome and self._outcome.request == request.id):
                await self._handle(request)
            if not self._group:
                break  # nothing answers, and what was asked for did not get ready
            await self._look(self._group)
            if await self._monitor.begin(self._group.settings):
                self._tell()
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._stopping.wait()
        self._stopping.set()
        self._tell()
        await self._end()

    def _resume(self) -> None:
        """Take up what answered before the last supervisor ended."""
        abandoned = read_json(self._folder.rollout, RolloutStatus)
        if abandoned and abandoned.state == "running":
            reason = "the supervisor ended meanwhile"
            self._write_rollout(replace(abandoned, state="rolled_back", reason=reason, share=0.0, until=time.time()))
        now = self._deployed
        if not now or not (self._folder.revisions / now.revision).is_dir():
            self._deployed = None
            return
        try:
            self._ports = Ports.open(now.settings, now.port, now.grpc_port, patience=2.0)
        except PortTaken as error:
            self._log.info("%s", error)
            return
        self._install(self._new_group(now.revision, self._ports, now.settings))
        assert self._group is not None  # noqa: S101 (it was installed)
        self._group.keep()

    async def _handle(self, request: Request) -> None:
        self._log.info("asked to %s %s", request.action, request.revision)
        if request.action == "stop":
            self._stopping.set()
            return
        error: ModelyardError | None = None
        changed = False
        try:
            changed = await self._unless_withdrawn(request)
        except GroupNotReady as failure:
            error = RevisionNotReady(self._folder.name, request.revision, str(failure), failure.lines, failure.kind)
        except ModelyardError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 (the deployer waits for an answer, whatever it is)
            self._log.exception("the request failed")
            reason = f"{type(failure).__name__}: {failure}"
            error = RevisionNotReady(self._folder.name, request.revision, reason, [], ErrorKind.INTERNAL)
        self._outcome = Outcome(request.id, changed, error.record() if error else None)
        if error or request.action == "deploy":
            part = " beside the one before" if self._canary else ""
            self._log.info("%s", error or f"revision {request.revision} answers{part}")
        self._tell()

    async def _unless_withdrawn(self, request: Request) -> bool:
        """Do it, but give it up when the supervisor must end or another request wants something else."""
        if request.action == "withdraw":
            return False
        work = asyncio.create_task(self._do(request))
        while not work.done():
            later = read_json(self._folder.request, Request)
            other = later and (later.action, later.revision) != (request.action, request.revision)
            if (other or self._stopping.is_set()) and not self._committed:
                work.cancel()
            await asyncio.wait((work,), timeout=TICK)
        if work.cancelled():
            raise DeploymentWithdrawn(self._folder.name, request.revision)
        return work.result()

    async def _do(self, request: Request) -> bool:
        self._committed = False
        if request.action in ("promote", "abort"):
            if not self._canary:
                return False
            self._committed = True
            by = request.author.by if request.author else ""
            if request.action == "promote":
                await self._promote(self._canary, f"{by} asked for it", by)
            else:
                await self._abandon(f"{by} asked for it")
            return True
        if request.action == "scale":
            return self._rescale(request)
        return await self._deploy(request, request.settings or ServingSettings(sys.executable))

    async def _deploy(self, request: Request, settings: ServingSettings) -> bool:
        was_up, self._was_up = self._was_up, True
        now, group = self._deployed, self._group
        port = request.port or (now.port if now else 0)
        same = now and (now.revision, now.settings, now.port) == (request.revision, settings, port)
        if self._canary and self._canary.group.revision == request.revision and request.rollout:
            return False
        await self._abandon("another deployment came")
        if now and group and same:
            await self._wait_serving(group, request.timeout)
            return not was_up
        ports = self._ports_for(settings, port, chosen=bool(request.port))
        rollout = request.rollout if group and now and now.revision != request.revision else None
        if rollout and ports is not self._ports:
            ports.close()
            raise SettingInvalid("rollout", "a rollout cannot change the host or a port at the same time")
        size = max(settings.workers.min, min(group.size if group else 1, settings.workers.max), 1)
        alone = bool(rollout and now and tried_in_process(self._folder.revisions, now, request, rollout))
        inner = InnerSockets.open(self._folder.sockets, request.revision, size) if rollout and not alone else None
        fresh = self._new_group(request.revision, ports, settings, size=1 if alone else size, inner=inner)
        try:
            await fresh.start(request.timeout)
            if rollout and group:
                if alone:  # it gets ready, which was to be seen
                    await fresh.kill()
                    fresh = self._new_group(request.revision, ports, settings, size=size)
                await self._begin_canary(group, fresh, request, rollout, inner)
                return True
            await fresh.accept()
        except BaseException:
            await fresh.kill()
            if ports is not self._ports:
                ports.close()
            raise
        await self._take_over(fresh, ports, settings, request.author)
        return True

    async def _take_over(
        self, group: WorkerGroup, ports: Ports, settings: ServingSettings, author: Author | None
    ) -> None:
        """Retire what answered, now that `group` takes connections, too."""
        self._committed = True
        old_group, old_ports = self._group, self._ports
        self._ports = ports
        self._install(group)
        self._remember(group.revision, settings, author)
        if old_group:
            await self._retire(old_group)
        if old_ports and old_ports is not ports:
            old_ports.close()

    async def _begin_canary(
        self, stable: WorkerGroup, fresh: WorkerGroup, request: Request, rollout: Rollout, inner: InnerSockets | None
    ) -> None:
        canary = Canary(stable, fresh, request, rollout, inner=inner, tell=self._write_rollout, log=self._log)
        try:
            await canary.begin()
        except BaseException:
            await canary.end()
            raise
        self._canary = canary

    async def _promote(self, canary: Canary, reason: str, by: str = "") -> None:
        assert self._ports is not None  # noqa: S101 (what has a part of the traffic has a port)
        try:
            await canary.take_over()
        except GroupNotReady as error:
            await self._abandon(str(error))
            return
        self._canary = None
        author = canary.request.author
        await canary.end()
        promoter = author and replace(author, action="promote", by=by or author.by)
        await self._take_over(canary.group, self._ports, canary.group.settings, promoter)
        canary.finish(promoted=True, reason=reason)
        self._tell()

    async def _abandon(self, reason: str) -> None:
        """Let what answered before the rollout answer everything again."""
        if not self._canary:
            return
        canary, self._canary = self._canary, None
        await canary.end()
        canary.finish(promoted=False, reason=reason)
        await self._retire(canary.group, idle=0.0)
        self._tell()

    async def _look(self, group: WorkerGroup) -> None:
        """See whether the rollout is decided and the number of workers is right."""
        clock = time.monotonic()
        if not group.size and self._ports and self._ports.somebody_waits():
            self._log.info("a request came: waking up")
            group.resize(1)
            self._scaler = Scaler(group.settings.workers, clock)
        if clock - self._looked < LOOK:
            return
        self._looked = clock
        if self._canary:
            decision = await self._canary.look()
            if decision == "promote":
                await self._promote(self._canary, self._canary.reason)
            elif decision == "roll_back":
                await self._abandon(self._canary.reason)
        elif self._scaler and group.size and group.is_serving:
            wanted = self._scaler.wanted(group.size, in_flight=group.in_flight, requests=group.requests, now=clock)
            if wanted != group.size:
                self._log.info("%s requests under way: %s workers, not %s", group.in_flight, wanted, group.size)
                group.resize(wanted)

    def _rescale(self, request: Request) -> bool:
        now, settings = self._deployed, request.settings
        if not now or not self._group or not settings or now.settings.workers == settings.workers:
            return False
        self._committed = True
        self._deployed = replace(now, settings=replace(now.settings, workers=settings.workers))
        self._group.settings = self._deployed.settings
        scale = settings.workers
        self._group.resize(min(max(self._group.size, scale.min), scale.max))
        self._scaler = Scaler(scale, time.monotonic())
        write_json(self._folder.deployed, self._deployed)
        return True

    def _install(self, group: WorkerGroup) -> None:
        self._group = group
        self._scaler = Scaler(group.settings.workers, time.monotonic())

    def _ports_for(self, settings: ServingSettings, port: int, *, chosen: bool) -> Ports:
        if self._ports and self._ports.suit(settings, port):
            return self._ports
        kept = self._deployed.grpc_port if self._deployed else 0
        return Ports.open(settings, port, kept, chosen=chosen, before=self._ports)

    def _new_group(
        self,
        revision: str,
        ports: Ports,
        settings: ServingSettings,
        *,
        size: int = 0,
        inner: InnerSockets | None = None,
    ) -> WorkerGroup:
        rpc = inner.pattern if inner and ports.grpc else ""
        wiring = Wiring(ports.listener, ports.grpc, inner.listener if inner else None, rpc)
        size = size or max(settings.workers.min, 1)
        return WorkerGroup(self._folder.revisions / revision, wiring, settings, size, self._log, self._tell)

    def _remember(self, revision: str, settings: ServingSettings, author: Author | None) -> None:
        before, since = self._deployed, time.time()
        port, grpc_port = (self._ports.port, self._ports.grpc_port) if self._ports else (0, 0)
        if before and before.revision == revision:
            previous, history = before.previous, before.history
        else:
            previous = before.revision if before else None
            facts = msgspec.structs.asdict(author) if author else {}
            history = (*(before.history if before else ()), PastRevision(revision, since, **facts))[-PAST:]
        self._deployed = Deployed(revision, previous, port, since, settings, history, grpc_port)
        write_json(self._folder.deployed, self._deployed)

    async def _wait_serving(self, group: WorkerGroup, timeout: float) -> None:  # noqa: ASYNC109
        deadline = time.monotonic() + timeout
        while not group.is_serving:
            if time.monotonic() > deadline:
                raise RevisionNotReady(
                    self._folder.name,
                    group.revision,
                    f"its workers do not stay up, for {timeout:.3g} s",
                    group.recent_lines(),
                    ErrorKind.TIMEOUT,
                )
            await asyncio.sleep(TICK)

    async def _retire(self, group: WorkerGroup, *, idle: float = IDLE) -> None:
        """Return when the group takes no more connections; what it has is finished in the background."""
        self._draining.add(group)
        await group.stop_accepting(idle=idle, limit=LIMIT)
        task = asyncio.create_task(self._finish(group))
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)

    async def _finish(self, group: WorkerGroup) -> None:
        await group.wait_ended(LIMIT + 5)
        if group.wiring.inner:
            name = PurePath(group.wiring.inner.getsockname()).stem
            group.wiring.inner.close()
            for socket in self._folder.sockets.glob(f"{name}*"):  # the next revision's are not ours to remove
                socket.unlink(missing_ok=True)
        self._draining.discard(group)
        self._tell()

    async def _end(self) -> None:
        self._log.info("ending")
        for task in self._drains:
            task.cancel()
        await self._abandon("the endpoint ends")
        groups = [*self._draining, *([self._group] if self._group else [])]
        for group in groups:
            await group.stop_accepting(idle=0, limit=STOP_LIMIT)
        await self._monitor.end()
        if self._ports:
            self._ports.close()
        await asyncio.gather(*(group.wait_ended(STOP_LIMIT + 2) for group in groups))
        self._log.info("ended")

    def _write_rollout(self, status: RolloutStatus) -> None:
        with suppress(FileNotFoundError):
            write_json(self._folder.rollout, status)

    def _workers(self) -> tuple[WorkerStatus, ...]:
        canary = [self._canary.group] if self._canary else []
        groups = [*([self._group] if self._group else []), *canary, *self._draining]
        return tuple(worker for group in groups for worker in group.status())

    def _tell(self) -> None:
        status = Status(
            pid=os.getpid(),
            state="stopping" if self._stopping.is_set() else "running",
            workers=self._workers(),
            outcome=self._outcome,
            metrics=self._monitor.url,
        )
        with suppress(FileNotFoundError):  # the folder is gone; the main loop will see it
            write_json(self._folder.status, status)
