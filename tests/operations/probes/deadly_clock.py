"""Counts the file operations of this process below a folder, and kills it before the n-th."""

import os
import signal
import sys
from typing import Any

_EVENTS = ("open", "os.", "fcntl.", "shutil.", "subprocess.Popen")


def arm(below: str, at: int) -> list[int]:
    """Start counting; return the list whose only item is the count."""
    count = [0]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if not event.startswith(_EVENTS):
            return
        # A lock names its file by a number only; a start of a process, as the environment of nobody else's.
        if event not in ("fcntl.flock", "subprocess.Popen") and below not in repr(arguments):
            return
        count[0] += 1
        if count[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    return count
