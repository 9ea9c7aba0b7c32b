"""Clients and workers die before their n-th file operation; the same key again must give one finished run."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from modelyard.operations.errors import WorkLost
from modelyard.operations.handles import Sight
from modelyard.operations.invocation import Invocation
from modelyard.operations.journal import Journal
from modelyard.operations.launchers import InlineLauncher, ProcessLauncher
from modelyard.operations.processes import group_members
from modelyard.operations.states import RunState

Ask = Callable[..., Invocation]


def dies(work: Callable[[], object], below: Path, at: int) -> bool:
    """Run `work` in a forked child that is killed before its `at`-th file operation; return whether it was."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            from deadly_clock import arm  # type: ignore[import-not-found]

            arm(str(below), at)
            work()
            code = 0
        finally:
            # Nothing of pytest may be torn down in the child, whatever happens.
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def finish(journal: Journal, request: Invocation) -> tuple[int, int]:
    """Start the key again, as doors do: again while the work is lost."""
    launcher = ProcessLauncher(journal)
    for _ in range(3):
        handle = launcher.submit(request)
        launcher.wait(handle)
        try:
            assert launcher.result(handle) == {"value": 1}
            return handle.generation, handle.attempt
        except WorkLost:
            continue
    raise AssertionError("lost three times")


def check(journal: Journal, ledger: Path, generation: int) -> None:
    """Assert that one attempt has finished and no two have worked at the same time."""
    record = journal.record("k", generation)
    assert record is not None
    assert record.state is RunState.SUCCEEDED
    assert [each.state for each in record.attempts].count(RunState.SUCCEEDED) == 1
    lines = ledger.read_text().splitlines()
    assert "CLASH" not in lines
    finished = [line for line in lines if line.startswith(f"end {generation}.")]
    job = journal.job(record)
    assert finished[-1:] == [f"end {generation}.{job.attempt}"]
    assert list(job.folder.rglob("*.tmp")) == []


def points(first: int, last: int) -> list[object]:
    """Return every moment for the slow tests, and a few that differ from run to run for the fast ones."""
    fast = {first + (os.getpid() * 7 + step * 9) % (last - first) for step in range(3)}
    return [pytest.param(at, marks=[] if at in fast else pytest.mark.slow) for at in range(first, last)]


CLIENT_OPERATIONS, WORKER_OPERATIONS, INLINE_OPERATIONS = 35, 40, 55


@pytest.mark.parametrize("at", points(1, CLIENT_OPERATIONS))
def test_a_client_is_killed_while_it_starts_the_work(at: int, journal: Journal, ask: Ask, ledger: Path) -> None:
    request = ask(value=1)
    assert dies(lambda: ProcessLauncher(journal).submit(request), journal.root, at) or at > 20

    generation, attempt = finish(journal, request)
    assert (generation, attempt) in ((1, 1), (1, 2))
    check(journal, ledger, 1)
    ends = ledger.read_text().count("end ")
    assert ends == 1


@pytest.mark.parametrize("at", points(1, CLIENT_OPERATIONS))
def test_a_client_is_killed_while_it_opens_a_generation(at: int, journal: Journal, ask: Ask, ledger: Path) -> None:
    request = ask(value=1)
    finish(journal, request)

    def again() -> None:
        journal.acknowledge("k", 1)
        ProcessLauncher(journal).submit(request)

    dies(again, journal.root, at)
    journal.acknowledge("k", 1)
    generation, _ = finish(journal, request)
    assert generation == 2
    check(journal, ledger, 2)
    assert ledger.read_text().count("end 2.") == 1


@pytest.mark.parametrize("at", points(1, CLIENT_OPERATIONS))
def test_a_client_is_killed_while_it_replaces_a_lost_worker(at: int, journal: Journal, ask: Ask, ledger: Path) -> None:
    request = ask(value=1)
    dies(lambda: InlineLauncher(journal).submit(request), journal.root, 35)
    before = journal.record("k")
    assert before is not None
    assert (before.state, before.newest.number) == (RunState.LOST, 1)
    dies(lambda: ProcessLauncher(journal).submit(request), journal.root, at)

    generation, attempt = finish(journal, request)
    assert (generation, attempt) in ((1, 2), (1, 3))
    check(journal, ledger, 1)
    assert ledger.read_text().count("end ") == ledger.read_text().count("end 1.1") + 1


@pytest.mark.parametrize("at", points(1, WORKER_OPERATIONS))
def test_a_worker_is_killed(at: int, journal: Journal, ask: Ask, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_DIE_AT", str(at))
    monkeypatch.setenv("PROBE_DIE_BELOW", str(journal.root))
    generation, attempt = finish(journal, ask(value=1))

    # The last operations come after the result is published.
    assert (generation, attempt) in (((1, 2),) if at < 20 else ((1, 1), (1, 2)))
    check(journal, ledger, 1)
    # A worker that died after the work and before it was published has worked for nothing.
    assert ledger.read_text().count("end ") <= 2


@pytest.mark.parametrize("at", points(1, INLINE_OPERATIONS))
def test_a_process_is_killed_that_works_inline(at: int, journal: Journal, ask: Ask, ledger: Path) -> None:
    request = ask(value=1)
    assert dies(lambda: InlineLauncher(journal).submit(request), journal.root, at) or at > 45

    launcher = InlineLauncher(journal)
    handle = launcher.submit(request)
    assert launcher.result(handle) == {"value": 1}
    assert handle.attempt in (1, 2)
    check(journal, ledger, 1)


@pytest.mark.parametrize("at", points(1, 25))
def test_a_client_is_killed_while_it_cancels(
    at: int, journal: Journal, ask: Ask, ledger: Path, tmp_path: Path, appears: Callable[..., None]
) -> None:
    request = ask(value=1, until=str(tmp_path / "go"))
    launcher = ProcessLauncher(journal)
    handle = launcher.submit(request)
    appears(ledger, "begin")
    dies(lambda: ProcessLauncher(journal).cancel(handle), journal.root, at)
    (tmp_path / "go").touch()
    state = launcher.wait(handle)

    assert state in (RunState.CANCELLED, RunState.SUCCEEDED)
    assert group_members(handle.group) == []
    if state is RunState.CANCELLED:
        assert launcher.submit(request).attempt == 2
    assert finish(journal, request)[1] == (2 if state is RunState.CANCELLED else 1)
    check(journal, ledger, 1)


@pytest.mark.slow
def test_many_clients_start_the_same_key_at_once(journal: Journal, ask: Ask, ledger: Path) -> None:
    request = ask(value=1)
    children = []
    for moment in (12, 20, 25, 30, 10**9, 10**9):
        child = os.fork()
        if child == 0:
            try:
                dies(lambda: finish(journal, request), journal.root, moment)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)

    finish(journal, request)
    check(journal, ledger, 1)
    assert ledger.read_text().count("end ") == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_clients_and_workers_are_killed_at_random(seed: int, journal: Journal, ask: Ask, ledger: Path) -> None:
    chance = random.Random(seed)
    request = ask(value=1)
    clients = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                finish(journal, request)
            finally:
                os._exit(0)
        clients.append(child)
    for _ in range(3):
        time.sleep(chance.uniform(0, 0.25))
        record = journal.record("k")
        handle = journal.job(record).handle() if record else None
        victims = [*clients, *([handle.pid] * 2 if handle and handle.sight() is Sight.ALIVE else [])]
        with suppress(ProcessLookupError):  # it has ended since
            os.kill(chance.choice(victims), signal.SIGKILL)
    for child in clients:
        os.waitpid(child, 0)

    assert finish(journal, request)[0] == 1
    check(journal, ledger, 1)
