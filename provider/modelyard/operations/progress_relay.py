"""Carries progress from a worker to whoever waits for it, through a small file."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path

import msgspec

from modelyard.operations.progress import Progress, Track

__all__ = ["ProgressReader", "ProgressWriter"]

_SECONDS_BETWEEN = 0.2
_CLOSED_KEPT = 20
"""How many ended pieces stay in the file, so that a reader sees how far they came."""


class _Line(msgspec.Struct, omit_defaults=True):
    """One piece of work, as both sides know it."""

    number: int
    what: str
    total: float | None = None
    unit: str = ""
    done: float = 0.0
    closed: bool = False


class ProgressWriter:
    """Writes the open pieces of work to a file, a few times a second at most.

    Parameters
    ----------
    path
        The file. What it says is for show: that it cannot be written is no error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = count()
        self._lines: dict[int, _Line] = {}
        self._guard = threading.Lock()
        self._written = 0.0

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Track]:
        """Open a piece of work."""
        line = _Line(next(self._numbers), what, total, unit)
        with self._guard:
            self._lines[line.number] = line
        self._write(force=True)
        try:
            yield _WrittenTrack(self, line)
        finally:
            with self._guard:
                line.closed = True
                for number in [each.number for each in self._lines.values() if each.closed][:-_CLOSED_KEPT]:
                    del self._lines[number]
            self._write(force=True)

    def advance(self, line: _Line, amount: float) -> None:
        """Count."""
        with self._guard:
            line.done += amount
        self._write(force=False)

    def _write(self, *, force: bool) -> None:
        now = time.monotonic()
        with self._guard, suppress(OSError):
            if force or now - self._written >= _SECONDS_BETWEEN:
                self._written = now
                temporary = self._path.with_suffix(".tmp")
                temporary.write_bytes(msgspec.json.encode(list(self._lines.values())))
                temporary.replace(self._path)


class _WrittenTrack:
    def __init__(self, writer: ProgressWriter, line: _Line) -> None:
        self._writer = writer
        self._line = line

    def advance(self, amount: float = 1) -> None:
        self._writer.advance(self._line, amount)


class ProgressReader:
    """Tells a `Progress` what a `ProgressWriter` of another process has written.

    Parameters
    ----------
    path
        The file, which may not be there yet.
    progress
        Where to tell it.
    """

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path = path
        self._progress = progress
        self._open: dict[int, tuple[AbstractContextManager[Track], Track, float]] = {}
        self._newest = -1

    def look(self) -> None:
        """Tell what is new since the last look."""
        try:
            lines = {line.number: line for line in msgspec.json.decode(self._path.read_bytes(), type=list[_Line])}
        except (OSError, msgspec.DecodeError):
            return
        for line in lines.values():
            if line.number > self._newest:
                self._newest = line.number
                opened = self._progress.track(line.what, line.total, line.unit)
                self._open[line.number] = (opened, opened.__enter__(), 0.0)
            if line.number in self._open:
                self._tell(line)
        for number in reversed(list(self._open)):
            if number not in lines or lines[number].closed:
                self._close(number)

    def _tell(self, line: _Line) -> None:
        opened, track, told = self._open[line.number]
        if line.done > told:
            track.advance(line.done - told)
            self._open[line.number] = (opened, track, line.done)

    def close(self) -> None:
        """Tell the rest, and end what is open."""
        self.look()
        for number in reversed(list(self._open)):
            self._close(number)

    def _close(self, number: int) -> None:
        opened, _, _ = self._open.pop(number)
        opened.__exit__(None, None, None)
