"""The supervisor of one endpoint: owns its socket, its workers and its log, and outlives whoever deployed it.

``python -m modelyard.deploy.local.supervisor FOLDER`` detaches itself and keeps the endpoint in the folder until it is
asked to stop, gets SIGTERM, or the folder is gone. It acts on ``request.json``, one request at a time, and answers in
``status.json``; so neither side loses anything when the other is killed.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from modelyard.deploy.errors import DeploymentWithdrawn, RevisionNotReady
from modelyard.deploy.local.locks import FolderLock
from modelyard.deploy.local.logs import open_log
from modelyard.deploy.local.records import (
    Deployed,
    EndpointFolder,
    Outcome,
    PastRevision,
    Request,
    ServingSettings,
    Status,
    read_json,
    write_json,
)
from modelyard.deploy.local.worker_group import GroupNotReady, WorkerGroup
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.serving.errors import PortTaken
from modelyard.serving.server_socket import listen

__all__ = ["Supervisor", "main"]

TICK = 0.05
LOCK_TIMEOUT = 3.0
"""A deployer looks at the lock now and then, so it may be held for a moment."""
IDLE, LIMIT = 6.0, 30.0
"""Draining: clients keep a silent connection about 5 s; a request may take so long before it is given up."""
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
        self._listener: socket.socket | None = None
        self._group: WorkerGroup | None = None
        self._draining: set[WorkerGroup] = set()
        self._drains: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
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
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._stopping.wait()
        self._stopping.set()
        self._tell()
        await self._end()

    def _resume(self) -> None:
        """Take up what answered before the last supervisor ended."""
        if not self._deployed or not (self._folder.revisions / self._deployed.revision).is_dir():
            self._deployed = None
            return
        try:
            self._listener = listen(self._deployed.settings.host, self._deployed.port, patience=2.0)
        except PortTaken as error:
            self._log.info("%s", error)
            return
        self._group = self._new_group(self._deployed.revision, self._listener, self._deployed.settings)
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
        self._log.info("%s", error or f"revision {request.revision} answers")
        self._tell()

    async def _unless_withdrawn(self, request: Request) -> bool:
        """Deploy, but give it up when the supervisor must end or another request wants something else."""
        if request.action == "withdraw":
            return False
        work = asyncio.create_task(self._deploy(request, request.settings or ServingSettings(sys.executable)))
        while not work.done():
            later = read_json(self._folder.request, Request)
            other = later and (later.action, later.revision) != (request.action, request.revision)
            if (other or self._stopping.is_set()) and not self._committed:
                work.cancel()
            await asyncio.wait((work,), timeout=TICK)
        if work.cancelled():
            raise DeploymentWithdrawn(self._folder.name, request.revision)
        return work.result()

    async def _deploy(self, request: Request, settings: ServingSettings) -> bool:
        self._committed = False
        was_up, self._was_up = self._was_up, True
        now = self._deployed
        port = request.port or (now.port if now else 0)
        if now and self._group and (now.revision, now.settings, now.port) == (request.revision, settings, port):
            await self._wait_serving(self._group, request.timeout)
            return not was_up
        listener = self._listener_for(settings.host, port, chosen=bool(request.port))
        group = self._new_group(request.revision, listener, settings)
        try:
            await group.start(request.timeout)
            await group.accept()
        except BaseException:
            await group.kill()
            if listener is not self._listener:
                listener.close()
            raise
        self._committed = True
        old_group, old_listener = self._group, self._listener
        self._group, self._listener = group, listener
        self._remember(request.revision, settings)
        if old_group:
            await self._retire(old_group)
        if old_listener and old_listener is not listener:
            old_listener.close()
        return True

    def _listener_for(self, host: str, port: int, *, chosen: bool) -> socket.socket:
        if self._listener and self._listener.getsockname()[:2] == (host, port):
            return self._listener
        try:
            return listen(host, port)
        except PortTaken:
            if chosen:
                raise
            return listen(host, 0)

    def _remember(self, revision: str, settings: ServingSettings) -> None:
        before, since = self._deployed, time.time()
        port = self._listener.getsockname()[1] if self._listener else 0
        if before and before.revision == revision:
            previous, history = before.previous, before.history
        else:
            previous = before.revision if before else None
            history = (*(before.history if before else ()), PastRevision(revision, since))[-PAST:]
        self._deployed = Deployed(revision, previous, port, since, settings, history)
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

    async def _retire(self, group: WorkerGroup) -> None:
        """Return when the group takes no more connections; what it has is finished in the background."""
        self._draining.add(group)
        await group.stop_accepting(idle=IDLE, limit=LIMIT)
        task = asyncio.create_task(self._finish(group))
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)

    async def _finish(self, group: WorkerGroup) -> None:
        await group.wait_ended(LIMIT + 5)
        self._draining.discard(group)
        self._tell()

    async def _end(self) -> None:
        self._log.info("ending")
        for task in self._drains:
            task.cancel()
        groups = [*self._draining, *([self._group] if self._group else [])]
        for group in groups:
            await group.stop_accepting(idle=0, limit=STOP_LIMIT)
        if self._listener:
            self._listener.close()
        await asyncio.gather(*(group.wait_ended(STOP_LIMIT + 2) for group in groups))
        self._log.info("ended")

    def _new_group(self, revision: str, listener: socket.socket, settings: ServingSettings) -> WorkerGroup:
        return WorkerGroup(self._folder.revisions / revision, listener, settings, self._log, self._tell)

    def _tell(self) -> None:
        groups = [*([self._group] if self._group else []), *self._draining]
        status = Status(
            pid=os.getpid(),
            state="stopping" if self._stopping.is_set() else "running",
            workers=tuple(worker for group in groups for worker in group.status()),
            outcome=self._outcome,
        )
        with suppress(FileNotFoundError):  # the folder is gone; the main loop will see it
            write_json(self._folder.status, status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the endpoint in a folder; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m modelyard.deploy.local.supervisor", description=__doc__)
    parser.add_argument("folder", type=Path, help="the endpoint's folder")
    folder = EndpointFolder.at(parser.parse_args(arguments).folder)
    if os.fork():
        os._exit(0)  # the deployer need not wait for, nor be the parent of, what lives longer than it
    lock = FolderLock(folder.supervisor_lock, make_folder=False)
    if not lock.acquire(LOCK_TIMEOUT):
        return 0  # another supervisor keeps the endpoint, or it was removed meanwhile
    try:
        log = open_log(folder.log)
    except FileNotFoundError:
        return 0  # removed a moment ago
    try:
        asyncio.run(_keep(folder, log, lock))
    except Exception:
        log.exception("the supervisor failed")
        raise
    return 0


async def _keep(folder: EndpointFolder, log: logging.Logger, lock: FolderLock) -> None:
    await Supervisor(folder, log).run(lock)


if __name__ == "__main__":
    sys.exit(main())
