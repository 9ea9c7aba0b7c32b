"""The parameters of a workflow as a CI host's form asks for them, and as its jobs get them: text in variables."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.operations import ParameterInvalid
from modelyard.workflows.definition import Workflow, WorkflowInput

__all__ = ["ALL", "PREFIX", "given_parameters", "host_text", "variable_of"]

ALL = "MODELYARD_PARAMETERS"
"""The variable with all parameters, as a JSON object."""

PREFIX = "MODELYARD_PARAMETER_"
"""How the variables begin that have one parameter each."""

_TEXT = ("string", "choice", "dataset", "model")


def variable_of(name: str) -> str:
    """Return the variable that has one parameter.

    Examples
    --------
    >>> variable_of("rows")
    'MODELYARD_PARAMETER_ROWS'
    """
    return f"{PREFIX}{name.upper()}"


def host_text(each: WorkflowInput, value: Any) -> str:
    """Return a value as a form shows it: text as it is, everything else as JSON.

    Examples
    --------
    >>> from modelyard.operations import ParameterType
    >>> months = WorkflowInput("months", ParameterType("list"))
    >>> host_text(months, [6, 7])
    '[6,7]'
    """
    if isinstance(value, str) and each.type.kind in (*_TEXT, "any"):
        return value
    return msgspec.json.encode(value).decode()


def given_parameters(workflow: Workflow, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that a job's variables give, for `Workflow.bind`.

    The text that a form shows for the default stands for the default, ``null`` for nothing where that is allowed. An
    empty text gives text parameters alone a value.

    Parameters
    ----------
    workflow
        The workflow.
    variables
        The environment variables.

    Raises
    ------
    ParameterInvalid
        The variable with all parameters is no JSON object.

    Examples
    --------
    >>> from modelyard.operations import ParameterType
    >>> from modelyard.workflows.definition import Step
    >>> rows = WorkflowInput("rows", ParameterType("integer"), default=7)
    >>> given_parameters(Workflow("w", (Step("a", "call"),), (rows,)), {"MODELYARD_PARAMETERS": '{"rows": "12"}'})
    {'rows': '12'}
    """
    text = variables.get(ALL, "").strip()
    try:
        found = json.loads(text) if text else None
    except ValueError as error:
        raise ParameterInvalid(ALL, "a JSON object", text) from error
    if not isinstance(found, dict | None):
        raise ParameterInvalid(ALL, "a JSON object", text)
    given = dict(found or {})
    for each in workflow.inputs:
        if variable_of(each.name) in variables:
            given.setdefault(each.name, variables[variable_of(each.name)])
    for each in workflow.inputs:
        if isinstance(given.get(each.name), str):
            given |= _meant(each, given.pop(each.name))
    return given


def _meant(each: WorkflowInput, text: str) -> dict[str, Any]:
    """Return what a text says of a parameter: a value, or nothing at all."""
    if not each.required and text == host_text(each, each.default):
        return {}
    if each.type.optional and text == "null":
        return {each.name: None}
    if not text and each.type.kind not in _TEXT:
        return {}
    if each.type.kind == "any":
        try:
            return {each.name: json.loads(text)}
        except ValueError:
            pass
    return {each.name: text}
