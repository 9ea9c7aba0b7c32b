"""Steps that wait for people: which of a workflow's promotions ask first."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from modelyard.operators.airflow.approval import ApprovedPromoteOperator
from modelyard.workflows.definition import Workflow
from modelyard.workflows.engines.airflow.operators import StepTask
from modelyard.workflows.errors import StepNotFound, WorkflowInvalid

__all__ = ["Approvals", "ApprovedStepTask", "approvals_of"]

Approvals: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The steps that ask people, and what `ApprovedPromoteOperator` shall know besides."""


class ApprovedStepTask(StepTask, ApprovedPromoteOperator):
    """A promoting step that asks people first; their no fails it, as a gate that does not hold would.

    Parameters
    ----------
    at
        Where in nested loops a mapped task stands.
    **kwargs
        What `ApprovedPromoteOperator` takes.
    """

    def __init__(self, *, at: Sequence[int] | None = None, **kwargs: Any) -> None:
        # What the workflow says is filled in when the task starts.
        filled = {name: getattr(type(self), name) for name in ("model", "evaluation", "gates", "alias")}
        ApprovedPromoteOperator.__init__(self, **filled, fail_on_reject=True, **kwargs)
        self.at = at


def approvals_of(workflow: Workflow, asked: Sequence[str] | Mapping[str, Mapping[str, Any]]) -> Approvals:
    """Return the steps that ask people.

    Parameters
    ----------
    workflow
        The workflow.
    asked
        Names of steps, or settings by names of steps.

    Raises
    ------
    StepNotFound
        The workflow has no such step.
    WorkflowInvalid
        The step does not promote.
    """
    chosen = dict(asked) if isinstance(asked, Mapping) else {name: {} for name in asked}
    known = {step.name: step for step in workflow.steps}
    for name in chosen:
        if name not in known:
            raise StepNotFound(name, list(known), where="approve")
        if known[name].operation != "promote":
            mend = "Name a step of the operation promote."
            raise WorkflowInvalid(
                f"the step {name} does not promote: {known[name].operation}", where="approve", mend=mend
            )
    return chosen
