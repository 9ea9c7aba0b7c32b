"""A run of a pipeline as a KFP server tells of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelyard.operations import RunState
from modelyard.operators.kfp.api_errors import StateUnknown

__all__ = ["STATES", "PipelineRun", "run_of"]

STATES = {
    "RUNTIME_STATE_UNSPECIFIED": RunState.QUEUED,
    "PENDING": RunState.QUEUED,
    "RUNNING": RunState.RUNNING,
    "PAUSED": RunState.RUNNING,
    "CANCELING": RunState.RUNNING,
    "SUCCEEDED": RunState.SUCCEEDED,
    "SKIPPED": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "CANCELED": RunState.CANCELLED,
}
"""KFP's words for the state of a run, and ours."""


@dataclass(frozen=True)
class PipelineRun:
    """A run as the server has it.

    Parameters
    ----------
    run_id
        Its id.
    state
        Where it stands.
    message
        What the server says of its failure.
    tasks
        The state of each task by its name; a task of a loop stands once for all of its items.
    phase
        The server's own word for the state, such as ``CANCELING`` of a run that still runs but is being ended.
    """

    run_id: str
    state: RunState
    message: str = ""
    tasks: Mapping[str, str] = field(default_factory=dict)
    phase: str = ""


def run_of(run_id: str, answer: Mapping[str, Any]) -> PipelineRun:
    """Return the run that an answer describes.

    Raises
    ------
    StateUnknown
        The server names a state that nobody has heard of.
    """
    details = answer.get("run_details", {}).get("task_details", ())
    tasks = {each["display_name"]: each.get("state", "PENDING") for each in details if each.get("display_name")}
    phase = answer.get("state", "RUNTIME_STATE_UNSPECIFIED")
    if phase not in STATES:
        raise StateUnknown(run_id, phase)
    return PipelineRun(run_id, STATES[phase], str(answer.get("error", {}).get("message", "")), tasks, phase)
