"""Lines and progress bars on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from modelyard.operations import Track

__all__ = ["TerminalReporter"]


class TerminalReporter:
    """Shows a bar for each piece of work under way, below the lines that scroll by."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            transient=True,
        )
        self._open = 0

    def line(self, text: str) -> None:
        """Show the line above the bars."""
        self._console.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bars away and give the cursor back."""
        self._bars.stop()

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Track]:
        """Show a bar until the work is done."""
        if self._open == 0:
            self._bars.start()
        self._open += 1
        task = self._bars.add_task(what, total=total, unit=unit)
        try:
            yield _Bar(self._bars, task)
        finally:
            self._bars.remove_task(task)
            self._open -= 1
            if self._open == 0:
                self._bars.stop()


class _Bar:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self, amount: float = 1) -> None:
        """Move the bar."""
        self._bars.advance(self._task, amount)
