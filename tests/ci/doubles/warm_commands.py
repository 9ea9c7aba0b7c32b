"""The command ``modelyard`` without the seconds that its libraries take to be imported.

A process imports them once and forks for each call; a small program of the name ``modelyard`` hands a call over:
arguments, folder, variables, and its own standard input and output. What the command does is the same code; it has
only been imported before. The server ends with the process that has started it.
"""

import array
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

__all__ = ["warm_commands"]

LIBRARIES = (
    "mlflow.sklearn",
    "mlflow.store.tracking.sqlalchemy_store",
    "pandas",
    "pyarrow.parquet",
    "sklearn.ensemble",
    "sklearn.linear_model",
)
_CLIENT = """#!{python} -IS
import array, json, os, socket, sys
call = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    own = array.array("i", [0, 1, 2])
    server.sendmsg([len(call).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, own)])
    server.sendall(call)
    code = server.recv(1)
sys.exit(code[0] if code else "the command has died")
"""


@contextmanager
def warm_commands(folder: Path) -> Iterator[Path]:
    """Serve as long as the block runs; yields a folder for the PATH."""
    # Of no file: the path of one may be too long for a socket.
    address, program = f"\0modelyard-{uuid4().hex}", folder / "bin" / "modelyard"
    program.parent.mkdir(parents=True)
    program.write_text(_CLIENT.format(python=sys.executable, address=address))
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        server = subprocess.Popen(
            [sys.executable, __file__, str(listening.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listening.fileno()],
            env=_neutral(os.environ),
        )
    try:
        yield program.parent
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(60)


def _neutral(variables: Mapping[str, str]) -> dict[str, str]:
    """Return what the libraries may see while they are imported; threads of their own would not survive a fork."""
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    own = {"PATH": variables["PATH"], "HOME": variables.get("HOME", "/"), "LANG": "C.UTF-8"}
    return {**own, **alone, "MLFLOW_DISABLE_TELEMETRY": "true"}


def _serve(listening: socket.socket) -> None:
    """Fork for each call, and tell who called how it ended."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj == 0:
                    return
                if key.fileobj is listening:
                    caller = listening.accept()[0]
                    process = os.fork()
                    if process == 0:
                        waiting.close()
                        listening.close()
                        _carry_out(caller)
                    waiting.register(os.pidfd_open(process), selectors.EVENT_READ, (process, caller))
                else:
                    process, caller = key.data
                    waiting.unregister(key.fileobj)
                    os.close(key.fd)
                    _answer(caller, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def _answer(caller: socket.socket, code: int) -> None:
    with caller, suppress(OSError):  # whoever called may have been ended meanwhile
        caller.sendall(bytes([code % 256]))


def _carry_out(caller: socket.socket) -> None:
    """Become the command that was called; does not return."""
    files = array.array("i")
    length, passed, _, _ = caller.recvmsg(4, socket.CMSG_SPACE(3 * files.itemsize))
    files.frombytes(passed[0][2])
    size = int.from_bytes(length, "big")
    call = b""
    while len(call) < size:
        call += caller.recv(size - len(call))
    caller.close()
    words, folder, variables = json.loads(call)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = words
    from modelyard.cli.main import main

    sys.exit(main())


def _import() -> None:
    from importlib import import_module

    for each in LIBRARIES:
        import_module(each)
    requirements: Any = import_module("mlflow.utils.requirements_utils")
    requirements._init_modules_to_packages_map()
    for each in ("ci_run", "ci_preview", "ci_operation", "ci_promote", "ci_report", "ci_gate"):
        import_module(f"modelyard.cli.commands.{each}")


if __name__ == "__main__":
    sys.path.pop(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        _import()
        gc.freeze()  # what is there is neither looked at nor copied by a command's collection of garbage
        _serve(listening)
