"""Handles: where a run is, durable enough to find it again from another process."""

import os
from enum import Enum
from pathlib import Path

import msgspec

from modelyard.operations.processes import boot_id, facts_of, group_members, host_name, namespace

__all__ = ["JOB_VARIABLE", "Handle", "Sight", "handle_of"]

JOB_VARIABLE = "MODELYARD_JOB"
"""Tells the processes of a job, in their environment, which job they are of."""


class Sight(Enum):
    """What this process can see of the process behind a handle."""

    ALIVE = "alive"
    GONE = "gone"
    HIDDEN = "hidden"
    """It is on another host, or in another container."""


class Handle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run of an operation by a process of some host.

    Parameters
    ----------
    launcher
        The launcher that made it: ``inline`` or ``process``.
    key, generation, attempt
        What it runs, and how often that was tried.
    folder
        The job's folder.
    host, boot, namespace
        Where the process is: the host's name, the boot of its kernel, and the numbering of its processes.
    pid, start
        The process, and when it started: the number alone is given out again.
    group
        The process group that ends with it; 0 where it has none of its own.
    """

    launcher: str
    key: str
    generation: int
    attempt: int
    folder: str
    host: str
    boot: str
    namespace: str = ""
    pid: int
    start: str
    group: int = 0

    @property
    def same_kernel(self) -> bool:
        """Whether the process is under the kernel of this one, in whatever container."""
        return self.boot == boot_id()

    @property
    def is_own_process(self) -> bool:
        """Whether the process is this one."""
        return self.pid == os.getpid() and self.sight() is Sight.ALIVE

    def sight(self) -> Sight:
        """Return what can be seen of the process from here."""
        if not self.same_kernel or self.namespace != namespace():
            return Sight.HIDDEN
        facts = facts_of(self.pid)
        return Sight.ALIVE if facts and facts.running and facts.start == self.start else Sight.GONE

    def leftover_group(self) -> int:
        """Return the process group if it still has members and is certainly this run's; else 0.

        After the leader is gone its number could lead a group of strangers: a member must say that it is of this job.
        """
        if not self.group or not self.same_kernel or self.namespace != namespace():
            return 0
        leader = facts_of(self.group)
        if leader and self.group == self.pid and leader.start != self.start:
            return 0
        members = group_members(self.group)
        if leader and self.group == self.pid:
            return self.group if members else 0
        return self.group if any(_is_of_job(pid, self.folder) for pid in members) else 0


def handle_of(pid: int, *, launcher: str, key: str, generation: int, attempt: int, folder: Path) -> Handle:
    """Return the handle of a living process of this host.

    Parameters
    ----------
    pid
        The process that does the work.
    launcher, key, generation, attempt, folder
        As in `Handle`.

    Raises
    ------
    ProcessLookupError
        There is no such process.
    """
    facts = facts_of(pid)
    if facts is None:
        raise ProcessLookupError(pid)
    # Only who was started as a job has a session of its own, led by itself or by what wraps its interpreter: the group
    # of a notebook, or of the shell that leads a CI job's session, is not ours to end.
    leader = facts.group if launcher == "process" and facts.group == facts.session else 0
    group = leader if leader and (leader == pid or _is_of_job(leader, str(folder))) else 0
    return Handle(
        launcher=launcher,
        key=key,
        generation=generation,
        attempt=attempt,
        folder=str(folder),
        host=host_name(),
        boot=boot_id(),
        namespace=namespace(),
        pid=pid,
        start=facts.start,
        group=group,
    )


def _is_of_job(pid: int, folder: str) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{JOB_VARIABLE}={folder}".encode() in environment.split(b"\0")
