"""Locks on files that may be removed together with the folder they lie in."""

import fcntl
import os
import time
from pathlib import Path

__all__ = ["FolderLock", "is_held"]

_TICK = 0.02


class FolderLock:
    """An exclusive lock that ends with the process that holds it, however that ends.

    Parameters
    ----------
    path
        The lock's file; it is made when needed.
    make_folder
        Whether its folder is made, too; otherwise the lock cannot be had where there is none.
    """

    def __init__(self, path: Path, *, make_folder: bool = True) -> None:
        self._path = path
        self._make_folder = make_folder
        self._descriptor = -1

    def acquire(self, timeout: float) -> bool:
        """Take the lock within `timeout` seconds, or return False."""
        deadline = time.monotonic() + timeout
        while not self._try():
            gone = not self._make_folder and not self._path.parent.is_dir()
            if gone or time.monotonic() >= deadline:
                return False
            time.sleep(_TICK)
        return True

    def release(self) -> None:
        """Give the lock up."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def is_lost(self) -> bool:
        """Whether somebody removed the file, and so the lock protects nothing any more."""
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return True

    def _try(self) -> bool:
        if self._make_folder:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # the folder was removed in between
            return False
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        if self.is_lost():  # what was locked is a file that is no longer there
            self.release()
            return False
        return True


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock at `path`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
