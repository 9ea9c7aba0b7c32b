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
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from modelyard.errors import ErrorKind, ErrorRecord, ModelyardError
from modelyard.serving.application import BODY_LIMIT, Application
from modelyard.serving.bundle import open_bundle, read_manifest
from modelyard.serving.control import Command, Report, encode_line
from modelyard.serving.server import GraphServer
from modelyard.serving.traffic import Traffic

__all__ = ["main"]

FAILED = 3
"""The exit code of a worker that could not open its bundle."""
_ORPHAN = Command("drain", idle=0.0, limit=1.0)
_TERMINATED = Command("drain", idle=0.0, limit=10.0)
_PR_SET_PDEATHSIG = 1
_LOG = logging.getLogger("modelyard.serving.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m modelyard.serving.worker", description=__doc__)
    parser.add_argument("folder", type=Path, help="the revision bundle")
    parser.add_argument("--listener", type=int, required=True, help="the listening socket's descriptor")
    parser.add_argument("--control", type=int, required=True, help="the descriptor of the socket to the supervisor")
    parser.add_argument("--probe", type=int, required=True, help="the descriptor of one connection to answer at once")
    parser.add_argument("--body-limit", type=int, default=BODY_LIMIT, help="the largest body, in bytes")
    given = parser.parse_args(arguments)
    _end_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    control = socket.socket(fileno=given.control)
    try:
        traffic = Traffic()
        plan = open_bundle(given.folder, batching=traffic.batching())
        description = read_manifest(given.folder).described()
    except Exception as error:  # noqa: BLE001 (whatever a project's modules raise goes to log and supervisor)
        known = isinstance(error, ModelyardError)
        _LOG.error("cannot open the revision: %s", error, exc_info=not known)
        with suppress(OSError):
            control.sendall(encode_line(Report("failed", _record(error))))
        return FAILED
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not look at it again
    server = GraphServer(Application(plan, description=description, body_limit=given.body_limit, traffic=traffic))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve(server, control, given.listener, given.probe))
    return 0


def _record(error: Exception) -> ErrorRecord:
    if isinstance(error, ModelyardError):
        return error.record()
    return ErrorRecord(type(error).__name__, ErrorKind.USER_CODE, f"{type(error).__name__}: {error}")


async def _serve(server: GraphServer, control: socket.socket, listener: int, probe: int) -> None:
    clock = await server.begin()
    await server.attach(socket.socket(fileno=probe))
    reader, writer = await asyncio.open_connection(sock=control)
    terminated: asyncio.Future[Command] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _resolve, terminated)
    writer.write(encode_line(Report("ready")))
    while True:
        line = asyncio.ensure_future(reader.readline())
        await asyncio.wait((line, terminated), return_when=asyncio.FIRST_COMPLETED)
        if terminated.done():
            command = terminated.result()
        else:
            text = line.result()
            command = msgspec.json.decode(text, type=Command) if text else _ORPHAN
        if command.command == "drain":
            break
        await server.accept_from(socket.socket(fileno=listener))
        writer.write(encode_line(Report("accepting")))
    server.stop_accepting()
    writer.write(encode_line(Report("draining")))
    finished = await server.drain(idle=command.idle, limit=command.limit)
    if not finished:
        _LOG.warning("%s connections were still at work and are given up", len(server.server_state.connections))
    writer.write(encode_line(Report("drained")))
    with suppress(OSError):
        await writer.drain()
    server.should_exit = True
    await clock


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
