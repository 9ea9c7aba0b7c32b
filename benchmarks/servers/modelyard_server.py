"""Our worker process, as a supervisor starts it: ``python modelyard_server.py FOLDER BUNDLE PORT [WORKERS]``."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

from modelyard.serving.worker import main


def lead(control: socket.socket) -> None:
    """Do what the supervisor does: once the worker is ready, let it take connections."""
    with control, control.makefile("rb") as reports:
        for line in reports:
            if json.loads(line)["state"] == "ready":
                control.sendall(b'{"command":"accept"}\n')


def serve(folder: Path, bundle: str, listener: socket.socket) -> int:
    """Be one worker on this socket."""
    control, theirs = socket.socketpair()
    probe, their_probe = socket.socketpair()
    Thread(target=lead, args=(control,), daemon=True).start()
    sockets = {"--listener": listener, "--control": theirs, "--probe": their_probe}
    words = [word for name, each in sockets.items() for word in (name, str(each.detach()))]
    if bundle == "slow":
        words += ["--options", '{"batch":1}']
    with probe:
        return main([str(folder / "bundles" / bundle), *words])


def start(folder: Path, bundle: str, port: int, workers: int) -> int:
    """Share one listening socket among workers, of which this process is one."""
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    for _ in range(workers - 1):
        command = [sys.executable, __file__, str(folder), bundle, "0", "1", str(listener.fileno())]
        subprocess.Popen(command, pass_fds=[listener.fileno()], start_new_session=True)
    return serve(folder, bundle, listener)


if __name__ == "__main__":
    folder, bundle, port, *rest = sys.argv[1:]
    os.environ["PYTHONUNBUFFERED"] = "1"
    if len(rest) == 2:
        sys.exit(serve(Path(folder), bundle, socket.socket(fileno=int(rest[1]))))
    sys.exit(start(Path(folder), bundle, int(port), int(rest[0]) if rest else 1))
