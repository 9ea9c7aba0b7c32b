"""Trains over many sets of parameters in one job, and keeps a table of what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from modelyard.operations import OperationContext
from modelyard.operations.summaries import summary_of
from modelyard.training.train import train

__all__ = ["HANDLER", "sweep"]

HANDLER = "modelyard.training.sweep:sweep"
"""The function that the operation ``call`` runs for a sweep in one job."""


def sweep(
    context: OperationContext,
    training: Mapping[str, Any],
    parameter_sets: Sequence[Mapping[str, Any]],
    sort_by: str = "",
    *,
    descending: bool = True,
) -> dict[str, Any]:
    """Train once for each set of parameters, one after the other.

    Each training has a run of its own, under the key of the job and the number of the set: a job that is started again
    under its key finds the runs that have finished, and trains only the rest.

    Parameters
    ----------
    context
        The context of the job.
    training
        What `train` takes besides ``parameters``.
    parameter_sets
        The sets, each taking the place of ``parameters``.
    sort_by, descending
        How to sort the table; see `modelyard.operations.summaries.summary_of`.

    Returns
    -------
    dict
        The summary of all results.
    """
    results = []
    with context.progress.track("train", len(parameter_sets), "sets") as track:
        for index, parameters in enumerate(parameter_sets):
            own = replace(context, key=f"{context.key}#{index}" if context.key else "")
            result = train(own, **{**training, "parameters": dict(parameters)})
            results.append(msgspec.to_builtins(result))
            context.log.info("set %d of %d is done: %s", index + 1, len(parameter_sets), dict(parameters))
            track.advance(1)
    return summary_of(results, labels=parameter_sets, sort_by=sort_by, descending=descending)
