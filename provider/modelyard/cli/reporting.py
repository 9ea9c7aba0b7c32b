"""Tells people on the standard error what happens: lines and progress, for a terminal, a log, or nobody."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from modelyard.operations import NoProgress, Progress, Track

__all__ = ["LineReporter", "QuietReporter", "Reporter", "reporter_for", "reporting"]

_SECONDS_BETWEEN = 5.0


class Reporter(Progress, Protocol):
    """Where lines and progress go while a command runs."""

    def line(self, text: str) -> None:
        """Show one line."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class QuietReporter(NoProgress):
    """Says nothing."""

    def line(self, text: str) -> None:
        """Drop the line."""

    def close(self) -> None:
        """Have nothing to leave."""


class LineReporter:
    """Writes plain lines, for logs: progress becomes a line every few seconds and one at the end.

    Parameters
    ----------
    seconds_between
        The shortest time between two lines about the same work, in seconds.
    """

    def __init__(self, seconds_between: float = _SECONDS_BETWEEN) -> None:
        self._seconds_between = seconds_between

    def line(self, text: str) -> None:
        """Write the line."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Have nothing to leave: every line was written at once."""

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Track]:
        """Open a piece of work; only work that takes longer than the time between two lines is mentioned."""
        track = _LineTrack(self, what, total, unit, self._seconds_between)
        yield track
        track.finish()


class _LineTrack:
    def __init__(self, reporter: LineReporter, what: str, total: float | None, unit: str, seconds: float) -> None:
        self._reporter = reporter
        self._what = what
        self._total = total
        self._unit = f" {unit}" if unit else ""
        self._seconds = seconds
        self._done = 0.0
        self._said = time.monotonic()
        self._spoke = False

    def advance(self, amount: float = 1) -> None:
        """Count, and write a line if the last one is long ago."""
        self._done += amount
        if time.monotonic() - self._said >= self._seconds:
            self._say()

    def finish(self) -> None:
        """Write the last line if there was one before."""
        if self._spoke:
            self._say()

    def _say(self) -> None:
        total = f" of {self._total:,.0f}" if self._total else ""
        share = f" ({self._done / self._total:.0%})" if self._total else ""
        self._reporter.line(f"{self._what}: {self._done:,.0f}{total}{self._unit}{share}")
        self._said = time.monotonic()
        self._spoke = True


def reporter_for(*, quiet: bool) -> Reporter:
    """Return the reporter that fits the standard error: bars on a terminal, plain lines otherwise, nothing if quiet."""
    if quiet:
        return QuietReporter()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from modelyard.cli.terminal import TerminalReporter

        return TerminalReporter()
    return LineReporter()


def reporting(*, quiet: bool, debug: bool) -> AbstractContextManager[Reporter]:
    """Open a reporter that also shows what is logged: our own lines, and the warnings of others."""
    return _reporting(reporter_for(quiet=quiet), quiet=quiet, debug=debug)


@contextmanager
def _reporting(reporter: Reporter, *, quiet: bool, debug: bool) -> Iterator[Reporter]:
    handler = _ReporterHandler(reporter)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    root, own = logging.getLogger(), logging.getLogger("modelyard")
    before = (root.level, own.level)
    root.setLevel(logging.WARNING)
    own.setLevel(logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO)
    root.addHandler(handler)
    logging.captureWarnings(debug)
    try:
        yield reporter
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        root.setLevel(before[0])
        own.setLevel(before[1])
        reporter.close()


class _ReporterHandler(logging.Handler):
    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        self._reporter.line(self.format(record))
