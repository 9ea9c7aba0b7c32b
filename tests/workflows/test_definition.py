import re

import pytest

from modelyard.operations import ParameterInvalid, ParameterMissing, ParameterType, ParameterUnknown
from modelyard.workflows import (
    InputReference,
    Reference,
    Step,
    StepNotFound,
    Workflow,
    WorkflowCyclic,
    WorkflowInput,
)

INPUTS = (
    WorkflowInput("month", ParameterType("integer"), required=True, doc="Which month."),
    WorkflowInput("tags", ParameterType("list", item=ParameterType("string")), default=["a"]),
)


def test_inputs_are_read_checked_and_filled() -> None:
    bound = Workflow("w", (), INPUTS).bind({"month": "8"})
    assert bound == {"month": 8, "tags": ["a"]}
    bound["tags"].append("b")
    assert Workflow("w", (), INPUTS).bind({"month": 8})["tags"] == ["a"]


def test_inputs_that_do_not_fit_are_refused() -> None:
    flow = Workflow("w", (), INPUTS)
    with pytest.raises(ParameterMissing, match=re.escape("month: workflow w needs month: Which month.")):
        flow.bind({})
    with pytest.raises(ParameterUnknown, match=re.escape("workflow w has no parameter 'mnth'. Did you mean month?")):
        flow.bind({"mnth": 7})
    with pytest.raises(ParameterInvalid, match='month: must be a whole number, got "July"'):
        flow.bind({"month": "July"})


def test_steps_come_after_what_they_need_and_otherwise_as_defined() -> None:
    flow = Workflow(
        "w",
        (
            Step("d", "x", {"v": [Reference("b", "f"), Reference("c", "f")]}),
            Step("c", "x", {"v": Reference("a", "f")}),
            Step("a", "x", {"v": InputReference("month")}),
            Step("b", "x", after=("a",)),
        ),
        INPUTS,
    )
    assert [step.name for step in flow.ordered()] == ["a", "b", "c", "d"]


def test_a_circle_is_named() -> None:
    flow = Workflow(
        "w", (Step("a", "x", after=("b",)), Step("b", "x", {"v": Reference("c", "f")}), Step("c", "x", after=("a",)))
    )
    with pytest.raises(WorkflowCyclic, match="workflow w: the steps wait for each other: a → b → c → a"):
        flow.ordered()


def test_an_unknown_step_suggests_the_near_one() -> None:
    with pytest.raises(StepNotFound, match=re.escape("there is no step 'tran' in the workflow. Did you mean train?")):
        Workflow("w", (Step("train", "x"),)).step("tran")


def test_as_json_shows_references() -> None:
    flow = Workflow(
        "w",
        (
            Step("a", "x", {"v": InputReference("month", (0,))}),
            Step("b", "y", {"m": [Reference("a", "f", ("k",))]}, ("a",)),
        ),
        INPUTS,
    )
    shown = flow.as_json()
    assert shown["steps"] == [
        {"name": "a", "operation": "x", "parameters": {"v": {"$input": "month[0]"}}, "after": [], "needs": []},
        {"name": "b", "operation": "y", "parameters": {"m": [{"$from": "a.f.k"}]}, "after": ["a"], "needs": ["a"]},
    ]
    assert shown["inputs"][0] == {"name": "month", "type": {"kind": "integer"}, "required": True, "doc": "Which month."}
    assert shown["name"] == "w"
