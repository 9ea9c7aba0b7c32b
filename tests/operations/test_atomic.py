import errno
import os
from pathlib import Path

import pytest

from modelyard.operations.atomic import write_atomically


def test_the_old_content_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    write_atomically(file, b"old")
    with file.open("rb") as before:
        write_atomically(file, b"new and longer")
        assert before.read() == b"old"

    assert file.read_bytes() == b"new and longer"
    assert [each.name for each in tmp_path.iterdir()] == ["record.json"]


def test_a_full_disk_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "record.json"
    write_atomically(file, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"new")

    assert file.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["record.json"]
