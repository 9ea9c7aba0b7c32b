import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from modelyard.errors import ErrorKind, ErrorRecord
from modelyard.operations import jobs as jobs_module
from modelyard.operations.errors import (
    JournalBusy,
    JournalDamaged,
    JournalFull,
    JournalUnwritable,
    KeyInUse,
    KeyInvalid,
)
from modelyard.operations.handles import Handle, handle_of
from modelyard.operations.invocation import Invocation
from modelyard.operations.jobs import Job
from modelyard.operations.journal import Journal
from modelyard.operations.locks import FileLock
from modelyard.operations.results import WorkResult
from modelyard.operations.states import RunState

Ask = Callable[..., Invocation]
DONE = WorkResult(RunState.SUCCEEDED, {"value": 1})
BROKEN = WorkResult(RunState.FAILED, error=ErrorRecord("E", ErrorKind.INVALID, "no"))


def launch(job: Job) -> Handle:
    """Pretend that this process is the worker, without the lock on ``alive``."""
    numbers = {"generation": job.generation, "attempt": job.attempt}
    return handle_of(os.getpid(), launcher="inline", key="k", folder=job.folder, **numbers)


def launch_elsewhere(job: Job) -> Handle:
    return msgspec.structs.replace(launch(job), boot="another", host="far-away", launcher="process")


def launch_nothing(job: Job) -> Handle:
    """Pretend that the worker has ended at once."""
    return msgspec.structs.replace(launch(job), start="1")


def finish(journal: Journal, handle: Handle, ended: WorkResult) -> WorkResult | None:
    job = Job(Path(handle.folder))
    assert journal.claim(job)
    return journal.commit(job, ended)


def numbers(handle: Handle) -> tuple[int, int]:
    return handle.generation, handle.attempt


def test_a_start_makes_a_job_with_its_request(journal: Journal, ask: Ask) -> None:
    handle, new = journal.start(ask(value=7), launch)

    job = Job(Path(handle.folder))
    assert new
    assert numbers(handle) == (1, 1)
    request = job.request()
    assert (request.parameters["value"], request.key, request.generation, request.attempt) == (7, "k", 1, 1)
    assert request.folder == handle.folder
    assert Path(handle.folder).parents[2] == journal.root
    assert job.handle() == handle
    assert job.scratch.is_dir()
    assert journal.state(job) is RunState.QUEUED


def test_work_that_is_under_way_is_attached_to(journal: Journal, ask: Ask) -> None:
    first = journal.start(ask(), launch)
    second = journal.start(ask(), lambda _: pytest.fail("launched twice"))

    assert second == (first.handle, False)


def test_a_result_is_handed_out_again_until_it_is_acknowledged(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch).handle
    assert finish(journal, handle, DONE) == DONE

    assert journal.start(ask(), launch) == (handle, False)
    assert journal.acknowledge("k", 1)
    assert journal.acknowledge("k", 1), "twice is as good as once"
    assert numbers(journal.start(ask(), launch).handle) == (2, 1)


@pytest.mark.parametrize("bad", [BROKEN, WorkResult(RunState.CANCELLED, error=BROKEN.error)])
def test_what_did_not_succeed_is_tried_again_in_the_same_generation(
    journal: Journal, ask: Ask, bad: WorkResult
) -> None:
    handle = journal.start(ask(), launch).handle
    finish(journal, handle, bad)
    assert not journal.acknowledge("k")
    again = journal.start(ask(), launch).handle
    assert numbers(again) == (1, 2)
    finish(journal, again, DONE)

    record = journal.record("k")
    assert record is not None
    assert [each.state for each in record.attempts] == [bad.state, RunState.SUCCEEDED]
    assert record.attempts[0].error == BROKEN.error
    assert Job(Path(handle.folder)).result() == bad, "the story of the first attempt stays"


def test_a_worker_that_is_gone_is_lost_and_tried_again(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch_nothing).handle
    assert journal.state(Job(Path(handle.folder))) is RunState.LOST
    again = journal.start(ask(), launch).handle

    assert numbers(again) == (1, 2)
    record = journal.record("k")
    assert record is not None
    assert [each.state for each in record.attempts] == [RunState.LOST, RunState.QUEUED]


def test_a_worker_of_another_host_is_tried_again_when_its_heartbeat_is_stale(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch_elsewhere).handle
    job = Job(Path(handle.folder))
    assert journal.claim(job)
    job.beat()
    assert journal.state(job) is RunState.RUNNING
    assert journal.start(ask(), launch).handle == handle

    os.utime(job.folder / "heartbeat", (0, time.time() - 61))
    again = journal.start(ask(), launch).handle
    assert numbers(again) == (1, 2)
    assert journal.commit(job, DONE) is None, "the late worker's result counts for nothing"
    assert job.result() is None
    assert not journal.is_newest(job)


def test_a_superseded_worker_does_not_begin(journal: Journal, ask: Ask) -> None:
    first = Job(Path(journal.start(ask(), launch_nothing).handle.folder))
    second = Job(Path(journal.start(ask(), launch).handle.folder))

    assert not journal.claim(first)
    assert journal.claim(second)
    assert not journal.claim(second), "nor twice"


def test_a_client_that_died_before_it_wrote_the_record_has_started_nothing(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch).handle
    generation = Path(handle.folder).parent
    (generation / "record.json").unlink()

    again = journal.start(ask(), launch)
    assert (numbers(again.handle), again.new) == ((1, 1), True)


def test_a_client_that_died_before_the_worker_was_there_is_replaced(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch).handle
    (Path(handle.folder) / "handle.json").unlink()

    assert numbers(journal.start(ask(), launch).handle) == (1, 2)
    assert not journal.claim(Job(Path(handle.folder)))


def test_a_worker_that_died_between_result_and_record_has_succeeded(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch_nothing).handle
    job = Job(Path(handle.folder))
    journal.claim(job)
    job.write_result(DONE)

    assert journal.start(ask(), launch) == (handle, False)
    record = journal.record("k")
    assert record is not None
    assert record.state is RunState.SUCCEEDED


def test_a_request_to_stop_before_the_end_wins(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch).handle
    job = Job(Path(handle.folder))
    assert journal.claim(job)
    job.request_cancel()
    published = journal.commit(job, DONE)

    assert published is not None
    assert (published.state, published.result) == (RunState.CANCELLED, None)
    assert journal.state(job) is RunState.CANCELLED
    assert job.result() == published


def test_a_request_to_stop_after_the_end_changes_nothing(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch).handle
    finish(journal, handle, DONE)
    job = Job(Path(handle.folder))
    job.request_cancel()

    assert journal.state(job) is RunState.SUCCEEDED
    settled = journal.settle(job)
    assert settled is not None
    assert settled.state is RunState.SUCCEEDED


def test_a_stopped_job_that_never_began_is_cancelled(journal: Journal, ask: Ask) -> None:
    job = Job(Path(journal.start(ask(), launch_nothing).handle.folder))
    job.request_cancel()
    assert not journal.claim(job)
    settled = journal.settle(job)

    assert settled is not None
    assert settled.state is RunState.CANCELLED
    ended = job.result()
    assert ended is not None
    assert ended.error is not None
    assert (ended.error.kind, ended.error.message) == (ErrorKind.CANCELLED, "probe-work was cancelled")


@pytest.mark.parametrize("other", [{"value": 2}, {"operation": "probe-circumstances"}])
def test_a_key_at_work_on_something_else_is_refused(journal: Journal, ask: Ask, other: dict[str, object]) -> None:
    journal.start(ask(value=1), launch)

    with pytest.raises(KeyInUse) as raised:
        journal.start(ask(**other), launch)
    assert raised.value.error_kind is ErrorKind.CONFLICT
    assert ("value" if "value" in other else "operation") in raised.value.facts["differences"]
    assert str(raised.value).startswith("k: the key is queued with other values of ")


def test_another_question_is_not_answered_with_the_last_answer(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(value=1), launch).handle
    finish(journal, handle, DONE)

    assert numbers(journal.start(ask(value=2), launch).handle) == (2, 1)


@pytest.mark.parametrize("key", ["", "x" * 1001])
def test_what_can_be_no_key(journal: Journal, ask: Ask, key: str) -> None:
    with pytest.raises(KeyInvalid, match="a key must be a text of 1 to 1000 characters"):
        journal.start(ask(key=key), launch)
    assert not journal.root.exists()


def test_what_fails_before_the_launch_leaves_nothing(journal: Journal, ask: Ask) -> None:
    def prepare(job: Job, request: Invocation) -> Invocation:
        job.snapshot.mkdir()
        raise RuntimeError("no snapshot")

    with pytest.raises(RuntimeError, match="no snapshot"):
        journal.start(ask(), launch, prepare)
    assert journal.records() == []
    assert [each.name for each in next(journal.root.iterdir()).iterdir()] == ["lock"]


def test_a_launch_that_fails_leaves_the_story_as_it_was(journal: Journal, ask: Ask) -> None:
    def refuse(job: Job) -> Handle:
        raise RuntimeError("no worker")

    finish(journal, journal.start(ask(), launch).handle, BROKEN)
    before = journal.record("k")
    with pytest.raises(RuntimeError, match="no worker"):
        journal.start(ask(), refuse)
    assert journal.record("k") == before
    assert before is not None
    assert [each.name for each in journal.job(before).folder.parent.iterdir() if each.is_dir()] == ["1"]


def test_preparation_decides_what_the_worker_sees(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch, lambda _, request: msgspec.structs.replace(request, project="/snap")).handle

    assert Job(Path(handle.folder)).request().project == "/snap"


def test_records_are_listed_newest_first_as_they_stand(journal: Journal, ask: Ask) -> None:
    assert journal.records() == []
    finish(journal, journal.start(ask(key="a"), launch).handle, DONE)
    journal.start(ask(key="b"), launch_nothing)

    states = {record.key: record.state for record in journal.records()}
    assert states == {"a": RunState.SUCCEEDED, "b": RunState.LOST}
    assert journal.record("never") is None


def test_an_older_generation_can_be_acknowledged_and_a_newer_one_stays(journal: Journal, ask: Ask) -> None:
    finish(journal, journal.start(ask(value=1), launch).handle, DONE)
    finish(journal, journal.start(ask(value=2), launch).handle, DONE)
    assert journal.acknowledge("k", 1)

    records = [journal.record("k", generation) for generation in (1, 2)]
    assert [record and record.acknowledged is not None for record in records] == [True, False]
    assert not journal.acknowledge("k", 3)
    assert not journal.acknowledge("never")


def test_the_files_are_for_people_too(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch).handle
    finish(journal, handle, DONE)

    record = json.loads((Path(handle.folder).parent / "record.json").read_text())
    assert (record["key"], record["generation"], record["operation"]) == ("k", 1, "probe-work")
    assert record["attempts"][0]["state"] == "succeeded"
    assert record["attempts"][0]["finished"].endswith("Z")
    assert sorted(each.name for each in Path(handle.folder).iterdir()) == ["handle.json", "request.json", "result.json"]


def test_whoever_holds_the_key_for_too_long_is_reported(tmp_path: Path, ask: Ask) -> None:
    journal = Journal(tmp_path / "journal", lock_timeout=0.05)
    folder = Path(journal.start(ask(), launch).handle.folder).parents[1]
    code = "import sys, pathlib, time; from modelyard.operations.locks import FileLock; "
    code += "FileLock(pathlib.Path(sys.argv[1])).take(); print(1, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, folder / "lock"], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(JournalBusy) as raised:
            journal.start(ask(), launch)
        other.kill()
    assert raised.value.outcome.retry


def test_a_full_disk_is_named_and_leaves_nothing(journal: Journal, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Job) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Job, "reserve", full)
        with pytest.raises(JournalFull, match="no space left on the disk") as raised:
            journal.start(ask(), launch)
    assert raised.value.error_kind is ErrorKind.EXHAUSTED
    assert journal.records() == []
    assert journal.start(ask(), launch).new


def test_a_result_that_finds_no_space_is_a_failure_that_says_so(
    journal: Journal, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = jobs_module.write_atomically

    def full(path: Path, data: bytes) -> None:
        if path.name == "result.json" and b"succeeded" in data:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    monkeypatch.setattr(jobs_module, "write_atomically", full)
    published = finish(journal, journal.start(ask(), launch).handle, DONE)

    assert published is not None
    assert published.error is not None
    assert (published.state, published.error.kind) == (RunState.FAILED, ErrorKind.EXHAUSTED)


def test_a_place_that_is_no_folder_is_named(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "state").write_text("")

    with pytest.raises(JournalUnwritable, match="Not a directory"):
        Journal(tmp_path / "state/journal").start(ask(), launch)


def test_a_damaged_record_is_named(journal: Journal, ask: Ask) -> None:
    handle = journal.start(ask(), launch).handle
    (Path(handle.folder).parent / "record.json").write_text("{")

    with pytest.raises(JournalDamaged, match=r"1/record\.json: the journal's file cannot be read"):
        journal.start(ask(), launch)


def test_a_key_is_locked_while_a_worker_is_launched(journal: Journal, ask: Ask) -> None:
    def launch_and_look(job: Job) -> Handle:
        lock = FileLock(job.folder.parents[1] / "lock", timeout=0)
        seen: list[bool] = []

        def other() -> None:
            try:
                lock.take()
            except JournalBusy:
                seen.append(True)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert seen == [True]
        return launch(job)

    assert journal.start(ask(), launch_and_look).new
