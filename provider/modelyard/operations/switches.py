"""Ways to stop a running operation: by the signal that ends a process, and inside one of many threads."""

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from modelyard.operations.errors import CancelRequested

__all__ = ["SignalSwitch", "ThreadSwitch", "is_stop"]

_STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGINT)


def is_stop(error: BaseException) -> bool:
    """Return whether somebody asked for the end of the work (a signal), rather than the work itself.

    Examples
    --------
    >>> is_stop(KeyboardInterrupt()), is_stop(SystemExit(143)), is_stop(SystemExit(0)), is_stop(ValueError())
    (True, True, False, False)
    """
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code in _STOPPED)


class SignalSwitch:
    """Stops an operation that runs in the main thread of a process of its own: SIGTERM raises `CancelRequested` there.

    Once is enough: what the operation does on its way out is not interrupted again.
    """

    def __init__(self) -> None:
        self._armed = False
        self._pressed = False

    def install(self) -> None:
        """Take over SIGTERM and SIGINT of this process."""
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Open the stretch in which the signal raises `CancelRequested`; one that came before raises at once."""
        self._armed = True
        try:
            if self._pressed:
                raise CancelRequested
            yield
        finally:
            self._armed = False

    def press(self) -> None:
        """Send the signal to this process."""
        os.kill(os.getpid(), signal.SIGTERM)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        first, self._pressed = not self._pressed, True
        if self._armed and first:
            raise CancelRequested


class ThreadSwitch:
    """Stops an operation in the thread that arms it: `CancelRequested` is raised between two of its steps of Python.

    A call that waits outside Python is not interrupted; the operation stops when it returns.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._thread = 0
        self._pressed = False

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Open the stretch in which `press` raises `CancelRequested` in this thread."""
        with self._guard:
            self._thread = 0 if self._pressed else threading.get_ident()
        try:
            if self._pressed:
                raise CancelRequested
            yield
        finally:
            with self._guard:
                thread, self._thread = self._thread, 0
                if thread and self._pressed:
                    _raise_in(thread, None)

    def press(self) -> None:
        """Raise in the thread, if it is still at work."""
        with self._guard:
            if self._thread and not self._pressed:
                _raise_in(self._thread, CancelRequested)
            self._pressed = True


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Have a thread raise at its next step; None takes back what it has not raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error else ctypes.c_void_p(None)
    )
