"""Finds the launcher that a handle is of."""

from pathlib import Path

from modelyard.operations.handles import Handle
from modelyard.operations.jobs import Job
from modelyard.operations.journal import Journal
from modelyard.operations.launchers.inline import InlineLauncher
from modelyard.operations.launchers.launcher import Launcher
from modelyard.operations.launchers.process import ProcessLauncher

__all__ = ["LAUNCHERS", "launcher_of"]

LAUNCHERS: dict[str, type[InlineLauncher] | type[ProcessLauncher]] = {
    "inline": InlineLauncher,
    "process": ProcessLauncher,
}


def launcher_of(handle: Handle) -> Launcher:
    """Return the launcher that can follow and cancel the run behind a handle."""
    return LAUNCHERS[handle.launcher](Journal.of(Job(Path(handle.folder))))
