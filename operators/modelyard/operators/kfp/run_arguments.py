"""The arguments of a run, checked against what a compiled pipeline declares; needs no KFP."""

import json
from collections.abc import Mapping
from typing import Any

from modelyard.errors import ModelyardError, near_name
from modelyard.operations import Parameter, ParameterType
from modelyard.operators.kfp.api_errors import ArgumentInvalid
from modelyard.operators.kfp.encoding import EXACT_WHOLE, exact_text, standing
from modelyard.operators.kfp.setting_rules import check_kind

__all__ = ["EXACT", "run_arguments"]

EXACT = "modelyard_exact"
"""The parameter of every pipeline made of a workflow that tells what is meant where KFP would bend a value."""

_KINDS = {
    "NUMBER_INTEGER": "integer",
    "NUMBER_DOUBLE": "number",
    "BOOLEAN": "boolean",
    "STRING": "string",
    "LIST": "list",
    "STRUCT": "mapping",
}


def run_arguments(pipeline: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a run, as `KfpApi.start_run` takes them.

    Text is read by the declared type. What KFP would bend travels in `EXACT`, if the pipeline was made of a workflow.

    Parameters
    ----------
    pipeline
        The compiled pipeline: a mapping with ``root``, or one with that in ``pipeline_spec``.
    given
        Values by name; None leaves a parameter to its default.

    Raises
    ------
    ArgumentInvalid
        A name is unknown or missing, a value does not fit, or KFP would take digits from a whole number.
    SettingInvalid
        The values are no mapping.

    Examples
    --------
    >>> root = {"inputDefinitions": {"parameters": {"month": {"parameterType": "NUMBER_INTEGER"}}}}
    >>> run_arguments({"pipelineInfo": {"name": "nightly"}, "root": root}, {"month": "8"})
    {'month': 8}
    """
    check_kind("arguments", given, Mapping, "a mapping of the pipeline's parameters to values")
    spec = pipeline.get("pipeline_spec", pipeline)
    name = str(spec.get("pipelineInfo", {}).get("name", ""))
    declared = spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    values = {each: value for each, value in given.items() if value is not None}
    for each in given:
        if each not in declared or each == EXACT:
            known = [other for other in declared if other != EXACT]
            raise ArgumentInvalid(name, each, "there is no such parameter", near_name(each, known))
    for each, definition in declared.items():
        if each not in values and "defaultValue" not in definition and not definition.get("isOptional"):
            raise ArgumentInvalid(name, each, "is missing", "Give a value for it.")
    if EXACT in declared:
        return _exactly(name, declared, values)
    arguments = {each: _read(name, each, declared[each], value) for each, value in values.items()}
    for each, value in arguments.items():
        _check_digits(name, each, value)
    return arguments


def _exactly(name: str, declared: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    default = json.loads(declared[EXACT].get("defaultValue") or "{}")
    exact = {each: meant for each, meant in default.items() if each not in values}
    arguments: dict[str, Any] = {}
    for each, value in values.items():
        kind = _KINDS.get(declared[each].get("parameterType", ""), "any")
        if kind == "string":
            # A parameter of a workflow that takes anything goes as text, too; what is text must not be read as JSON.
            arguments[each] = value if isinstance(value, str) else json.dumps(value)
            if isinstance(value, str):
                exact[each] = [value, value]
            continue
        read = _read(name, each, declared[each], value)
        arguments[each], bent = standing(Parameter(each, ParameterType(kind), ""), read)
        if bent:
            exact[each] = [arguments[each], read]
    return {**arguments, EXACT: exact_text(exact)}


def _read(pipeline: str, name: str, definition: Mapping[str, Any], value: Any) -> Any:
    kind = _KINDS.get(definition.get("parameterType", ""), "any")
    try:
        return ParameterType(kind).coerce(value, name)
    except ModelyardError as error:
        raise ArgumentInvalid(pipeline, name, error.what, error.mend) from error


def _check_digits(pipeline: str, name: str, value: Any) -> None:
    if isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            _check_digits(pipeline, name, each)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > EXACT_WHOLE:
        raise ArgumentInvalid(
            pipeline,
            name,
            f"KFP would take digits from {value}: it keeps whole numbers up to {EXACT_WHOLE}",
            "Let the pipeline take it as text.",
        )
