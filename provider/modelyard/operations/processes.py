"""Processes of this machine: who they are, whether they live, and how a whole group ends.

A process is known by more than its number, which the kernel gives out again: by its start time, the boot of the kernel,
and the namespace that numbers it.
"""

import os
import signal
import socket
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["ProcessFacts", "boot_id", "booted_at", "end_group", "facts_of", "group_members", "host_name", "namespace"]

_PROC = Path("/proc")
_PAUSE = 0.02


class ProcessFacts(NamedTuple):
    """What the kernel says of a process."""

    start: str
    """When it started, in a form that is compared, not read."""
    group: int
    session: int
    running: bool
    """False for one that has ended and waits to be noticed by its parent."""


def host_name() -> str:
    """Return the name of this host."""
    return socket.gethostname()


@cache
def boot_id() -> str:
    """Return what tells this boot of this kernel from all others."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _told_by("sysctl", "-n", "kern.boottime")


@cache
def booted_at() -> float:
    """Return when this kernel booted, in seconds since 1970; 0 where it does not say."""
    try:
        lines = (_PROC / "stat").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("btime"))
    except (OSError, StopIteration):
        return 0.0


def namespace() -> str:
    """Return what tells this numbering of processes from that of another container."""
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def facts_of(pid: int) -> ProcessFacts | None:
    """Return what the kernel says of a process; None where there is none of that number."""
    if not (_PROC / "self/stat").exists():
        return _facts_from_ps(pid)
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command in brackets, which may hold brackets and spaces itself.
    fields = text.rpartition(")")[2].split()
    return ProcessFacts(start=fields[19], group=int(fields[2]), session=int(fields[3]), running=fields[0] not in "ZX")


def group_members(group: int) -> list[int]:
    """Return the processes that still run in a process group that leads its own session."""
    if not (_PROC / "self/stat").exists():
        rows = [line.split() for line in _told_by("ps", "-A", "-o", "pid=,pgid=,stat=").splitlines()]
        return [int(pid) for pid, its_group, state in rows if int(its_group) == group and not state.startswith("Z")]
    found = []
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            facts = facts_of(int(folder.name))
            if facts and facts.running and facts.group == group and facts.session == group:
                found.append(int(folder.name))
    return found


def end_group(group: int, *, grace: float, spare: int = 0) -> None:
    """End every process of a group: ask, wait up to `grace` seconds, then kill.

    Parameters
    ----------
    group
        The group; the caller has made sure that it is the one that is meant.
    grace
        Seconds between SIGTERM and SIGKILL; 0 kills at once.
    spare
        A member that is left alone.
    """
    if grace > 0:
        _signal(group, signal.SIGTERM, spare)
        deadline = time.monotonic() + grace
        while _rest(group, spare):
            if time.monotonic() >= deadline:
                break
            time.sleep(_PAUSE)
    # More than once: a member may start another while the first are killed.
    for _ in range(50):
        if not _rest(group, spare):
            return
        _signal(group, signal.SIGKILL, spare)
        time.sleep(_PAUSE)


def _rest(group: int, spare: int) -> list[int]:
    return [pid for pid in group_members(group) if pid != spare]


def _signal(group: int, number: signal.Signals, spare: int) -> None:
    for pid in _rest(group, spare):
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def _facts_from_ps(pid: int) -> ProcessFacts | None:
    told = _told_by("ps", "-o", "pgid=,sess=,stat=,lstart=", "-p", str(pid)).split(maxsplit=3)
    if len(told) < 4:
        return None
    group, session, state, start = told
    return ProcessFacts(start=start, group=int(group), session=int(session), running=not state.startswith("Z"))


def _told_by(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
