"""Lets a polite request to end the process cancel its work first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from modelyard.operations.errors import Terminated

__all__ = ["termination_cancels"]


@contextmanager
def termination_cancels() -> Iterator[None]:
    """Raise `Terminated` in the main thread on SIGTERM, as Ctrl-C raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_: int, __: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
