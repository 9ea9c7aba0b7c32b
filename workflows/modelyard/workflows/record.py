"""Keeps what a finished workflow run left, so that the run can be finished twice without running twice."""

from pathlib import Path

import msgspec

from modelyard.operations.atomic import write_atomically
from modelyard.operations.keys import folder_name
from modelyard.workflows.outcome import WorkflowOutcome

__all__ = ["WorkflowRecord", "WorkflowRecords"]


class WorkflowRecord(msgspec.Struct, frozen=True):
    """A finished run of a workflow."""

    workflow: str
    workflow_run: str
    outcome: WorkflowOutcome


class WorkflowRecords:
    """The finished runs of an environment, one file each, written whole or not at all.

    Parameters
    ----------
    state
        The environment's state folder.
    """

    def __init__(self, state: Path) -> None:
        self._folder = state / "workflows"

    def read(self, workflow_run: str) -> WorkflowRecord | None:
        """Return the record of a run, or None if the run has not finished."""
        path = self._path(workflow_run)
        return msgspec.json.decode(path.read_bytes(), type=WorkflowRecord) if path.exists() else None

    def write(self, record: WorkflowRecord) -> None:
        """Keep the record of a run that has finished."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path(record.workflow_run), msgspec.json.encode(record))

    def _path(self, workflow_run: str) -> Path:
        return self._folder / f"{folder_name(workflow_run)}.json"
