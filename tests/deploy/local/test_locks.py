import shutil
import subprocess
import sys
from pathlib import Path

from modelyard.deploy.local.locks import FolderLock, is_held


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "deep/er/lock"
    assert not is_held(path)
    first, second = FolderLock(path), FolderLock(path)
    assert first.acquire(0)
    assert is_held(path)
    assert not second.acquire(0.05)
    first.release()
    assert not is_held(path)
    assert second.acquire(0)
    second.release()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = f"""
from pathlib import Path
from modelyard.deploy.local.locks import FolderLock
assert FolderLock(Path({str(path)!r})).acquire(0)
print("held", flush=True)
import time; time.sleep(100)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_held(path)
        holder.kill()
    assert FolderLock(path).acquire(1)


def test_a_lock_whose_file_was_removed_protects_nothing(tmp_path: Path) -> None:
    path = tmp_path / "endpoint/lock"
    first = FolderLock(path)
    assert first.acquire(0)
    assert not first.is_lost()
    shutil.rmtree(path.parent)
    assert first.is_lost()
    second = FolderLock(path)
    assert second.acquire(0)
    assert first.is_lost()
    assert not second.is_lost()
    first.release()
    second.release()


def test_a_lock_need_not_make_its_folder(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "gone/lock", make_folder=False)
    assert not lock.acquire(60)
    assert not (tmp_path / "gone").exists()
