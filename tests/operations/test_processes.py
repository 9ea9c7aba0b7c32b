import os
import signal
import subprocess
import sys
import time

import pytest

from modelyard.operations import processes
from modelyard.operations.processes import end_group, facts_of, group_members


def test_a_process_is_known_by_more_than_its_number() -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        facts = facts_of(process.pid)
        assert facts is not None
        assert (facts.group, facts.session, facts.running) == (process.pid, process.pid, True)
        own = facts_of(os.getpid())
        assert own is not None
        assert own.start != facts.start
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        ended = facts_of(process.pid)
        assert ended is not None
        assert (ended.start, ended.running) == (facts.start, False)
    assert facts_of(process.pid) is None


def test_a_command_with_brackets_in_its_name_is_read_right() -> None:
    code = (
        "import ctypes, time; ctypes.CDLL(None).prctl(15, b'a) Z (b', 0, 0, 0); print(1, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        facts = facts_of(process.pid)
        process.kill()
    assert facts is not None
    assert (facts.running, facts.group) == (True, os.getpgid(0))


def test_ps_says_the_same_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        exact = facts_of(process.pid)
        monkeypatch.setattr(processes, "_PROC", processes.Path("/nowhere"))
        facts = facts_of(process.pid)
        assert facts is not None
        assert exact is not None
        assert (facts.group, facts.session, facts.running) == (exact.group, exact.session, True)
        assert facts == facts_of(process.pid)
        assert group_members(process.pid) == [process.pid]
        process.kill()
    assert facts_of(process.pid) is None


def test_a_group_ends_as_a_whole_even_where_a_member_is_deaf() -> None:
    script = "trap '' TERM; sleep 600 & sleep 600 & echo up; wait"
    with subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        assert len(group_members(leader.pid)) == 3
        began = time.monotonic()
        end_group(leader.pid, grace=0.3)
        assert time.monotonic() - began < 3
        assert leader.wait() == -signal.SIGKILL
        assert group_members(leader.pid) == []


def test_a_polite_group_ends_at_once_and_one_member_can_be_spared() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 600 & exec sleep 600"], start_new_session=True) as leader:
        deadline = time.monotonic() + 60
        while len(group_members(leader.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        end_group(leader.pid, grace=30, spare=leader.pid)
        assert group_members(leader.pid) == [leader.pid]
        assert leader.poll() is None
        began = time.monotonic()
        end_group(leader.pid, grace=30)
        assert time.monotonic() - began < 5
        assert leader.wait() == -signal.SIGTERM
