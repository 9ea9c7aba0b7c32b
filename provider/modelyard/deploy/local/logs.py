"""The endpoint's log: what the supervisor does and what its workers print, in one file that does not grow for ever."""

import logging
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path

__all__ = ["open_log", "tail"]

SIZE, COUNT = 8 * 1024 * 1024, 4
"""Bytes of one file, and how many old ones are kept."""


def open_log(path: Path) -> logging.Logger:
    """Return a logger that writes to `path` alone and rotates it.

    Raises
    ------
    FileNotFoundError
        The endpoint's folder is gone.
    """
    path.parent.mkdir(exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=SIZE, backupCount=COUNT, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger(f"modelyard.endpoint.{path.parent.parent.name}")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    return log


def tail(path: Path, lines: int) -> list[str]:
    """Return the last `lines` of the log, across its rotation.

    Examples
    --------
    >>> tail(Path("/nowhere/endpoint.log"), 10)
    []
    """
    kept: deque[str] = deque(maxlen=lines)
    older = path.with_name(f"{path.name}.1")
    for each in (older, path):
        try:
            with each.open(encoding="utf-8", errors="replace") as stream:
                kept.extend(line.rstrip("\n") for line in stream)
        except FileNotFoundError:
            continue
    return list(kept)
