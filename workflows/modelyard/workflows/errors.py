"""Errors of workflows: definitions that cannot hold, and steps that failed."""

from modelyard.errors import ErrorKind, ErrorRecord, ModelyardError, near_name

__all__ = [
    "NotAWorkflow",
    "ResultFieldUnknown",
    "StepFailed",
    "StepNameTaken",
    "StepNotFound",
    "TypesMismatch",
    "WorkflowCyclic",
    "WorkflowInvalid",
]


class WorkflowInvalid(ModelyardError):
    """Raised when a workflow breaks a rule while it is being defined.

    ::

        WorkflowInvalid
        ├── NotAWorkflow            a name leads to something else
        ├── ResultFieldUnknown      a step has no such result
        ├── StepNameTaken           two steps were given one name
        ├── StepNotFound            a reference names a step that is not there
        ├── TypesMismatch           a result or an input does not fit the parameter it is passed to
        └── WorkflowCyclic          steps that wait for each other
    """

    kind = ErrorKind.INVALID


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


class WorkflowCyclic(WorkflowInvalid):
    """Raised when steps wait for each other."""

    def __init__(self, workflow: str, circle: list[str]) -> None:
        super().__init__(
            f"the steps wait for each other: {' → '.join(circle)}",
            where=f"workflow {workflow}",
            mend="Let one of them go without the other's result.",
            facts={"steps": circle},
        )


class StepFailed(ModelyardError):
    """Raised when a step of a running workflow failed; it has the kind, the words and the facts of the step's error.

    Parameters
    ----------
    workflow, workflow_run, step
        Which step of which run of which workflow.
    error
        What the step failed with.
    states
        The state of every step of the workflow.
    """

    def __init__(
        self, workflow: str, workflow_run: str, step: str, error: ModelyardError, states: dict[str, str]
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
                "steps": states,
            },
        )
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
