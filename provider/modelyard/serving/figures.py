"""Figures of several processes in one folder: each writes its own file, and somebody adds them up."""

import asyncio
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from time import time_ns
from typing import TypeVar

import msgspec

from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.tallies import Tally, added_up

__all__ = ["FigureFile", "FigureFolder"]

EVERY = 0.5
"""Seconds between two writings, where something was counted in between."""
_ENDED = "ended.json"
FoundT = TypeVar("FoundT")


class FigureFile:
    """What one process counted, in a file that others read.

    Parameters
    ----------
    folder
        Where; it is made if it is not there.
    metrics
        Who counts.
    """

    def __init__(self, folder: Path, metrics: ServingMetrics) -> None:
        self._path = folder / f"{os.getpid()}-{time_ns()}.json"
        self._metrics = metrics
        self._last = b""

    async def keep(self) -> None:
        """Write every now and then, until cancelled."""
        while True:
            if changed := self._changed():
                with suppress(OSError):  # a full disk takes no server along
                    await asyncio.to_thread(_write, self._path, changed)
            await asyncio.sleep(EVERY)

    def write(self) -> None:
        """Write what there is now; as the last thing that the process does."""
        with suppress(OSError):
            _write(self._path, msgspec.json.encode(self._metrics.tally()))

    def _changed(self) -> bytes:
        """Return the figures, unless they are what they were, apart from what merely living costs."""
        tally = self._metrics.tally()
        counted = msgspec.json.encode(msgspec.structs.replace(tally, processes=[]))
        if counted == self._last:
            return b""
        self._last = counted
        return msgspec.json.encode(tally)


class FigureFolder:
    """Adds up what processes wrote; those of ended ones are kept in one file.

    Parameters
    ----------
    folder
        Where they write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tallies(self, alive: Collection[int]) -> list[Tally]:
        """Return what all processes counted, a tally for each graph and revision.

        Parameters
        ----------
        alive
            The processes that have not ended.
        """
        with suppress(FileNotFoundError):
            return self._added_up(alive)
        return []

    def _added_up(self, alive: Collection[int]) -> list[Tally]:
        kept = self._folder / _ENDED
        past = _read(kept, list[Tally]) or []
        present: list[Tally] = []
        over: list[Path] = []
        for path in sorted(self._folder.glob("*-*.json")):
            tally = _read(path, Tally)
            if tally is None:
                continue
            if int(path.name.partition("-")[0]) in alive:
                present.append(tally)
            else:
                past.append(tally.ended())
                over.append(path)
        if over:
            past = added_up(past)
            _write(kept, msgspec.json.encode(past))
            for path in over:
                path.unlink(missing_ok=True)
        return added_up([*past, *present])


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_suffix(".part")
    hidden.write_bytes(content)
    hidden.replace(path)


def _read(path: Path, kind: type[FoundT]) -> FoundT | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
