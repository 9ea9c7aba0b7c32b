"""What an operation is told besides its parameters."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.operations.progress import NoProgress, Progress

__all__ = ["OperationContext"]


@dataclass(frozen=True, kw_only=True)
class OperationContext:
    """The circumstances of one execution of one operation.

    Parameters
    ----------
    project
        The project reference to open: the root of a working tree, or a snapshot of one.
    environment
        The name of the project's environment; empty means the project's first.
    key
        Deduplicates the work: the same for every try of the same task. Empty only in unit tests.
    generation
        Counts how often the finished and acknowledged key was started anew, from 1.
    attempt
        Counts the processes that worked on this generation, from 1.
    folder
        A scratch folder of this execution's own; what it leaves there is removed with the job.
    workflow_run, step
        Where in a workflow the execution stands; empty outside one.
    log
        Where to tell people what happens; never a secret.
    progress
        Where to tell how far long work is.
    """

    project: str
    folder: Path
    environment: str = ""
    key: str = ""
    generation: int = 1
    attempt: int = 1
    workflow_run: str = ""
    step: str = ""
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("modelyard"))
    progress: Progress = field(default_factory=NoProgress)
