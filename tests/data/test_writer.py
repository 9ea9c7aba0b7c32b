import errno
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from modelyard.data import (
    DatasetEmpty,
    DatasetUnfinished,
    OutputChanged,
    OutputOccupied,
    ShardWriter,
    StorageFull,
    open_dataset,
    writer,
)
from modelyard.data.pieces import Refusal

SCHEMA = pa.schema([("x", pa.int64())])
RUN, LATER = "00aa", "00bb"


@pytest.fixture(params=["disk", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "disk":
        yield str(tmp_path / "deep" / "out")
        return
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield "memory://deep/out"
    fs.store.clear()


def files(output: str) -> list[str]:
    fs, path = fsspec.url_to_fs(output)
    return sorted(name.removeprefix(f"{path}/") for name in fs.find(path))


def batch(*values: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"x": list(values)}, schema=SCHEMA)


def write(output: str, run: str, *shards: tuple[int, ...], commit: bool = True) -> ShardWriter:
    made = ShardWriter(output, run=run, writer="test")
    for index, values in enumerate(shards):
        with made.shard(index) as shard:
            shard.write(batch(*values))
    if commit:
        made.commit({"model": run})
    return made


def fail(made: ShardWriter, *refusals: Refusal) -> None:
    with made.shard(0) as shard:
        shard.refuse("a.csv", refusals)
        for start in range(0, 5_000, 1_000):
            shard.write(batch(*range(start, start + 1_000)))
        _ = 1 / 0


def rows(output: str) -> list[int]:
    return list(open_dataset(output).table()["x"].to_pylist())


def test_nothing_is_visible_before_the_commit_and_everything_after(output: str) -> None:
    made = write(output, RUN, (1, 2), (3,), commit=False)
    with pytest.raises(DatasetUnfinished):
        open_dataset(output)

    manifest = made.commit({"model": "m"})

    assert rows(output) == [1, 2, 3]
    assert (manifest.rows, manifest.metadata, [shard.rows for shard in manifest.files]) == (3, {"model": "m"}, [2, 1])
    assert files(output) == ["_manifest.json", "part-00aa-00000.parquet", "part-00aa-00001.parquet"]
    assert open_dataset(output).manifest == manifest


def test_a_later_output_replaces_the_earlier_at_once(output: str) -> None:
    write(output, RUN, (1, 2), (3,))
    made = write(output, LATER, (7,), commit=False)
    assert rows(output) == [1, 2, 3]

    made.commit()

    assert rows(output) == [7]
    assert files(output) == ["_manifest.json", "part-00bb-00000.parquet"]


def test_a_killed_run_goes_on_after_its_finished_shards(output: str) -> None:
    write(output, RUN, (1, 2), (3,), commit=False)

    resumed = ShardWriter(output, run=RUN, writer="test")
    assert [(record.index, record.rows) for record in resumed.finished] == [(0, 2), (1, 1)]
    with resumed.shard(2) as shard:
        shard.write(batch(4))
        shard.counts["nulls"] = 5
    assert resumed.finished[-1].counts == {"nulls": 5}
    resumed.commit()

    assert rows(output) == [1, 2, 3, 4]
    again = ShardWriter(output, run=RUN, writer="test")
    assert again.committed is not None
    assert again.committed.rows == 4
    again.abort()
    assert rows(output) == [1, 2, 3, 4]


def test_a_shard_whose_file_is_not_the_recorded_one_is_written_again(output: str) -> None:
    write(output, RUN, (1, 2), (3,), (4,), commit=False)
    with fsspec.open(f"{output}/part-00aa-00001.parquet", "wb") as stream:
        stream.write(b"half")

    assert len(ShardWriter(output, run=RUN, writer="test").finished) == 1

    with fsspec.open(f"{output}/_progress-00aa/00000.json", "wb") as stream:
        stream.write(b"{")
    assert ShardWriter(output, run=RUN, writer="test").finished == ()


def test_a_kill_between_commit_and_clean_up_is_made_good(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(output, RUN, (1, 2))
    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "sweep", lambda *_: None)
        write(output, LATER, (7,))
    assert "part-00aa-00000.parquet" in files(output)

    again = ShardWriter(output, run=LATER, writer="test")
    again.sweep()

    assert rows(output) == [7]
    assert files(output) == ["_manifest.json", "part-00bb-00000.parquet"]


def test_a_failure_leaves_nothing_and_the_earlier_output_stays(output: str) -> None:
    made = ShardWriter(output, run=RUN, writer="test")
    with pytest.raises(ZeroDivisionError):
        fail(made)
    made.abort()
    assert files(output) == []
    assert "://" in output or not Path(output).exists()

    write(output, RUN, (1, 2))
    failed = write(output, LATER, (3,), commit=False)
    failed.abort()
    assert rows(output) == [1, 2]
    assert files(output) == ["_manifest.json", "part-00aa-00000.parquet"]


def test_folders_that_were_there_before_stay(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write(str(tmp_path / "mine" / "a" / "b"), RUN, (1,), commit=False).abort()

    assert list((tmp_path / "mine").iterdir()) == []


def test_what_another_run_is_writing_stays_for_an_hour(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = write(output, LATER, (7,), commit=False)
    write(output, RUN, (1,))
    assert "part-00bb-00000.parquet" in files(output)
    other.commit()
    assert rows(output) == [7]

    write(output, "00cc", (8,), commit=False)
    monkeypatch.setattr(writer, "ABANDONED", -1.0)
    write(output, RUN, (1,))
    assert files(output) == ["_manifest.json", "part-00aa-00000.parquet"]


def test_two_attempts_at_the_same_work_do_not_hurt_each_other(output: str) -> None:
    slow = write(output, RUN, (1, 2), commit=False)
    fast = ShardWriter(output, run=RUN, writer="test")
    for made in (slow, fast):
        with made.shard(1) as shard:
            shard.write(batch(3))
    fast.commit()

    slow.abort()
    assert rows(output) == [1, 2, 3]
    slow.commit()
    assert rows(output) == [1, 2, 3]
    assert len(files(output)) == 3


def test_a_shard_that_somebody_removed_is_not_shown(output: str) -> None:
    made = write(output, RUN, (1,), (2,), commit=False)
    fs, path = fsspec.url_to_fs(output)
    fs.rm_file(f"{path}/part-00aa-00001.parquet")

    with pytest.raises(OutputChanged, match=r"removed or replaced part-00aa-00001\.parquet"):
        made.commit()


def test_refused_rows_go_to_quarantine_with_the_reason(output: str) -> None:
    made = ShardWriter(output, run=RUN, writer="test")
    with made.shard(0) as shard:
        shard.refuse("a.csv", [Refusal(3, "x", "'x' must be a number", {"x": "oops", "é": float("nan"), "n": None})])
        assert shard.refused == 1
    with made.shard(1) as shard:
        shard.write(batch(5))
    assert made.finished[0].refused == 1
    assert made.finished[0].part is None
    manifest = made.commit()

    assert rows(output) == [5]
    assert [shard.rows for shard in manifest.quarantine] == [1]
    (found,) = open_dataset(made.quarantine).table().to_pylist()
    assert json.loads(found.pop("content")) == {"x": "oops", "é": "nan", "n": None}
    assert found == {"source": "a.csv", "row": 3, "column": "x", "reason": "'x' must be a number"}


def test_quarantine_can_outlive_a_run_that_failed(output: str) -> None:
    made = ShardWriter(output, run=RUN, writer="test")
    with pytest.raises(ZeroDivisionError):
        fail(made, Refusal(3, "", "bad", {}))
    made.abort(keep_quarantine=True)

    assert files(output) == ["_quarantine-00aa/part-00aa-00000.parquet"]
    with pytest.raises(DatasetEmpty):
        open_dataset(output)
    write(output, LATER, (1,))
    assert files(output) == ["_manifest.json", "part-00bb-00000.parquet"]


def test_a_place_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputOccupied, match="holds a file"):
        ShardWriter(str(tmp_path / "file"), run=RUN)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.docx").touch()
    with pytest.raises(OutputOccupied, match=r"holds thesis\.docx, which is no earlier output"):
        ShardWriter(str(tmp_path / "mine"), run=RUN)
    write(str(tmp_path / "out"), RUN, (1,))
    with pytest.raises(OutputOccupied, match="a dataset written by test"):
        ShardWriter(str(tmp_path / "out"), run=LATER, writer="other")


def test_shards_are_written_in_order(output: str) -> None:
    with pytest.raises(ValueError, match="the next shard is 0, not 1"):
        ShardWriter(output, run=RUN).shard(1)


class _SmallFile(MemoryFile):  # type: ignore[misc]
    def write(self, data: bytes) -> int:
        if self.tell() + len(data) > self.fs.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(super().write(data))


class SmallFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """A file system that takes files of a few bytes only."""

    protocol = "small"
    store: dict[str, Any] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    room = 1_000

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        opened = super()._open(path, mode, **options)
        if mode == "wb":
            opened.__class__ = _SmallFile
        return opened


fsspec.register_implementation("small", SmallFileSystem, clobber=True)


def test_a_full_storage_is_named_and_left_clean() -> None:
    made = ShardWriter("small://out", run=RUN)
    with pytest.raises(StorageFull, match=r"the storage is full \(No space left on device\)"):
        fail(made)
    made.abort()

    assert SmallFileSystem.store == {}


def test_a_full_disk_is_named_and_left_clean(tmp_path: Path) -> None:
    code = f"""
        import resource, signal
        import pyarrow as pa
        from modelyard.data import ShardWriter, StorageFull
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        batch = pa.RecordBatch.from_pydict({{"x": list(range(100_000))}})
        made = ShardWriter({str(tmp_path / "out")!r}, run="00aa")
        try:
            with made.shard(0) as shard:
                shard.write(batch)
        except StorageFull as error:
            made.abort()
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert "the storage is full (" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_equal_rows_give_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(str(tmp_path / name), RUN, (1, 2, 3))

    one, two = ((tmp_path / name / "part-00aa-00000.parquet").read_bytes() for name in ("one", "two"))
    assert one == two
    assert pq.read_table(tmp_path / "one").to_pydict() == {"x": [1, 2, 3]}
