"""A lock between processes of one machine, gone with the process that held it."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.projects.errors import LockTimeout

__all__ = ["locked"]

_PAUSE = 0.05


@contextmanager
def locked(file: Path, purpose: str, *, timeout: float = 600.0) -> Iterator[None]:
    """Hold the lock `file` while inside; wait for whoever holds it now.

    The kernel frees it when the holder ends, however it ends; the file itself stays.

    Parameters
    ----------
    file
        The lock's file, made if need be, on a local disk.
    purpose
        What is done under it, such as ``fetching``, for the one who waits.
    timeout
        Seconds to wait.

    Raises
    ------
    LockTimeout
        Another process holds it for longer.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(handle, file, purpose, timeout)
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int, file: Path, purpose: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockTimeout(file, purpose, timeout, _holder(handle)) from None
        time.sleep(_PAUSE)


def _holder(handle: int) -> dict[str, object]:
    try:
        found = json.loads(os.pread(handle, 1000, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
