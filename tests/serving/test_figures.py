"""Figures of several processes: added up, kept after their ends, whole or not there."""

import asyncio
import os
from pathlib import Path

import msgspec

from modelyard.serving.figures import FigureFile, FigureFolder
from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.tallies import Tally


def write(folder: Path, pid: int, tally: Tally) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{pid}-1.json").write_bytes(msgspec.json.encode(tally))


def test_what_ended_processes_counted_stays_and_what_they_had_goes(tmp_path: Path) -> None:
    folder = FigureFolder(tmp_path)
    for pid, count in ((11, 3), (12, 4)):
        write(tmp_path, pid, Tally("g", "r1", requests={"event": {"200": count}}, in_flight=2, refused=1))
    [both] = folder.tallies({11, 12})
    assert (both.requests, both.in_flight, both.refused) == ({"event": {"200": 7}}, 4, 2)
    for _ in range(2):  # the second time the ended one is read from where it is kept
        [one] = folder.tallies({12})
        assert (one.requests, one.in_flight, one.refused) == ({"event": {"200": 7}}, 2, 2)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["12-1.json", "ended.json"]
    [none] = folder.tallies(set())
    assert (none.requests, none.in_flight) == ({"event": {"200": 7}}, 0)


def test_revisions_are_told_apart_and_what_is_damaged_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, 11, Tally("g", "r1", refused=1))
    write(tmp_path, 12, Tally("g", "r2", refused=2))
    (tmp_path / "13-1.json").write_text("{")
    found = FigureFolder(tmp_path).tallies({11, 12, 13})
    assert [(each.revision, each.refused) for each in found] == [("r1", 1), ("r2", 2)]
    assert FigureFolder(tmp_path / "nowhere").tallies(set()) == []


def test_a_process_writes_when_something_changed(tmp_path: Path) -> None:
    metrics = ServingMetrics()

    async def scene() -> list[dict[str, dict[str, int]]]:
        told, folder = [], FigureFolder(tmp_path)
        keeping = asyncio.create_task(FigureFile(tmp_path, metrics).keep())
        for count in (1, 2):
            metrics.answered("event", 200, 0.01)
            wanted = {"event": {"200": count}}
            # nothing announces what a process wrote
            while not (found := folder.tallies({os.getpid()})) or found[0].requests != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            told.append(found[0].requests)
        keeping.cancel()
        return told

    assert asyncio.run(asyncio.wait_for(scene(), 30)) == [{"event": {"200": 1}}, {"event": {"200": 2}}]
