"""Leases: one process at a time, by a lock on a file that the system releases when the holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.tracking.errors import LeaseTaken

__all__ = ["lease"]

PAUSE = 0.02


@contextmanager
def lease(path: Path, what: str, *, seconds: float = 60.0) -> Iterator[None]:
    """Hold the lease on `what` while the context is open.

    The holder's death ends the lease. It binds all threads and processes that see the same file, so on several hosts
    only those that share the folder.

    Parameters
    ----------
    path
        The lock file; it stays, because removing it would let two in.
    what
        How errors call the thing.
    seconds
        How long to wait for another holder.

    Raises
    ------
    LeaseTaken
        Another holder did not let go in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(descriptor, path, what, seconds)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, what: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise LeaseTaken(what, str(path), seconds) from None
            time.sleep(PAUSE)
