"""Locks between processes and threads, gone with the process that held them."""

import fcntl
import os
import threading
import time
from pathlib import Path
from types import TracebackType

from modelyard.operations.errors import JournalBusy, JournalUnwritable

__all__ = ["FileLock", "is_locked"]

_PAUSE = 0.005
_LONGEST_PAUSE = 0.05
_open_handles: set[int] = set()
_held_here = threading.local()


def _close_after_fork() -> None:
    # A forked child shares the lock with its parent: a stray child must not hold what the dead parent held.
    for handle in list(_open_handles):
        os.close(handle)
    _open_handles.clear()
    _held_here.__dict__.clear()


os.register_at_fork(after_in_child=_close_after_fork)


class FileLock:
    """An exclusive lock on a file, kept by the kernel for as long as this process lives and keeps it.

    Other threads of this process are kept out as other processes are. The thread that holds it may take it again, so
    that a signal handler cannot stop its own thread for ever.

    Parameters
    ----------
    path
        The lock's file, in a folder that exists. The file stays.
    timeout
        Seconds to wait for another holder.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "lock"
    >>> with FileLock(file):
    ...     is_locked(file)
    True
    >>> is_locked(file)
    False
    """

    def __init__(self, path: Path, *, timeout: float = 600.0) -> None:
        self.path = path
        self.timeout = timeout
        self._handle: int | None = None

    def __enter__(self) -> "FileLock":
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free()

    @property
    def mine(self) -> bool:
        """Whether this thread holds it, by whatever object."""
        return self.path in _held_here.__dict__.get("depths", {})

    def take(self) -> None:
        """Wait for the lock, and hold it.

        Raises
        ------
        JournalBusy
            Somebody else holds it for longer than the timeout.
        JournalUnwritable
            The file system has no locks.
        """
        held: dict[Path, int] = _held_here.__dict__.setdefault("depths", {})
        if self.path in held:
            held[self.path] += 1
            return
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        _open_handles.add(handle)
        try:
            self._wait(handle)
        except BaseException:
            _close(handle)
            raise
        self._handle = handle
        held[self.path] = 1

    def free(self) -> None:
        """Let the lock go, by the thread that took it."""
        held: dict[Path, int] = _held_here.__dict__.get("depths", {})
        depth = held.pop(self.path, 0) - 1
        if depth > 0:
            held[self.path] = depth
        elif self._handle is not None:
            _close(self._handle)
            self._handle = None

    def _wait(self, handle: int) -> None:
        deadline = time.monotonic() + self.timeout
        pause = _PAUSE
        while not _taken(handle, fcntl.LOCK_EX, self.path):
            if time.monotonic() >= deadline:
                raise JournalBusy(str(self.path), self.timeout)
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock; looking disturbs no other look.

    Raises
    ------
    JournalUnwritable
        The file system has no locks.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    _open_handles.add(handle)
    try:
        return not _taken(handle, fcntl.LOCK_SH, path)
    finally:
        _close(handle)


def _taken(handle: int, mode: int, path: Path) -> bool:
    try:
        fcntl.flock(handle, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise JournalUnwritable(str(path), f"the file system has no locks ({error.strerror})") from error
    return True


def _close(handle: int) -> None:
    if handle in _open_handles:
        _open_handles.discard(handle)
        os.close(handle)
