from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.operations.progress import Track
from modelyard.operations.progress_relay import ProgressReader, ProgressWriter


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Track]:
        self.lines.append(f"open {what} {total or 0:g} {unit}")
        yield Counter(self, what)
        self.lines.append(f"close {what}")


class Counter:
    def __init__(self, told: Told, what: str) -> None:
        self.told = told
        self.what = what

    def advance(self, amount: float = 1) -> None:
        self.told.lines.append(f"{self.what} +{amount:g}")


def test_what_one_process_does_another_shows(tmp_path: Path) -> None:
    told = Told()
    writer, reader = ProgressWriter(tmp_path / "progress.json"), ProgressReader(tmp_path / "progress.json", told)
    reader.look()
    with writer.track("outer", 10, "rows") as outer:
        outer.advance(4)
        reader.look()
        with writer.track("inner"):
            outer.advance(3)
            reader.look()
        outer.advance()
        with writer.track("another"):
            reader.look()
    reader.look()
    reader.close()

    # How often it is told depends on the time; what is told does not.
    assert sum(float(line.split("+")[1]) for line in told.lines if line.startswith("outer +")) == 8
    assert [line for line in told.lines if line.startswith(("open", "close"))] == [
        "open outer 10 rows",
        "open inner 0 ",
        "open another 0 ",
        "close inner",
        "close another",
        "close outer",
    ]


def test_what_is_open_when_the_other_is_gone_is_closed(tmp_path: Path) -> None:
    told = Told()
    writer, reader = ProgressWriter(tmp_path / "progress.json"), ProgressReader(tmp_path / "progress.json", told)
    with writer.track("work", 3):
        reader.look()
        reader.close()
    assert told.lines == ["open work 3 ", "close work"]


def test_progress_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    writer = ProgressWriter(tmp_path / "nowhere/progress.json")
    with writer.track("work") as track:
        track.advance()
