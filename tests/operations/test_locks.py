import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from modelyard.operations.errors import JournalBusy
from modelyard.operations.locks import FileLock, is_locked

HOLD = """
import pathlib, sys, time
from modelyard.operations.locks import FileLock
FileLock(pathlib.Path(sys.argv[1])).take()
print("held", flush=True)
time.sleep(600)
"""


def test_a_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, file], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(file)
        with pytest.raises(JournalBusy, match=r"holds the lock for more than 0\.05 s"):
            FileLock(file, timeout=0.05).take()
        holder.send_signal(signal.SIGKILL)
        holder.wait()

        with FileLock(file, timeout=0.05):
            assert is_locked(file)
    assert not is_locked(file)


def test_a_forked_child_does_not_keep_what_its_dead_parent_held(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    told, tell = os.pipe()
    parent = os.fork()
    if parent == 0:
        FileLock(file).take()
        child = multiprocessing.get_context("fork").Process(target=signal.pause)
        child.start()
        os.write(tell, f"{child.pid}".encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    child_pid = int(os.read(told, 20))
    try:
        deadline = time.monotonic() + 60
        while is_locked(file) and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(child_pid, 0)
        assert not is_locked(file)
    finally:
        os.kill(child_pid, signal.SIGKILL)
        os.close(told)
        os.close(tell)


def test_threads_keep_each_other_out(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with FileLock(tmp_path / "lock"):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_the_holding_thread_may_take_it_again(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with FileLock(file, timeout=0.1), FileLock(file, timeout=0.1):
        assert is_locked(file)
    assert not is_locked(file)


def test_looking_at_a_lock_that_nobody_made(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()
