"""An invocation: all that a worker needs to know to run an operation."""

from typing import Any

import msgspec

__all__ = ["Invocation"]


class Invocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One start of an operation, as JSON in ``request.json``.

    Parameters
    ----------
    operation
        The operation's name in the catalogue.
    parameters
        All of its parameters, checked and with their defaults.
    project
        The reference that opens the project: what the caller gave, or the snapshot that was taken.
    environment
        The name of the project's environment.
    key
        What makes it the same piece of work.
    generation, attempt
        Counted by the journal, from 1; 0 until it has.
    workflow_run, step
        Where in a workflow; empty outside one.
    folder
        The job's folder; empty until the journal has made it.
    """

    operation: str
    parameters: dict[str, Any]
    project: str
    environment: str = ""
    key: str = ""
    generation: int = 0
    attempt: int = 0
    workflow_run: str = ""
    step: str = ""
    folder: str = ""

    def same_work(self, other: "Invocation") -> bool:
        """Whether both ask for the same: operation, parameters and environment."""
        mine = (self.operation, self.environment, self.parameters)
        return mine == (other.operation, other.environment, other.parameters)

    def differences(self, other: "Invocation") -> list[str]:
        """Return the names of what differs: ``operation``, ``environment``, or parameters."""
        found = [name for name in ("operation", "environment") if getattr(self, name) != getattr(other, name)]
        names = sorted({*self.parameters, *other.parameters})
        return found + [name for name in names if self.parameters.get(name) != other.parameters.get(name)]
