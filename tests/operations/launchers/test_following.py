import itertools
import subprocess
import time
from pathlib import Path

import pytest

from modelyard.operations.errors import WorkLost
from modelyard.operations.handles import handle_of
from modelyard.operations.launchers.following import LogTail, ProcessWatch, result_of


def test_lines_are_handed_over_whole_and_once(tmp_path: Path) -> None:
    log, lines = tmp_path / "log", list[str]()
    tail = LogTail(log, lines.append)
    tail.look()
    text = "first\r\nhalf — ü\n\nno end".encode()
    cuts = [0, 3, 7, 14, 15, len(text)]
    for begin, end in itertools.pairwise(cuts):
        with log.open("ab") as file:
            file.write(text[begin:end])
        tail.look()

    assert lines == ["first", "half — ü", ""]
    tail.close()
    assert lines == ["first", "half — ü", "", "no end"]
    tail.close()
    assert len(lines) == 4


def test_what_is_no_utf8_is_shown_all_the_same(tmp_path: Path) -> None:
    lines: list[str] = []
    (tmp_path / "log").write_bytes(b"caf\xe9\n")
    LogTail(tmp_path / "log", lines.append).close()

    assert lines == ["caf\ufffd"]


def test_a_pause_ends_with_the_process(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        watch = ProcessWatch(
            handle_of(process.pid, launcher="process", key="k", generation=1, attempt=1, folder=tmp_path)
        )
        process.kill()
        began = time.monotonic()
        for _ in range(20):
            watch._pause = 5
            watch.pause(longest=5 if watch._poll else 0.001)
        assert time.monotonic() - began < 2
        watch.close()


def test_a_run_whose_folder_is_gone_is_lost(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        folder = tmp_path / "journal/k/1/1"
        handle = handle_of(process.pid, launcher="process", key="k", generation=1, attempt=1, folder=folder)
        process.kill()
    with pytest.raises(WorkLost, match=r"^k: the process that ran the operation is gone and left no result"):
        result_of(handle)
