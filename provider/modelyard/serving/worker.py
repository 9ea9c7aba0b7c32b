"""A worker process: serves one revision bundle on a socket that it shares with others.

It loads everything first, says ``ready``, answers on the probe connection alone, and takes connections from the shared
socket when it is told to ``accept``. It ends when it is told to ``drain``, on SIGTERM, and when its supervisor is gone.
"""

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from modelyard.errors import ErrorKind, ErrorRecord, ModelyardError
from modelyard.serving.access import Access
from modelyard.serving.application import Application
from modelyard.serving.control import LINE, Command, Report, encode_line
from modelyard.serving.figures import FigureFile
from modelyard.serving.logs import JsonLines
from modelyard.serving.options import WorkerOptions
from modelyard.serving.relay import Relay
from modelyard.serving.server import GraphServer, loop_factory
from modelyard.serving.splitter import Splitter
from modelyard.serving.trial import Trials
from modelyard.serving.worker_application import open_application

if TYPE_CHECKING:
    from modelyard.serving.rpc import RpcServer

__all__ = ["main"]

FAILED = 3
"""The exit code of a worker that could not open its bundle."""
COLLECT_AFTER = (20_000, 10, 10)
"""When the collector looks for cycles: answered requests leave hardly any, those under way are many objects."""
TELL_EVERY = 0.2
"""Seconds between two reports of the load."""
_ORPHAN = Command("drain", idle=0.0, limit=1.0)
_TERMINATED = Command("drain", idle=0.0, limit=10.0)
_PR_SET_PDEATHSIG = 1
_LOG = logging.getLogger("modelyard.serving.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; return the exit code."""
    given = _parser().parse_args(arguments)
    _end_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    control = socket.socket(fileno=given.control)
    options = WorkerOptions.read(given.options)
    if options.log == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines(revision=given.folder.name))
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            application, helpers = runner.run(open_application(given.folder, options))
            tls = options.certificates.context() if options.certificates else None
        except Exception as error:  # noqa: BLE001 (whatever a project's modules raise goes to log and supervisor)
            known = isinstance(error, ModelyardError)
            _LOG.error("cannot open the revision: %s", error, exc_info=not known)
            with suppress(OSError):
                control.sendall(encode_line(Report("failed", _record(error))))
            return FAILED
        worker = _Worker(application, options, listener=given.listener, inner=given.inner, tls=tls)
        with helpers:
            runner.run(worker.run(control, given.probe))
            runner.run(application.plan.close_async())
    worker.write_figures()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m modelyard.serving.worker", description=__doc__)
    parser.add_argument("folder", type=Path, help="the revision bundle")
    parser.add_argument("--listener", type=int, required=True, help="the listening socket's descriptor")
    parser.add_argument("--control", type=int, required=True, help="the descriptor of the socket to the supervisor")
    parser.add_argument("--probe", type=int, required=True, help="the descriptor of one connection to answer at once")
    parser.add_argument("--inner", type=int, default=-1, help="the descriptor of the socket for what siblings hand on")
    parser.add_argument("--options", default="{}", help="how to serve, as JSON")
    return parser


def _record(error: Exception) -> ErrorRecord:
    if isinstance(error, ModelyardError):
        return error.record()
    return ErrorRecord(type(error).__name__, ErrorKind.USER_CODE, f"{type(error).__name__}: {error}")


class _Worker:
    """Follows the supervisor's commands."""

    def __init__(
        self,
        application: Application,
        options: WorkerOptions,
        *,
        listener: int,
        inner: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.server = GraphServer(application, tls=tls)
        self._figures = FigureFile(Path(options.figures), application.metrics) if options.figures else None
        self.splitter = Splitter(application)
        tracing, answering = application.metrics.tracing, cast("Any", self.splitter)
        self.server.config.app = tracing.around(answering, application.plan.graph) if tracing else answering
        self._application = application
        self._options = options
        self._trials = Trials(application, options)
        self._listener, self._inner = listener, inner
        self._rpc: list[RpcServer] = []

    async def run(self, control: socket.socket, probe: int) -> None:
        clock = await self.server.begin()
        await self.server.attach(socket.socket(fileno=probe))
        reader, writer = await asyncio.open_connection(sock=control, limit=LINE)
        terminated: asyncio.Future[Command] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _resolve, terminated)
        gc.collect()
        gc.freeze()  # what is loaded now stays: the collector need not look at it again
        gc.set_threshold(*COLLECT_AFTER)
        writer.write(encode_line(Report("ready")))
        telling = asyncio.create_task(self._tell(writer))
        keeping = asyncio.create_task(self._figures.keep()) if self._figures else None
        relay = Relay(self._application, lambda report: writer.write(encode_line(report)), self._tried)
        self._application.service.relay = relay.load
        while (command := await _next(reader, terminated)).command != "drain":
            if command.call:
                relay.begin(command.call)
                continue
            if command.told:
                relay.settle(command.told)
                continue
            report = await self._obey(command)
            writer.write(encode_line(report))
            if report.error:
                break
        relay.end()
        await self._end(command, writer)
        telling.cancel()
        if keeping:
            keeping.cancel()
        self.server.should_exit = True
        await clock

    def write_figures(self) -> None:
        """Write what was counted until the end."""
        if self._figures:
            self._figures.write()

    def _tried(self) -> Application | None:
        return self._trials.now.application if self._trials.now else None

    async def _obey(self, command: Command) -> Report:
        if command.command == "split":
            await self._trials.change(command.split.trial if command.split else "")
            self.splitter.trial = self._trials.now
            self.splitter.divide(command.split)
            return Report("split")
        inner = command.command == "admit"
        try:
            await self._begin_rpc(inner=inner)
            descriptor = self._inner if inner else self._listener
            await self.server.accept_from(socket.socket(fileno=descriptor), local=inner)
        except Exception as error:  # noqa: BLE001 (the supervisor is told, and ends this process)
            return Report("failed", _record(error))
        return Report("admitting" if inner else "accepting")

    async def _begin_rpc(self, *, inner: bool) -> None:
        path, address = self._options.inner if inner else "", "" if inner else self._options.grpc
        if not path and not address:
            return
        from modelyard.serving.rpc import RpcServer, SplitInterceptor
        from modelyard.serving.rpc.guarding import AccessInterceptor
        from modelyard.serving.rpc.spans import TraceInterceptor

        tracing = self._application.metrics.tracing
        spans = (TraceInterceptor(tracing, self._application.plan.graph),) if tracing else ()
        access = Access.of(self._options.access)
        guards = (AccessInterceptor(access),) if access else ()
        certificates = None if inner else self._options.certificates
        host, _, port = address.rpartition(":")
        with suppress(FileNotFoundError):
            os.unlink(path or "?")  # noqa: PTH108 (one call; what a killed predecessor left)
        server = RpcServer(
            self._application.service,
            host=host.strip("[]"),
            port=int(port or 0),
            message_limit=self._options.limits.body,
            credentials=certificates.credentials() if certificates else None,
            interceptors=(*spans, *guards, SplitInterceptor(self.splitter, here=inner)),
            share_port=True,
            path=path,
            answered=self._application.metrics.answered,
        )
        self._rpc.append(server)
        await server.start()

    async def _end(self, command: Command, writer: asyncio.StreamWriter) -> None:
        self.server.stop_accepting()
        if self._trials.now:
            self._trials.now.application.draining = True
        writer.write(encode_line(Report("draining")))
        ended = [asyncio.ensure_future(rpc.stop(command.limit)) for rpc in self._rpc]
        finished = await self.server.drain(idle=command.idle, limit=command.limit)
        await asyncio.gather(*ended)
        await self._trials.end(0.0)
        if not finished:
            left = len(self.server.server_state.connections)
            _LOG.warning("%s connections were still at work and are given up", left)
        writer.write(encode_line(Report("drained")))
        with suppress(OSError):
            await writer.drain()

    async def _tell(self, writer: asyncio.StreamWriter) -> None:
        """Say now and then how much there is to do, when it is not what was said before."""
        last = encode_line(Report("load"))
        while not writer.is_closing():
            await asyncio.sleep(TELL_EVERY)
            figures = self.splitter.figures if self.splitter.split else None
            in_flight = self._application.traffic.count() + self.splitter.calls
            requests = self.server.server_state.total_requests
            trial = self._trials.now.figures if figures and self._trials.now else None
            report = Report("load", in_flight=in_flight, requests=requests, figures=figures, trial=trial)
            line = encode_line(report)
            if line != last:
                last = line
                writer.write(line)


async def _next(reader: asyncio.StreamReader, terminated: "asyncio.Future[Command]") -> Command:
    """Return the next command; SIGTERM is one, and so is the end of the supervisor."""
    line = asyncio.ensure_future(reader.readline())
    await asyncio.wait((line, terminated), return_when=asyncio.FIRST_COMPLETED)
    if terminated.done():
        line.cancel()
        return terminated.result()
    text = line.result()
    return msgspec.json.decode(text, type=Command) if text else _ORPHAN


def _resolve(terminated: "asyncio.Future[Command]") -> None:
    if not terminated.done():
        terminated.set_result(_TERMINATED)


def _end_with_parent() -> None:
    """Let the kernel end this process with its supervisor, even while a model is being loaded."""
    if not sys.platform.startswith("linux"):
        return  # elsewhere the closed control socket says so, once the model is loaded
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        raise SystemExit(FAILED)  # the supervisor was gone before the kernel was asked


if __name__ == "__main__":
    sys.exit(main())
