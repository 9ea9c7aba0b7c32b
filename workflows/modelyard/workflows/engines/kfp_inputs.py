"""The inputs of a workflow as parameters of a pipeline, and how their values get through KFP unbent."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.operations import Parameter
from modelyard.operators.kfp.encoding import exact_text, standing
from modelyard.operators.kfp.run_arguments import EXACT
from modelyard.workflows.definition import Workflow, WorkflowInput

__all__ = ["EXACT", "annotation_of", "defaults_of", "pipeline_arguments", "plain_default"]

_TYPES: dict[str, type] = {"integer": int, "number": float, "boolean": bool, "list": list, "mapping": dict}


def annotation_of(each: WorkflowInput) -> type:
    """Return the type of the pipeline's parameter; what may be anything goes as JSON text."""
    return _TYPES.get(each.type.kind, str)


def plain_default(each: WorkflowInput) -> Any:
    """Return the default that KFP's pages show."""
    return _standing(each, each.default)[0]


def _standing(each: WorkflowInput, value: Any) -> tuple[Any, bool]:
    return standing(Parameter(each.name, each.type, each.doc), value)


def defaults_of(inputs: Sequence[WorkflowInput]) -> str:
    """Return the default of the parameter `EXACT`."""
    return _exact(inputs, {each.name: each.default for each in inputs if not each.required})


def _exact(inputs: Sequence[WorkflowInput], values: Mapping[str, Any]) -> str:
    found: dict[str, Any] = {}
    for each in inputs:
        if each.name in values:
            plain, bent = _standing(each, values[each.name])
            if bent:
                found[each.name] = [plain, values[each.name]]
    return exact_text(found)


def pipeline_arguments(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the pipeline for inputs of the workflow.

    Raises
    ------
    ParameterUnknown, ParameterMissing, ParameterInvalid
        What is given does not fit.

    Examples
    --------
    >>> from modelyard.operations import ParameterType
    >>> from modelyard.workflows.definition import Step
    >>> months = WorkflowInput("months", ParameterType("list"), required=True)
    >>> flow = Workflow("flow", (Step("a", "call"),), (months,))
    >>> pipeline_arguments(flow, {"months": [7, None]})
    {'months': [], 'modelyard_exact': '{"months": [[], [7, null]]}'}
    """
    bound = workflow.bind(given)
    arguments = {each.name: _standing(each, bound[each.name])[0] for each in workflow.inputs}
    return {**arguments, EXACT: _exact(workflow.inputs, bound)}
