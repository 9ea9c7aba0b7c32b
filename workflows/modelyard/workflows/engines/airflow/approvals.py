"""Steps that wait for people: which of a workflow's promotions ask first."""

from collections.abc import Collection, Mapping, Sequence
from inspect import signature
from typing import Any, TypeAlias

from modelyard.operations import ParameterInvalid, ParameterUnknown
from modelyard.operators.airflow.approval import ApprovedPromoteOperator
from modelyard.operators.airflow.arguments import OperationArguments
from modelyard.workflows.definition import Workflow
from modelyard.workflows.engines.airflow.operators import StepTask
from modelyard.workflows.errors import StepNotFound, WorkflowInvalid

__all__ = ["Approvals", "ApprovedStepTask", "approvals_of"]

Approvals: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The steps that ask people, and what `ApprovedPromoteOperator` shall know besides."""


_PARAMETERS = ("model", "evaluation", "gates", "alias")
_FILLED = (*_PARAMETERS, "task_id", "fail_on_reject")
"""What the workflow says of a promotion."""


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
        filled = {name: getattr(type(self), name) for name in _PARAMETERS}
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
    ParameterInvalid, ParameterUnknown
        It is of another type, or what a step shall know is no setting.
    StepNotFound
        The workflow has no such step.
    WorkflowInvalid
        The step does not promote.
    """
    if isinstance(asked, str) or not isinstance(asked, Mapping | Collection):
        rule = "a list of steps' names, or a mapping of them to settings of ApprovedPromoteOperator"
        raise ParameterInvalid("approve", rule, asked)
    chosen = dict(asked) if isinstance(asked, Mapping) else {name: {} for name in asked}
    known = {step.name: step for step in workflow.steps}
    for name, settings in chosen.items():
        if name not in known:
            raise StepNotFound(str(name), list(known), where="approve")
        if known[name].operation != "promote":
            mend = "Name a step of the operation promote."
            raise WorkflowInvalid(
                f"the step {name} does not promote: {known[name].operation}", where="approve", mend=mend
            )
        _check_settings(f"approve.{name}", settings)
    return chosen


def _check_settings(where: str, settings: object) -> None:
    """Refuse what is no setting of a step that asks, or what the workflow itself says of it."""
    if not isinstance(settings, Mapping):
        raise ParameterInvalid(where, "a mapping of settings", settings)
    own = signature(ApprovedPromoteOperator.__init__).parameters
    known = sorted({*own, *OperationArguments.__annotations__} - {"self", "kwargs", *_FILLED})
    for name, value in settings.items():
        if name in _FILLED:
            raise ParameterInvalid(f"{where}.{name}", "left out: the workflow itself says it", value)
        if name not in known:
            raise ParameterUnknown(where, str(name), known)
