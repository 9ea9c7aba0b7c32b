import os
import time
from pathlib import Path

import msgspec
import pytest

from modelyard.operations.errors import JournalDamaged
from modelyard.operations.handles import handle_of
from modelyard.operations.jobs import Job
from modelyard.operations.processes import booted_at
from modelyard.operations.results import WorkResult
from modelyard.operations.states import RunState


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder = tmp_path / "k/2/3"
    folder.mkdir(parents=True)
    return Job(folder)


def write_handle(job: Job, **elsewhere: str) -> None:
    mine = handle_of(os.getpid(), launcher="process", key="k", generation=2, attempt=3, folder=job.folder)
    job.write_handle(msgspec.structs.replace(mine, **elsewhere))


def test_the_folder_says_generation_and_attempt(job: Job) -> None:
    assert (job.generation, job.attempt) == (2, 3)


def test_a_job_lives_while_its_worker_holds_the_lock(job: Job) -> None:
    assert not job.is_alive()
    with job.alive:
        assert job.is_alive()
    assert not job.is_alive()


def test_before_the_lock_is_taken_the_process_tells(job: Job) -> None:
    write_handle(job)
    assert job.is_alive()
    write_handle(job, start="1")
    assert not job.is_alive()


def test_in_another_container_of_this_kernel_the_lock_tells(job: Job) -> None:
    write_handle(job, namespace="pid:[1]")
    job.beat()

    assert not job.is_alive()
    with job.alive:
        assert job.is_alive()


def test_on_another_host_the_heartbeat_tells(job: Job) -> None:
    write_handle(job, boot="another", host="far-away")
    job.beat()
    assert job.is_alive(stale_after=60)
    os.utime(job.folder / "heartbeat", (0, time.time() - 61))
    assert not job.is_alive(stale_after=60)
    assert job.is_alive(stale_after=70)


def test_a_worker_from_before_this_boot_is_gone_at_once(job: Job) -> None:
    write_handle(job, boot="before", host=os.uname().nodename)
    job.beat()
    assert job.is_alive(stale_after=10**9), "another machine of the same name may be at it"
    os.utime(job.folder / "heartbeat", (0, booted_at() - 1))
    assert not job.is_alive(stale_after=10**9)


def test_a_worker_elsewhere_that_has_not_beaten_yet_gets_its_time(job: Job) -> None:
    write_handle(job, boot="another", host="far-away")

    assert job.is_alive(stale_after=60)
    os.utime(job.folder / "handle.json", (0, time.time() - 61))
    assert not job.is_alive(stale_after=60)


def test_a_result_fits_into_the_reserve(job: Job) -> None:
    job.reserve()
    assert (job.folder / "reserve").stat().st_blocks * 512 >= 128 * 1024
    job.write_result(WorkResult(RunState.SUCCEEDED, {"rows": 1}))

    assert not (job.folder / "reserve").exists()
    assert job.result() == WorkResult(RunState.SUCCEEDED, {"rows": 1})


def test_the_last_lines_are_one_line(job: Job) -> None:
    assert job.last_lines() == ""
    job.log.write_bytes(b"x" * 10_000 + b"\n\nTraceback\n   File\n\xff\nKilled \n\n")

    assert job.last_lines() == "File / \ufffd / Killed"


def test_tidying_leaves_what_people_look_at(job: Job) -> None:
    for folder in (job.scratch, job.snapshot):
        (folder / "deep").mkdir(parents=True)
    for name in ("log", "request.json", "handle.json", "result.json", "reserve", ".clock", ".handle.json.1-2.tmp"):
        (job.folder / name).touch()
    job.tidy()

    assert sorted(each.name for each in job.folder.iterdir()) == ["handle.json", "log", "request.json", "result.json"]


def test_a_damaged_file_is_named(job: Job) -> None:
    with pytest.raises(JournalDamaged, match=r"request\.json: the journal's file cannot be read: there is none"):
        job.request()
    (job.folder / "handle.json").write_text("{}")
    with pytest.raises(JournalDamaged, match=r"handle\.json.*missing required field `launcher`"):
        job.handle()
