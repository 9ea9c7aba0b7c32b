import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelyard.errors import ErrorKind, ForeignError, ModelyardError
from modelyard.operations.errors import KeyWaitsForItself, OperationCancelled, ResultInvalid, WorkLost
from modelyard.operations.invocation import Invocation
from modelyard.operations.journal import Journal
from modelyard.operations.launchers import InlineLauncher, launcher_of
from modelyard.operations.launchers.following import job_of
from modelyard.operations.locks import is_locked
from modelyard.operations.states import RunState

Ask = Callable[..., Invocation]
Appears = Callable[..., None]


def test_the_work_is_done_when_submit_returns(journal: Journal, ask: Ask, ledger: Path) -> None:
    launcher = InlineLauncher(journal)
    handle = launcher.submit(ask(value=[1, None, "ü"]))

    assert launcher.poll(handle) is RunState.SUCCEEDED
    assert launcher.result(handle) == {"value": [1, None, "ü"]}
    assert handle.pid == os.getpid()
    assert ledger.read_text() == "begin 1.1\nend 1.1\n"
    assert not is_locked(Path(handle.folder) / "alive")


def test_the_operation_is_told_its_circumstances(
    journal: Journal, ask: Ask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "modelyard")
    told = InlineLauncher(journal)
    handle = told.submit(ask("probe-circumstances", key="flights/r/s"))
    value = told.result(handle)["value"]

    assert (value["project"], value["environment"], value["key"]) == (str(tmp_path), "dev", "flights/r/s")
    assert (value["generation"], value["attempt"], value["pid"]) == (1, 1, os.getpid())
    assert value["folder"] == f"{handle.folder}/scratch"
    assert not Path(value["folder"]).exists()
    assert (Path(handle.folder) / "log").read_text().endswith("a line of the log, with ünicode\n")
    assert "a line of the log" in caplog.text


@pytest.mark.parametrize(
    ("how", "raised", "kind"),
    [
        ("modelyard", ModelyardError, ErrorKind.GATE_FAILED),
        ("internal", ValueError, ErrorKind.INTERNAL),
        ("memory", MemoryError, ErrorKind.EXHAUSTED),
        ("disk", OSError, ErrorKind.EXHAUSTED),
        ("library", ModuleNotFoundError, ErrorKind.INVALID),
        ("big", ResultInvalid, ErrorKind.INTERNAL),
        ("wrong", ResultInvalid, ErrorKind.INTERNAL),
    ],
)
def test_an_error_is_raised_as_it_was_and_recorded_by_its_kind(
    journal: Journal, ask: Ask, how: str, raised: type[Exception], kind: ErrorKind
) -> None:
    launcher = InlineLauncher(journal)
    handle = launcher.submit(ask("probe-break", how=how))

    with pytest.raises(raised):
        launcher.result(handle)
    assert launcher.poll(handle) is RunState.FAILED
    record = journal.record("k")
    assert record is not None
    assert record.newest.error is not None
    assert record.newest.error.kind is kind
    log = Path(handle.folder) / "log"
    assert ("Traceback" in (log.read_text() if log.exists() else "")) == (how not in ("modelyard", "library"))
    with pytest.raises(ForeignError):
        launcher_of(handle).result(handle)


@pytest.mark.parametrize(
    ("how", "raised", "state"), [("interrupt", KeyboardInterrupt, "cancelled"), ("exit", SystemExit, "failed")]
)
def test_what_ends_a_program_passes_through_and_is_recorded(
    journal: Journal, ask: Ask, how: str, raised: type[BaseException], state: str
) -> None:
    with pytest.raises(raised):
        InlineLauncher(journal).submit(ask("probe-break", how=how))

    record = journal.record("k")
    assert record is not None
    assert str(record.state) == state
    assert InlineLauncher(journal).submit(ask("probe-break", how="modelyard")).attempt == 2


def test_a_second_thread_waits_for_the_first(
    journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears
) -> None:
    results: list[dict[str, Any]] = []

    def work() -> None:
        launcher = InlineLauncher(journal)
        handle = launcher.submit(ask(value=5, until=str(tmp_path / "go")))
        assert launcher.wait(handle) is RunState.SUCCEEDED
        results.append(launcher.result(handle))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    appears(ledger, "begin")
    (tmp_path / "go").touch()
    for thread in threads:
        thread.join()

    assert results == [{"value": 5}] * 4
    assert ledger.read_text() == "begin 1.1\nend 1.1\n"


def test_threads_with_keys_of_their_own_do_not_wait(journal: Journal, ask: Ask, tmp_path: Path) -> None:
    handles = []
    barrier = threading.Barrier(3)

    def work(name: str) -> None:
        barrier.wait()
        handles.append(InlineLauncher(journal).submit(ask(key=name, ledger=str(tmp_path / name), value=name)))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(launcher_of(each).result(each)["value"] for each in handles) == ["a", "b", "c"]


def test_a_run_of_another_thread_can_be_stopped(
    journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears
) -> None:
    raised: list[BaseException] = []

    def work() -> None:
        launcher = InlineLauncher(journal)
        handle = launcher.submit(ask(until=str(tmp_path / "never")))
        try:
            launcher.result(handle)
        except OperationCancelled as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    appears(ledger, "begin")
    record = journal.record("k")
    assert record is not None
    handle = journal.job(record).handle()
    assert handle is not None
    assert launcher_of(handle).cancel(handle) is RunState.CANCELLED
    thread.join(60)

    assert [str(error) for error in raised] == ["k: probe-work was cancelled."]
    assert ledger.read_text() == "begin 1.1\nstopped 1.1\n"
    assert launcher_of(handle).poll(handle) is RunState.CANCELLED


DIE = """
import sys, msgspec, pathlib
from modelyard.operations.invocation import Invocation
from modelyard.operations.journal import Journal
from modelyard.operations.launchers import InlineLauncher
InlineLauncher(Journal(pathlib.Path(sys.argv[1]))).submit(msgspec.json.decode(sys.argv[2], type=Invocation))
"""


def test_a_run_dies_with_its_process_and_the_next_start_takes_over(
    journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears
) -> None:
    request = ask(value=1, until=str(tmp_path / "go"))
    command = [sys.executable, "-c", DIE, journal.root, msgspec.json.encode(request)]
    with subprocess.Popen(command) as other:
        appears(ledger, "begin")
        record = journal.record("k")
        assert record is not None
        handle = journal.job(record).handle()
        assert handle is not None
        assert (handle.pid, handle.group) == (other.pid, 0)
        other.kill()
        assert launcher_of(handle).wait(handle) is RunState.LOST
    with pytest.raises(WorkLost, match="the process that ran probe-work is gone and left no result"):
        launcher_of(handle).result(handle)

    (tmp_path / "go").touch()
    launcher = InlineLauncher(journal)
    again = launcher.submit(request)
    assert (again.attempt, launcher.result(again)) == (2, {"value": 1})
    assert ledger.read_text() == "begin 1.1\nbegin 1.2\nend 1.2\n"


def test_work_that_starts_its_own_key_does_not_wait_for_itself(journal: Journal, ask: Ask) -> None:
    launcher = InlineLauncher(journal)
    handle = launcher.submit(ask(key="outer"))
    job = job_of(handle)
    (job.folder / "result.json").unlink()
    record = journal.record("outer")
    assert record is not None
    journal._write(record.seen(RunState.RUNNING))
    with job.alive, pytest.raises(KeyWaitsForItself, match=r"^outer: probe-work starts its own key"):
        launcher.submit(ask(key="outer"))
