"""How steps ended that were done elsewhere: what a run of many machines knows of itself, whoever asks."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from modelyard.errors import ErrorKind, ErrorRecord, ForeignError, ModelyardError
from modelyard.workflows.definition import Workflow
from modelyard.workflows.engines.local import exit_facts
from modelyard.workflows.engines.progression import Progression, Ready
from modelyard.workflows.filling import Filling
from modelyard.workflows.outcome import Failure, InstanceState, WorkflowOutcome

__all__ = ["EndOf", "StepEnd", "ended", "follow", "give_up"]


class StepEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a step ended.

    Parameters
    ----------
    result
        Its result where it succeeded.
    error
        What went wrong where it did not.
    task
        The engine's own id of what did it, where it starts some anew: one that takes the place of another has the same.
    """

    result: dict[str, Any] | None = None
    error: ErrorRecord | None = None
    task: str = ""


EndOf = Callable[[str], StepEnd | None]
"""Returns how a step ended, by its name with the positions of its items; None where nothing is known."""


def follow(progression: Progression, end_of: EndOf) -> dict[str, Ready]:
    """Tell a progression all that is known, and return the steps that may start and of which nothing is known.

    Parameters
    ----------
    progression
        The run, from its beginning or from where an earlier call has left it.
    end_of
        How steps ended.
    """
    waiting: dict[str, Ready] = {}
    while taken := progression.take():
        for ready in taken:
            end = end_of(ready.name)
            if end is None:
                waiting[ready.name] = ready
            elif end.error is not None:
                state: InstanceState = "cancelled" if end.error.kind is ErrorKind.CANCELLED else "failed"
                progression.failed(ready.name, ForeignError(end.error), state)
            else:
                progression.succeeded(ready.name, end.result or {})
    return waiting


def give_up(progression: Progression, waiting: Mapping[str, Ready], end_of: EndOf, why: str) -> None:
    """Take the steps for lost that could have started and left nothing, and what would have started after them.

    Parameters
    ----------
    progression, waiting
        What `follow` was given, and what it returned.
    end_of
        How steps ended.
    why
        What is known of the loss, in words.
    """
    while waiting:
        for name in waiting:
            progression.failed(name, ForeignError(ErrorRecord("WorkLost", ErrorKind.LOST, why, where=name)))
        waiting = follow(progression, end_of)


def ended(
    workflow: Workflow,
    inputs: Mapping[str, Any],
    progression: Progression,
    workflow_run: str,
    do: Callable[[Ready], dict[str, Any]],
) -> tuple[WorkflowOutcome, ModelyardError | None]:
    """Return what a run has left that is over, after its exit handler, and the handler's error if it failed.

    Parameters
    ----------
    workflow, inputs
        What ran.
    progression
        The run, at its end.
    workflow_run
        The run's name.
    do
        Does a step and returns its result.
    """
    outcome, step = progression.outcome(), workflow.on_exit
    if step is None:
        return outcome, None
    states, results = dict(outcome.states), dict(outcome.results)
    filling = Filling(workflow, inputs, progression, exit_facts(workflow_run, outcome.failures))
    try:
        results[step.name] = do(Ready(step, (), filling.value(step.parameters)))
        states[step.name] = "succeeded"
        return WorkflowOutcome(states, results, outcome.failures), None
    except ModelyardError as error:
        states[step.name] = "failed"
        failure = Failure(step.name, error.error_kind, str(error))
        return WorkflowOutcome(states, results, (*outcome.failures, failure)), error
