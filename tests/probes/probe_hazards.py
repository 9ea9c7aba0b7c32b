"""A step that dies, hangs or raises on request; at the top of a module, so that a worker process finds it."""

import os
import signal
import sys
import time
from typing import Any


def kill(body: Any) -> Any:
    """Do what the body says, or return the process's id."""
    if body == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if body == "hang":
        time.sleep(60)
    if body == "bad":
        raise ValueError("bad row")
    return os.getpid()


def leave(body: Any) -> Any:
    """End the program, as far as this function can tell."""
    sys.exit(2)
