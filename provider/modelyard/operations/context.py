"""What an operation is told besides its parameters."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from modelyard.operations.notes import write_note
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
    job
        The folder of the job, where notes of the work are kept; None keeps none.
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
    job: Path | None = None

    def note_dataset(self, role: Literal["input", "output"], source: Mapping[str, Any]) -> None:
        """Write down a dataset that the work reads or has written, for those who follow where data comes from.

        Parameters
        ----------
        role
            Whether it is read or written.
        source
            Its ``uri``, ``rows``, ``schema`` and ``hash``, as far as known; see `modelyard.data.DatasetSource`.
        """
        if self.job is not None:
            write_note(self.job, role, source)
