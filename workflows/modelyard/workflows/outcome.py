"""What a finished workflow leaves, whichever engine ran it."""

from typing import Any

import msgspec

__all__ = ["WorkflowOutcome"]


class WorkflowOutcome(msgspec.Struct, frozen=True):
    """What a finished workflow left: the state and the result of each step."""

    states: dict[str, str]
    results: dict[str, dict[str, Any]]
