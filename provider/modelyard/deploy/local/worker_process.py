"""One worker process, as its supervisor sees it."""

import asyncio
import logging
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec

from modelyard.deploy.local.records import ServingSettings
from modelyard.errors import ErrorKind
from modelyard.serving.bundle import SOURCE
from modelyard.serving.control import Command, Report, encode_line

__all__ = ["WorkerNotReady", "WorkerProcess", "worker_environment"]

_LINES = 30
_DROPPED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


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
    listener
        The socket that the worker takes connections from, once it may.
    settings
        How it runs.
    log
        Where its output goes.
    """

    def __init__(self, bundle: Path, listener: socket.socket, settings: ServingSettings, log: logging.Logger) -> None:
        self.bundle = bundle
        self.state = "starting"
        self.pid = 0
        self.lines: deque[str] = deque(maxlen=_LINES)
        self._listener = listener
        self._settings = settings
        self._log = log
        self._reports: asyncio.Queue[Report] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        """Start the process; it loads the bundle on its own."""
        control, theirs = socket.socketpair()
        probe, their_probe = socket.socketpair()
        shared = (self._listener.fileno(), theirs.fileno(), their_probe.fileno())
        names = ("--listener", "--control", "--probe")
        descriptors = [word for name, number in zip(names, shared, strict=True) for word in (name, str(number))]
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._settings.python,
                *("-P", "-m", "modelyard.serving.worker", str(self.bundle)),
                *(*descriptors, "--body-limit", str(self._settings.body_limit)),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                pass_fds=shared,
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
        reader, self._writer = await asyncio.open_connection(sock=control)
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
                await self._ask()
        except TimeoutError:
            raise WorkerNotReady("it took too long", ErrorKind.TIMEOUT) from None
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
        self._tell(Command("accept"))
        try:
            async with asyncio.timeout(10):
                await self._expect("accepting")
        except TimeoutError:
            raise WorkerNotReady("it does not take connections", ErrorKind.TIMEOUT) from None
        self.state = "accepting"

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

    async def _expect(self, state: str) -> None:
        report = await self._reports.get()
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

    async def _ask(self) -> None:
        reader, writer = await asyncio.open_connection(sock=self._probe)
        writer.write(b"GET /v2 HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        if f'"revision":"{self.bundle.name}"'.encode() not in answer:
            status = answer.partition(b"\r\n")[0].decode("latin-1") or "nothing"
            raise WorkerNotReady(f"it answered {status}", ErrorKind.INTERNAL)

    def _tell(self, command: Command) -> None:
        if self._writer and not self._writer.is_closing():
            self._writer.write(encode_line(command))

    async def _read_reports(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                self._reports.put_nowait(msgspec.json.decode(line, type=Report))
        self._reports.put_nowait(Report("drained"))  # nobody is left to report

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
