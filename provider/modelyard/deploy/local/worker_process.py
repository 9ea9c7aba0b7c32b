"""One worker process, as its supervisor sees it."""

import asyncio
import logging
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

import msgspec

from modelyard.deploy.local.settings import ServingSettings
from modelyard.deploy.local.smoke import SmokeFailed, ask_smoke
from modelyard.errors import ErrorKind, ErrorRecord
from modelyard.serving.bundle import SOURCE
from modelyard.serving.control import LINE, Call, Command, Report, Told, encode_line
from modelyard.serving.options import WorkerOptions
from modelyard.serving.splits import Figures, Split

__all__ = ["Wiring", "WorkerNotReady", "WorkerProcess", "worker_environment"]

_LINES = 30
CALL_LIMIT = 120.0
"""Seconds that a worker may take to do what it is called for: a model may be large."""
_DROPPED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


class Wiring(NamedTuple):
    """Where the workers of one revision take requests from.

    Parameters
    ----------
    listener
        The socket that they share with each other and with the workers of the next revision.
    grpc
        The address of gRPC calls, ``host:port``; empty for none.
    inner
        The local socket for what another revision's workers hand on; None for none.
    rpc
        The path of the local socket for such gRPC calls, with ``{}`` for the worker's number.
    """

    listener: socket.socket
    grpc: str = ""
    inner: socket.socket | None = None
    rpc: str = ""


class WorkerNotReady(Exception):
    """Raised inside the supervisor when a worker does not get ready; carries the kind of the cause."""

    def __init__(self, reason: str, kind: ErrorKind) -> None:
        super().__init__(reason)
        self.kind = kind


def worker_environment(python: str) -> dict[str, str]:
    """Return the environment variables of workers under another interpreter, or the same."""
    variables = dict(os.environ)
    if python != sys.executable:
        # what points at the deployer's packages must not leak into another environment
        for name in _DROPPED:
            variables.pop(name, None)
    variables["PYTHONUNBUFFERED"] = "1"
    # Small matrices: more threads per prediction cost more than they give, and workers share the processors
    variables.setdefault("OMP_NUM_THREADS", "1")
    return variables


class WorkerProcess:
    """Starts and follows one worker.

    Parameters
    ----------
    bundle
        The revision's folder.
    wiring
        The sockets that the worker takes connections from, once it may.
    settings
        How it runs.
    number
        Tells it from its siblings.
    log
        Where its output goes.

    Attributes
    ----------
    in_flight, requests, figures, trial
        What it said last about its load, about the split, and about what it tries.
    for_all
        Does what the worker calls for in the name of all its siblings.
    """

    def __init__(
        self, bundle: Path, wiring: Wiring, settings: ServingSettings, number: int, log: logging.Logger
    ) -> None:
        self.bundle = bundle
        self.state = "starting"
        self.pid = 0
        self.in_flight = 0
        self.requests = 0
        self.figures: Figures | None = None
        self.trial: Figures | None = None
        self.for_all: Callable[[Call], Awaitable[Told]] = self.do
        self.lines: deque[str] = deque(maxlen=_LINES)
        self._wiring = wiring
        self._number = number
        self._settings = settings
        self._log = log
        self._reports: asyncio.Queue[Report] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._process: Process | None = None
        self._numbers = count(1)
        self._calls: dict[int, asyncio.Future[Told]] = {}
        self._relayed: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        """Start the process; it loads the bundle on its own."""
        control, theirs = socket.socketpair()
        probe, their_probe = socket.socketpair()
        shared = {"--listener": self._wiring.listener, "--control": theirs, "--probe": their_probe}
        if self._wiring.inner:
            shared["--inner"] = self._wiring.inner
        descriptors = [word for name, each in shared.items() for word in (name, str(each.fileno()))]
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._settings.python,
                *("-P", "-m", "modelyard.serving.worker", str(self.bundle)),
                *(*descriptors, "--options", self._options().written()),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                pass_fds=[each.fileno() for each in shared.values()],
                cwd=self.bundle / SOURCE,
                env=worker_environment(self._settings.python),
            )
        except OSError as error:
            for each in (control, probe):
                each.close()
            raise WorkerNotReady(f"{self._settings.python} cannot be started: {error}", ErrorKind.INVALID) from error
        finally:
            theirs.close()
            their_probe.close()
        self.pid = self._process.pid
        self._probe = probe
        reader, self._writer = await asyncio.open_connection(sock=control, limit=LINE)
        self._tasks = [
            asyncio.create_task(self._read_output(self._process)),
            asyncio.create_task(self._read_reports(reader)),
        ]

    async def wait_ready(self, deadline: float) -> None:
        """Wait until the worker has loaded everything and answers a request on a connection of its own.

        Parameters
        ----------
        deadline
            The time of the event loop until which it must.

        Raises
        ------
        WorkerNotReady
            It failed, ended or took too long.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await self._expect("ready")
                await ask_smoke(self._probe, self.bundle.name, self._settings.smoke)
        except TimeoutError:
            raise WorkerNotReady("it took too long", ErrorKind.TIMEOUT) from None
        except SmokeFailed as error:
            raise WorkerNotReady(str(error), ErrorKind.USER_CODE) from error
        finally:
            self._probe.close()
        self.state = "ready"

    async def accept(self) -> None:
        """Let the worker take connections.

        Raises
        ------
        WorkerNotReady
            It ended, or does not react.
        """
        await self._do(Command("accept"), "accepting")
        self.state = "accepting"

    async def admit(self) -> None:
        """Let the worker take what another revision's workers hand on.

        Raises
        ------
        WorkerNotReady
            It ended, or does not react.
        """
        await self._do(Command("admit"), "admitting")
        self.state = "admitting"

    async def divide(self, split: Split | None) -> None:
        """Tell the worker how the traffic is split; None ends the split.

        Raises
        ------
        WorkerNotReady
            It ended, or does not react.
        """
        await self._do(Command("split", split=split), "split")

    async def do(self, call: Call) -> Told:
        """Have the worker do something besides its requests, and return what became of it."""
        number = next(self._numbers)
        waiting = self._calls[number] = asyncio.get_running_loop().create_future()
        self._tell(Command("do", call=msgspec.structs.replace(call, id=number)))
        try:
            async with asyncio.timeout(CALL_LIMIT):
                told = await waiting
        except TimeoutError:
            told = Told(error=_lost(self.pid, f"does not answer for {CALL_LIMIT:g} s"))
        finally:
            del self._calls[number]
        answer: Told = msgspec.structs.replace(told, id=call.id)
        return answer

    async def stop_accepting(self, *, idle: float, limit: float) -> None:
        """Tell the worker to drain, and wait until it takes no more connections; a dead one takes none."""
        self.state = "draining"
        self._tell(Command("drain", idle=idle, limit=limit))
        with suppress(WorkerNotReady, TimeoutError):
            async with asyncio.timeout(limit):
                await self._expect("draining")

    async def wait_ended(self, timeout: float) -> None:  # noqa: ASYNC109
        """Wait until the process has ended; after `timeout` seconds end it."""
        try:
            async with asyncio.timeout(timeout):
                await self.exited()
        except TimeoutError:
            await self.kill()

    async def exited(self) -> int:
        """Wait for the process to end, and return its exit code; one that never started has ended."""
        code = await self._process.wait() if self._process else -1
        self.state = "exited"
        return code

    async def kill(self) -> None:
        """End the process at once."""
        if self._process:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self.exited()
            await asyncio.wait(self._tasks, timeout=1)
        for task in self._tasks:
            task.cancel()

    async def _do(self, command: Command, state: str) -> None:
        self._tell(command)
        try:
            async with asyncio.timeout(10):
                await self._expect(state)
        except TimeoutError:
            raise WorkerNotReady(f"it does not say that it is {state}", ErrorKind.TIMEOUT) from None

    async def _expect(self, state: str) -> None:
        report = await self._reports.get()
        while report.state == "split" and state != "split":
            report = await self._reports.get()  # of a worker that was too busy to say so in time
        if report.state == state:
            return
        if report.error:
            error = report.error
            place = f"{error.where}: " if error.where else ""
            raise WorkerNotReady(f"{place}{error.message}".rstrip("."), error.kind)
        code = await self.exited()
        await asyncio.wait(self._tasks, timeout=1)
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise WorkerNotReady(f"the worker {how}", ErrorKind.USER_CODE)

    def _options(self) -> WorkerOptions:
        settings = self._settings
        inner = self._wiring.rpc.format(self._number)
        return WorkerOptions(
            settings.limits,
            settings.batch,
            self._wiring.grpc,
            inner,
            settings.access,
            settings.certificates,
            settings.records,
            settings.traces,
            str(self.bundle.parent.parent / "figures"),
            settings.log,
        )

    def _tell(self, command: Command) -> None:
        if self._writer and not self._writer.is_closing():
            self._writer.write(encode_line(command))

    async def _read_reports(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                report = msgspec.json.decode(line, type=Report)
                if report.call:
                    task = asyncio.create_task(self._relay(report.call))
                    self._relayed.add(task)
                    task.add_done_callback(self._relayed.discard)
                elif report.told:
                    if report.told.id in self._calls and not self._calls[report.told.id].done():
                        self._calls[report.told.id].set_result(report.told)
                elif report.state == "load":
                    self.in_flight, self.requests = report.in_flight, report.requests
                    self.figures, self.trial = report.figures or self.figures, report.trial or self.trial
                else:
                    self._reports.put_nowait(report)
        self._reports.put_nowait(Report("drained"))  # nobody is left to report
        for waiting in self._calls.values():
            if not waiting.done():
                waiting.set_result(Told(error=_lost(self.pid, "has ended")))

    async def _relay(self, call: Call) -> None:
        self._tell(Command("told", told=await self.for_all(call)))

    async def _read_output(self, process: Process) -> None:
        assert process.stdout is not None  # noqa: S101 (it was asked for)
        rest = b""
        while piece := await process.stdout.read(65536):
            *lines, rest = (rest + piece).split(b"\n")
            rest = rest[-65536:]
            for line in lines:
                self._print(line)
        if rest:
            self._print(rest)

    def _print(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            self.lines.append(text)
            self._log.info("[%s %s] %s", self.bundle.name[:8], self.pid, text)


def _lost(pid: int, what: str) -> ErrorRecord:
    return ErrorRecord("WorkerLost", ErrorKind.UNAVAILABLE, f"the worker {pid} {what}", mend="Ask again.")
