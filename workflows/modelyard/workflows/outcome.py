"""What a finished workflow leaves, whichever engine ran it."""

from typing import Any, Literal

import msgspec

from modelyard.errors import ErrorKind

__all__ = ["Failure", "InstanceState", "WorkflowOutcome", "instance_name"]

InstanceState = Literal["queued", "succeeded", "failed", "cancelled", "skipped", "blocked"]
"""What became of a step: ``skipped`` where its branch was not taken, ``blocked`` where something it needs failed."""


class Failure(msgspec.Struct, frozen=True):
    """Why a workflow failed.

    Parameters
    ----------
    step
        The step that failed, with the positions of its items: ``train``, ``score[2]``, ``score[0][1]``.
    kind
        The kind of its error.
    message
        What went wrong, in words.
    """

    step: str
    kind: ErrorKind
    message: str


class WorkflowOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a finished workflow left.

    Parameters
    ----------
    states
        The state of each step; of a step in a loop for each item, as ``score[0]``. A step of a loop over nothing has
        none.
    results
        The result of each that succeeded.
    failures
        The steps that failed, in the order of the workflow.
    """

    states: dict[str, str]
    results: dict[str, dict[str, Any]]
    failures: tuple[Failure, ...] = ()


def instance_name(step: str, position: tuple[int, ...]) -> str:
    """Return the name of a step at a position of the loops around it.

    Examples
    --------
    >>> instance_name("train", ()), instance_name("score", (0, 2))
    ('train', 'score[0][2]')
    """
    return step + "".join(f"[{index}]" for index in position)
