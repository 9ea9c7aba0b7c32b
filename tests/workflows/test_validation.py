import pytest
from probe_operations import CATALOGUE

from modelyard.operations import OperationNotFound
from modelyard.workflows import (
    InputReference,
    Reference,
    ResultFieldUnknown,
    Step,
    StepNameTaken,
    StepNotFound,
    TypesMismatch,
    Workflow,
    WorkflowCyclic,
    WorkflowInvalid,
    check_workflow,
)


def flow(*steps: Step) -> Workflow:
    return Workflow("main", steps)


def test_a_workflow_that_holds_passes() -> None:
    check_workflow(
        flow(Step("b", "fit_model", {"dataset": Reference("a", "dataset")}), Step("a", "prepare")), CATALOGUE
    )


@pytest.mark.parametrize(
    ("definition", "error", "words"),
    [
        (flow(Step("a", "prepare"), Step("a", "prepare")), StepNameTaken, "workflow main: there is a step 'a' already"),
        (flow(Step("a", "nothing")), OperationNotFound, "workflow main, step a: there is no operation 'nothing'"),
        (flow(Step("a", "prepare", after=("b",))), StepNotFound, "there is no step 'b'"),
        (
            flow(Step("a", "fit_model", {"dataset": Reference("b", "dataset")})),
            StepNotFound,
            "there is no step 'b' in the workflow",
        ),
        (
            flow(Step("b", "prepare"), Step("a", "fit_model", {"dataset": Reference("b", "data")})),
            ResultFieldUnknown,
            "workflow main, step a, parameter dataset: prepare has no result 'data'",
        ),
        (
            flow(Step("a", "fit_model", {"dataset": InputReference("month")})),
            WorkflowInvalid,
            "the workflow has no parameter 'month'",
        ),
        (flow(Step("a", "prepare", after=("b",)), Step("b", "prepare", after=("a",))), WorkflowCyclic, "a → b → a"),
        (flow(Step("A", "prepare")), WorkflowInvalid, "the name 'A' of the step does not work everywhere"),
        (flow(), WorkflowInvalid, "workflow main: it has no step"),
        (
            flow(Step("b", "prepare"), Step("a", "fit_model", {"dataset": [Reference("b", "dataset")]})),
            TypesMismatch,
            "parameter dataset: must be a dataset's path or URI, but it is a list",
        ),
    ],
)
def test_a_workflow_that_cannot_run_is_refused(definition: Workflow, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as refused:
        check_workflow(definition, CATALOGUE)
    assert words in str(refused.value)
