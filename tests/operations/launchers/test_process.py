import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from modelyard.errors import ErrorKind, ForeignError
from modelyard.operations.errors import InterpreterUnusable, OperationCancelled, WorkLost, WorkUnfinished
from modelyard.operations.handles import Handle, Sight
from modelyard.operations.invocation import Invocation
from modelyard.operations.journal import Journal
from modelyard.operations.launchers import ProcessLauncher, launcher_of
from modelyard.operations.processes import facts_of, group_members
from modelyard.operations.progress import Track
from modelyard.operations.states import RunState

Ask = Callable[..., Invocation]
Appears = Callable[..., None]


def runs(pid: int) -> bool:
    facts = facts_of(pid)
    return facts is not None and facts.running


@pytest.fixture
def launcher(journal: Journal) -> Iterator[ProcessLauncher]:
    launcher = ProcessLauncher(journal, grace=60)
    yield launcher
    for record in journal.records():
        handle = journal.job(record).handle()
        if handle:
            launcher.cancel(handle)


class Told:
    """Progress that counts."""

    def __init__(self) -> None:
        self.done: dict[str, float] = {}

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Track]:
        self.what = f"{what} {total:g} {unit}"
        self.done[self.what] = 0
        yield self

    def advance(self, amount: float = 1) -> None:
        self.done[self.what] += amount


def test_the_work_is_done_by_another_process(launcher: ProcessLauncher, ask: Ask, ledger: Path) -> None:
    progress, lines = Told(), list[str]()
    handle = launcher.submit(ask(value={"n": 2**60, "u": "ü", "none": None}, steps=7))

    assert launcher.wait(handle, lines.append, progress=progress) is RunState.SUCCEEDED
    assert launcher.result(handle) == {"value": {"n": 2**60, "u": "ü", "none": None}}
    assert handle.pid != os.getpid()
    assert ledger.read_text() == "begin 1.1\nend 1.1\n"
    assert lines == ["working on {'n': 1152921504606846976, 'u': 'ü', 'none': None}"]
    assert progress.done == {"probing 7 pieces": 7}
    assert handle.sight() is Sight.GONE


def test_the_worker_is_told_its_folder_alone_and_gets_the_environment(
    journal: Journal, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "s3cret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit('the working directory hides the library')")
    launcher = ProcessLauncher(journal, variables={"MORE": "yes"})
    handle = launcher.submit(ask("probe-circumstances", variable="A_SECRET", key="flights/r/s"))
    lines: list[str] = []
    assert launcher.wait(handle, lines.append) is RunState.SUCCEEDED, lines
    value = launcher.result(handle)["value"]

    assert value["argv"][1:] == [handle.folder]
    assert value["variable"] == "s3cret"
    assert (value["pid"], value["session"]) == (handle.pid, handle.pid)
    assert (value["python"], value["cwd"]) == (sys.executable, str(tmp_path))
    assert (value["key"], value["folder"]) == ("flights/r/s", f"{handle.folder}/scratch")
    assert [line for line in lines if "ünicode" not in line] == ["printed", "on the standard error"]
    assert "A_SECRET" not in (Path(handle.folder) / "request.json").read_text().replace('"A_SECRET"', "")
    assert b"s3cret" not in b"".join(
        each.read_bytes() for each in Path(handle.folder).iterdir() if each.name != "result.json"
    )
    again = launcher.submit(ask("probe-circumstances", variable="MORE", key="other"))
    launcher.wait(again)
    assert launcher.result(again)["value"]["variable"] == "yes"


@pytest.mark.parametrize(
    ("how", "kind", "type_", "text"),
    [
        ("modelyard", ErrorKind.GATE_FAILED, "ProbeBroken", "probe: auc is too low. Lower the gate."),
        ("internal", ErrorKind.INTERNAL, "ValueError", "ValueError: seven. The traceback is in "),
        ("disk", ErrorKind.EXHAUSTED, "OSError", "/data/out.parquet: no space left on the disk. Free some space, "),
        (
            "exit",
            ErrorKind.USER_CODE,
            "SystemExit",
            "the code ended its process: exit(3). Let it return or raise instead.",
        ),
    ],
)
def test_an_error_crosses_over_with_type_kind_and_facts(
    launcher: ProcessLauncher, ask: Ask, how: str, kind: ErrorKind, type_: str, text: str
) -> None:
    handle = launcher.submit(ask("probe-break", how=how))
    lines: list[str] = []
    assert launcher.wait(handle, lines.append) is RunState.FAILED

    with pytest.raises(ForeignError) as raised:
        launcher.result(handle)
    assert (raised.value.error_kind, raised.value.original.type) == (kind, type_)
    assert str(raised.value).startswith(text)
    assert raised.value.facts == ({"metric": "auc"} if how == "modelyard" else {})
    assert any(line.startswith("Traceback") for line in lines) == (how != "modelyard")
    assert text in lines[-1] or how == "internal"


def test_lines_arrive_while_the_work_goes_on(launcher: ProcessLauncher, ask: Ask, tmp_path: Path) -> None:
    handle = launcher.submit(ask(until=str(tmp_path / "go"), value="it"))

    def on_log(line: str) -> None:
        assert line == "working on it"
        assert launcher.poll(handle) is RunState.RUNNING
        (tmp_path / "go").touch()

    assert launcher.wait(handle, on_log) is RunState.SUCCEEDED


def test_waiting_has_its_time(launcher: ProcessLauncher, ask: Ask, tmp_path: Path) -> None:
    handle = launcher.submit(ask(until=str(tmp_path / "go")))

    assert not launcher.wait(handle, timeout=0.01).finished
    with pytest.raises(WorkUnfinished, match=r"k: probe-work is still (queued|running)\. Wait for it first\."):
        launcher.result(handle)
    (tmp_path / "go").touch()
    assert launcher.wait(handle) is RunState.SUCCEEDED


def test_another_client_attaches(
    launcher: ProcessLauncher, journal: Journal, ask: Ask, ledger: Path, tmp_path: Path
) -> None:
    request = ask(until=str(tmp_path / "go"), value=1)
    handle = launcher.submit(request)
    command = [sys.executable, "-c", CLIENT, journal.root, msgspec.json.encode(request)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert msgspec.json.decode(other.stdout.readline(), type=Handle) == handle
        (tmp_path / "go").touch()
        assert other.stdout.read() == b"working on 1\n{'value': 1}\n"
    assert launcher.wait(handle) is RunState.SUCCEEDED
    assert ledger.read_text() == "begin 1.1\nend 1.1\n"


CLIENT = """
import sys, msgspec, pathlib
from modelyard.operations.invocation import Invocation
from modelyard.operations.journal import Journal
from modelyard.operations.launchers import ProcessLauncher
launcher = ProcessLauncher(Journal(pathlib.Path(sys.argv[1])))
handle = launcher.submit(msgspec.json.decode(sys.argv[2], type=Invocation))
print(msgspec.json.encode(handle).decode(), flush=True)
launcher.wait(handle, print)
print(launcher.result(handle))
"""


def test_the_worker_outlives_its_client_and_the_result_waits(
    launcher: ProcessLauncher, journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears
) -> None:
    request = ask(until=str(tmp_path / "go"), value=1)
    command = [sys.executable, "-c", CLIENT, journal.root, msgspec.json.encode(request)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as client:
        assert client.stdout is not None
        handle = msgspec.json.decode(client.stdout.readline(), type=Handle)
        appears(ledger, "begin")
        os.killpg(client.pid, signal.SIGKILL)
    (tmp_path / "go").touch()
    appears(ledger, "end")

    lines: list[str] = []
    assert launcher.submit(request) == handle
    assert launcher.wait(handle, lines.append) is RunState.SUCCEEDED
    assert (launcher.result(handle), lines) == ({"value": 1}, ["working on 1"])
    assert ledger.read_text() == "begin 1.1\nend 1.1\n"
    journal.acknowledge("k")
    assert launcher.submit(request).generation == 2


@pytest.mark.parametrize("attached", [False, True])
def test_cancelling_lets_the_operation_clean_up(
    launcher: ProcessLauncher, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears, attached: bool
) -> None:
    handle = launcher.submit(ask(until=str(tmp_path / "never")))
    appears(ledger, "begin")
    canceller = launcher_of(handle) if attached else launcher

    assert canceller.cancel(handle) is RunState.CANCELLED
    assert ledger.read_text() == "begin 1.1\nstopped 1.1\n"
    assert not runs(handle.pid)
    assert canceller.cancel(handle) is RunState.CANCELLED, "twice is as good as once"
    with pytest.raises(OperationCancelled, match=r"k: probe-work was cancelled\."):
        launcher.result(handle)
    assert launcher.submit(ask()).attempt == 2


def test_cancelling_ends_the_deaf_too_and_no_result_is_visible(
    journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears
) -> None:
    launcher = ProcessLauncher(journal, grace=0.3)
    handle = launcher.submit(ask(until=str(tmp_path / "never"), deaf=True))
    appears(ledger, "begin")

    assert launcher.cancel(handle) is RunState.CANCELLED
    assert ledger.read_text() == "begin 1.1\n"
    assert not runs(handle.pid)
    record = journal.record("k")
    assert record is not None
    assert (record.state, record.newest.error and record.newest.error.kind) == (RunState.CANCELLED, ErrorKind.CANCELLED)
    assert not (Path(handle.folder) / "scratch").exists()


def test_cancelling_at_once_finds_the_interpreter_starting(launcher: ProcessLauncher, ask: Ask, ledger: Path) -> None:
    handle = launcher.submit(ask())

    assert launcher.cancel(handle) is RunState.CANCELLED
    assert not ledger.exists()
    assert group_members(handle.group) == []


def test_what_has_ended_cannot_be_cancelled(launcher: ProcessLauncher, ask: Ask) -> None:
    handle = launcher.submit(ask(value=1))
    launcher.wait(handle)

    assert launcher.cancel(handle) is RunState.SUCCEEDED
    assert launcher.result(handle) == {"value": 1}


def test_cancelling_ends_children_and_spares_who_left_the_group(
    journal: Journal, ask: Ask, tmp_path: Path, appears: Appears
) -> None:
    launcher = ProcessLauncher(journal, grace=0.5)
    handle = launcher.submit(ask("probe-offspring", numbers=str(tmp_path / "numbers"), until=str(tmp_path / "never")))
    appears(tmp_path / "numbers")
    program, forked, apart = map(int, (tmp_path / "numbers").read_text().split())
    try:
        assert launcher.cancel(handle) is RunState.CANCELLED
        assert (runs(program), runs(forked), runs(apart)) == (False, False, True)
    finally:
        os.kill(apart, signal.SIGKILL)


def test_success_leaves_no_process_in_the_group(launcher: ProcessLauncher, ask: Ask, tmp_path: Path) -> None:
    handle = launcher.submit(ask("probe-offspring", numbers=str(tmp_path / "numbers")))

    assert launcher.wait(handle) is RunState.SUCCEEDED
    program, forked, apart = map(int, (tmp_path / "numbers").read_text().split())
    assert (runs(program), runs(forked), runs(apart)) == (False, False, True)
    os.kill(apart, signal.SIGKILL)


def test_a_killed_worker_is_lost_and_its_children_end_before_the_next_attempt(
    launcher: ProcessLauncher, ask: Ask, tmp_path: Path, appears: Appears
) -> None:
    request = ask("probe-offspring", numbers=str(tmp_path / "numbers"), until=str(tmp_path / "go"))
    handle = launcher.submit(request)
    appears(tmp_path / "numbers")
    program, forked, apart = map(int, (tmp_path / "numbers").read_text().split())
    os.kill(handle.pid, signal.SIGKILL)
    os.waitid(os.P_PID, handle.pid, os.WEXITED | os.WNOWAIT)
    (tmp_path / "go").touch()
    (tmp_path / "numbers").unlink()

    # A client that never waited: as one that begins after the other's death.
    again = launcher_of(handle).submit(request)
    assert (again.generation, again.attempt) == (1, 2)
    assert (runs(program), runs(forked)) == (False, False)
    os.kill(apart, signal.SIGKILL)
    assert launcher.wait(again) is RunState.SUCCEEDED
    assert launcher.poll(handle) is RunState.LOST
    os.kill(int((tmp_path / "numbers").read_text().split()[2]), signal.SIGKILL)


def test_a_lost_worker_is_reported_with_its_last_words(launcher: ProcessLauncher, ask: Ask) -> None:
    handle = launcher.submit(ask("probe-break", how="killed"))

    assert launcher.wait(handle) is RunState.LOST
    with pytest.raises(WorkLost) as raised:
        launcher.result(handle)
    assert str(raised.value) == (
        "k: the process that ran probe-break is gone and left no result: SIGKILL ended it, as it does when memory runs "
        f"out: one last line. Start it again with the same key; its log is {handle.folder}/log."
    )
    assert raised.value.outcome.retry


def test_a_worker_of_a_rebooted_machine_is_lost(
    launcher: ProcessLauncher, journal: Journal, ask: Ask, ledger: Path
) -> None:
    handle = launcher.submit(ask())
    launcher.wait(handle)
    job = journal.job(journal.records()[0])
    (job.folder / "result.json").unlink()
    record = journal.records()[0]
    journal._write(record.seen(RunState.RUNNING))
    job.write_handle(msgspec.structs.replace(handle, boot="before", pid=os.getpid(), start="1"))
    os.utime(job.folder / "heartbeat", (0, 1_000_000_000))

    assert launcher.submit(ask()).attempt == 2


def test_an_interpreter_that_is_not_there_starts_nothing(journal: Journal, ask: Ask) -> None:
    with pytest.raises(
        InterpreterUnusable, match="the interpreter /nowhere/python cannot be started: there is no such"
    ):
        ProcessLauncher(journal, python="/nowhere/python").submit(ask())
    assert journal.records() == []


def test_an_interpreter_without_modelyard_is_told_apart_from_a_crash(
    journal: Journal, ask: Ask, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S -c 'import modelyard'\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    launcher = ProcessLauncher(journal, python=str(python))
    handle = launcher.submit(ask())

    assert launcher.wait(handle) is RunState.FAILED
    with pytest.raises(ForeignError, match="ended with code 1 before the work began") as raised:
        launcher.result(handle)
    assert raised.value.original.type == "WorkerNotStarted"
    assert "No module named 'modelyard'" in str(raised.value)
    assert not raised.value.outcome.retry


def test_a_wrapped_interpreter_is_followed_and_ended_as_a_whole(
    journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n{sys.executable} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    launcher = ProcessLauncher(journal, python=str(python), grace=60)
    request = ask(until=str(tmp_path / "go"))
    handle = launcher.submit(request)
    appears(ledger, "begin")
    own = journal.job(journal.records()[0]).handle()
    assert own is not None
    assert own.group == handle.pid != own.pid
    assert launcher.submit(request) == own

    assert launcher_of(own).cancel(own) is RunState.CANCELLED
    assert not runs(own.pid)
    (tmp_path / "go").touch()
    again = launcher.submit(request)
    assert launcher.wait(again) is RunState.SUCCEEDED


def test_a_worker_whose_folder_is_gone_ends(
    launcher: ProcessLauncher, journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears
) -> None:
    handle = launcher.submit(ask(until=str(tmp_path / "never")))
    appears(ledger, "begin")
    shutil.rmtree(journal.root)

    appears(ledger, "stopped")
    assert launcher.poll(handle) is RunState.LOST or launcher.wait(handle, timeout=10) is RunState.LOST


def test_a_request_through_the_journal_stops_a_worker_that_cannot_be_signalled(
    launcher: ProcessLauncher, journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears
) -> None:
    handle = launcher.submit(ask(until=str(tmp_path / "never")))
    appears(ledger, "begin")
    hidden = msgspec.structs.replace(handle, namespace="pid:[1]")

    assert launcher_of(hidden).cancel(hidden) is RunState.CANCELLED
    assert ledger.read_text() == "begin 1.1\nstopped 1.1\n"


def test_a_worker_whose_place_was_taken_ends_itself(
    launcher: ProcessLauncher, journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Appears
) -> None:
    """As one that was cut off from the shared folder for so long that another host took over."""
    handle = launcher.submit(ask(until=str(tmp_path / "never")))
    appears(ledger, "begin")
    record = journal.records()[0]
    journal._write(record.ended(RunState.LOST).with_attempt("probe-work"))

    appears(ledger, "stopped")
    launcher.wait(handle)
    assert (Path(handle.folder) / "result.json").exists() is False
    settled = journal.record("k")
    assert settled is not None
    assert [each.state for each in settled.attempts] == [RunState.LOST, RunState.LOST], "nobody began the second"
