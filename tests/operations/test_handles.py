import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from modelyard.operations.handles import JOB_VARIABLE, Handle, Sight, handle_of
from modelyard.operations.processes import group_members

FOLDER = Path("/state/journal/k/1/1")


def of(pid: int) -> Handle:
    return handle_of(pid, launcher="process", key="k", generation=1, attempt=1, folder=FOLDER)


@pytest.fixture
def job() -> Iterator[subprocess.Popen[bytes]]:
    """A leader of a job's process group, with a child in it."""
    environment = {**os.environ, JOB_VARIABLE: str(FOLDER)}
    script = "sleep 600 & echo up; exec sleep 600"
    with subprocess.Popen(["sh", "-c", script], start_new_session=True, env=environment, stdout=-1) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        yield leader
        for pid in group_members(leader.pid):
            os.kill(pid, 9)
        leader.poll()


def test_a_handle_finds_its_process(job: subprocess.Popen[bytes]) -> None:
    handle = of(job.pid)

    assert (handle.pid, handle.group, handle.folder) == (job.pid, job.pid, str(FOLDER))
    assert handle.sight() is Sight.ALIVE
    assert handle.leftover_group() == job.pid
    assert msgspec.json.decode(msgspec.json.encode(handle), type=Handle) == handle


def test_a_zombie_is_gone_and_its_group_is_still_its_own(job: subprocess.Popen[bytes]) -> None:
    handle = of(job.pid)
    job.kill()
    os.waitid(os.P_PID, job.pid, os.WEXITED | os.WNOWAIT)
    assert handle.sight() is Sight.GONE
    assert handle.leftover_group() == job.pid
    job.wait()
    assert handle.sight() is Sight.GONE
    assert handle.leftover_group() == job.pid, "the orphan says whose it is"


def test_a_number_that_was_given_out_again_is_somebody_else(job: subprocess.Popen[bytes]) -> None:
    earlier = msgspec.structs.replace(of(job.pid), start="1")

    assert earlier.sight() is Sight.GONE
    assert earlier.leftover_group() == 0


def test_a_group_of_strangers_is_left_alone(job: subprocess.Popen[bytes]) -> None:
    handle = msgspec.structs.replace(of(job.pid), folder="/state/journal/other/1/1")
    job.kill()
    job.wait()

    assert group_members(job.pid) != []
    assert handle.leftover_group() == 0


def test_a_group_that_somebody_else_leads_is_not_its_own(job: subprocess.Popen[bytes]) -> None:
    (child,) = set(group_members(job.pid)) - {job.pid}
    elsewhere = Path("/state/journal/other/1/1")
    stranger = handle_of(child, launcher="process", key="k", generation=1, attempt=1, folder=elsewhere)

    assert (of(child).pid, of(child).group) == (child, job.pid), "what wraps it is of its job"
    assert (stranger.pid, stranger.group) == (child, 0)


@pytest.mark.parametrize("elsewhere", [{"boot": "another"}, {"namespace": "pid:[1]"}])
def test_another_machine_boot_or_container_is_hidden(job: subprocess.Popen[bytes], elsewhere: dict[str, str]) -> None:
    handle = msgspec.structs.replace(of(job.pid), **elsewhere)

    assert handle.sight() is Sight.HIDDEN
    assert handle.leftover_group() == 0
    assert handle.same_kernel == ("boot" not in elsewhere)


def test_an_inline_run_has_no_group_to_end() -> None:
    handle = handle_of(os.getpid(), launcher="inline", key="k", generation=1, attempt=1, folder=FOLDER)

    assert (handle.group, handle.leftover_group(), handle.sight()) == (0, 0, Sight.ALIVE)


def test_there_is_no_handle_of_a_process_that_is_not() -> None:
    with pytest.raises(ProcessLookupError):
        of(2**22 + 1)
