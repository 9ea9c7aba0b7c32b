"""The states of a run of an operation."""

from enum import StrEnum

__all__ = ["RunState"]


class RunState(StrEnum):
    """Where a run stands; every backend's states are mapped to these."""

    QUEUED = "queued"
    """Started by a launcher, not yet taken up by a worker."""
    RUNNING = "running"
    """A worker is at it."""
    SUCCEEDED = "succeeded"
    """It has a result."""
    FAILED = "failed"
    """It has an error."""
    CANCELLED = "cancelled"
    """It was stopped on request."""
    LOST = "lost"
    """Its worker is gone and left neither result nor error."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen.

        Examples
        --------
        >>> [str(state) for state in RunState if not state.finished]
        ['queued', 'running']
        """
        return self not in (RunState.QUEUED, RunState.RUNNING)
