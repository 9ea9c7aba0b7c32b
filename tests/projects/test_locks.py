"""Locks between processes."""

import multiprocessing
import os
import signal
import socket
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from modelyard.projects import LockTimeout
from modelyard.projects.locks import locked

PROCESSES = multiprocessing.get_context("fork")


def _hold(file: Path, told: Connection) -> None:
    with locked(file, "holding"):
        told.send(os.getpid())
        signal.pause()


def test_another_process_waits_and_is_told_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "deep/lock"
    here, there = PROCESSES.Pipe()
    holder = PROCESSES.Process(target=_hold, args=(file, there))
    holder.start()
    pid = here.recv()
    try:
        with pytest.raises(LockTimeout) as caught, locked(file, "fetching", timeout=0.1):
            pass
        assert str(caught.value) == (
            f"{file}: process {pid} on {socket.gethostname()} is still fetching after 0.1 s. Wait for it, or end it."
        )
        assert caught.value.outcome.retry
    finally:
        holder.kill()
        holder.join()
    with locked(file, "fetching", timeout=5):
        assert file.exists()


def test_a_lock_may_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "lock", "working", timeout=0):
            pass


def _count(file: Path) -> None:
    for _ in range(50):
        with locked(file.with_name("lock"), "counting"):
            file.write_text(str(int(file.read_text()) + 1))


def test_no_step_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_text("0")
    workers = [PROCESSES.Process(target=_count, args=(file,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert file.read_text() == "150"
