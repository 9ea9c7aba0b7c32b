"""Errors of workflows: definitions that cannot hold, and steps that failed."""

import msgspec

from modelyard.errors import ErrorKind, ErrorRecord, ModelyardError, near_name
from modelyard.workflows.outcome import WorkflowOutcome

__all__ = [
    "ConditionUndecidable",
    "EngineUnknown",
    "NotAWorkflow",
    "ResultFieldUnknown",
    "ResultMaybeMissing",
    "StepFailed",
    "StepNameTaken",
    "StepNotFound",
    "StepTimeout",
    "TypesMismatch",
    "ValueMissing",
    "WorkflowCyclic",
    "WorkflowInvalid",
]


class WorkflowInvalid(ModelyardError):
    """Raised when a workflow breaks a rule while it is being defined.

    ::

        WorkflowInvalid
        ├── ConditionUndecidable    values that have no order are to be ordered (in a run)
        ├── EngineUnknown           no engine has that name
        ├── NotAWorkflow            a name leads to something else
        ├── ResultFieldUnknown      a step has no such result
        ├── ResultMaybeMissing      a result is asked for where its step may not have run, or has run many times
        ├── StepNameTaken           two steps were given one name
        ├── StepNotFound            a reference names a step that is not there
        ├── TypesMismatch           a result or an input does not fit the parameter it is passed to
        ├── ValueMissing            a reference leads to nothing in the value that a run has for it
        └── WorkflowCyclic          steps that wait for each other
    """

    kind = ErrorKind.INVALID


class ConditionUndecidable(WorkflowInvalid):
    """Raised when a run is to order values that have no order."""

    def __init__(self, condition: str, left: object, right: object) -> None:
        super().__init__(
            f"{condition} cannot be decided: {_shortened(left)} and {_shortened(right)} have no order",
            mend="Compare numbers with numbers, or text with text.",
        )


class EngineUnknown(WorkflowInvalid):
    """Raised when no engine has the name that is asked for, or the engine cannot do what is asked for."""

    def __init__(self, name: str, known: list[str], *, what: str = "engine") -> None:
        super().__init__(f"there is no {what} {name!r}", where="engine", mend=near_name(name, known))


class NotAWorkflow(WorkflowInvalid):
    """Raised when a workflow's name leads to something else."""

    def __init__(self, name: str, found: str) -> None:
        super().__init__(
            f"{name} must be a workflow, got {found}", where=name, mend="Mark the function with @workflow."
        )


class ResultFieldUnknown(WorkflowInvalid):
    """Raised when a step's operation declares no result of that name."""

    def __init__(self, step: str, operation: str, field: str, known: list[str], *, where: str = "") -> None:
        super().__init__(
            f"{operation} has no result {field!r}",
            where=where or f"step {step}",
            mend=near_name(field, known),
            facts={"step": step, "operation": operation, "field": field},
        )


class ResultMaybeMissing(WorkflowInvalid):
    """Raised when a result is asked for where its step may have been skipped, or has run once for each item."""

    def __init__(self, reference: str, why: str, *, where: str, mend: str) -> None:
        super().__init__(f"{reference} {why}", where=where, mend=mend, facts={"reference": reference})


class StepNameTaken(WorkflowInvalid):
    """Raised when a step is given a name that another step of the workflow has."""

    def __init__(self, name: str, *, where: str) -> None:
        super().__init__(
            f"there is a step {name!r} already",
            where=where,
            mend="Name it differently, or leave the name out to have one made.",
            facts={"step": name},
        )


class StepNotFound(WorkflowInvalid):
    """Raised when a reference or an order names a step that the workflow does not have."""

    def __init__(self, name: str, known: list[str], *, where: str) -> None:
        super().__init__(
            f"there is no step {name!r} in the workflow", where=where, mend=near_name(name, known), facts={"step": name}
        )


class TypesMismatch(WorkflowInvalid):
    """Raised when what is passed to a parameter can never be of the parameter's type."""

    def __init__(self, where: str, source: str, given: str, needed: str) -> None:
        super().__init__(
            f"must be {needed}, but {source} is {given}",
            where=where,
            mend=f"Pass something that is {needed}.",
            facts={"source": source},
        )


class ValueMissing(WorkflowInvalid):
    """Raised when a reference leads to nothing in the value that a run has for it."""

    def __init__(self, reference: str, key: str | int, value: object) -> None:
        super().__init__(
            f"{reference} leads nowhere: there is no {key!r} in {_shortened(value)}",
            mend="Let the step return it, or refer to something that it returns.",
            facts={"reference": reference},
        )


class WorkflowCyclic(WorkflowInvalid):
    """Raised when steps wait for each other."""

    def __init__(self, workflow: str, circle: list[str]) -> None:
        super().__init__(
            f"the steps wait for each other: {' → '.join(circle)}",
            where=f"workflow {workflow}",
            mend="Let one of them go without the other's result.",
            facts={"steps": circle},
        )


class StepTimeout(ModelyardError):
    """Raised when one try of a step takes longer than it may."""

    kind = ErrorKind.TIMEOUT

    def __init__(self, step: str, seconds: float) -> None:
        super().__init__(
            f"it took longer than {seconds:g} s",
            mend="Give it more time: steps(timeout=…).",
            facts={"step": step, "timeout": seconds},
        )


class StepFailed(ModelyardError):
    """Raised when a step of a running workflow failed; it has the kind, the words and the facts of the step's error.

    Parameters
    ----------
    workflow, workflow_run, step
        Which step of which run of which workflow.
    error
        What the step failed with.
    left
        What the run has left: the states of all steps, the results of those that succeeded, and all failures.
    """

    def __init__(
        self, workflow: str, workflow_run: str, step: str, error: ModelyardError, left: WorkflowOutcome
    ) -> None:
        place = f", {error.where}" if error.where else ""
        super().__init__(
            error.what,
            where=f"workflow {workflow}, step {step}{place}",
            mend=error.mend,
            facts={
                **error.facts,
                "workflow": workflow,
                "workflow_run": workflow_run,
                "step": step,
                "steps": left.states,
                "failures": msgspec.to_builtins(list(left.failures)),
            },
        )
        self.left = left
        self.original = error.record()

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of the step's error."""
        return self.original.kind

    def record(self) -> ErrorRecord:
        """Return the error as a record, under the type of the step's error."""
        return ErrorRecord(
            type=self.original.type,
            kind=self.original.kind,
            message=self.what,
            where=self.where,
            mend=self.mend,
            facts=self.facts,
        )


def _shortened(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else f"{text[:117]}…"
