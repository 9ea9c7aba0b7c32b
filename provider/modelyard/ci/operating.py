"""One operation in a CI job: what it gets from the job's variables, and what it hands on."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from modelyard.ci.folder import CiFolder
from modelyard.ci.reporting.escaping import code, one_line
from modelyard.operations import OperationSpec, ParameterUnknown
from modelyard.operations.generation.ci_inputs import outputs_of

__all__ = ["PREFIX", "given_inputs", "handed_on", "summary"]

PREFIX = "MODELYARD_INPUT_"
"""How the variables begin that carry an operation's parameters: values need no shell that way."""

_VERSION = re.compile(r"models:/[^/@]+/(\d+)")


def given_inputs(spec: OperationSpec, variables: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """Return the parameters that a job's variables give, each as the lines of its text; empty ones are not given.

    Parameters
    ----------
    spec
        The operation.
    variables
        The environment variables.

    Raises
    ------
    ParameterUnknown
        A variable names no parameter of the operation.
    """
    known = {each.name: each for each in spec.parameters}
    found: dict[str, Sequence[str]] = {}
    for variable, text in sorted(variables.items()):
        if not variable.startswith(PREFIX) or not text:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in known:
            raise ParameterUnknown(spec.name, name, list(known))
        several = known[name].type.kind in ("list", "mapping") and not text.lstrip().startswith(("[", "{"))
        found[name] = [line.strip() for line in text.splitlines() if line.strip()] if several else [text]
    return found


def handed_on(spec: OperationSpec, result: Mapping[str, Any], folder: CiFolder) -> dict[str, str]:
    """Return a result as the outputs of a job, and write the files that they name.

    Parameters
    ----------
    spec, result
        The operation, and what it returned.
    folder
        Where the job's files are.
    """
    values = {}
    for each in outputs_of(spec):
        if each.field:
            values[each.name] = _text(result[each.field])
        elif each.name == "model-version":
            found = _VERSION.fullmatch(str(result["model"]))
            values[each.name] = found[1] if found else str(result.get("version", ""))
        elif each.name == "metrics-file":
            values[each.name] = str(folder.write(f"{spec.name}-metrics.json", result["metrics"]))
        elif each.name == "result-file":
            values[each.name] = str(folder.write(f"{spec.name}-result.json", result))
    return values


def summary(spec: OperationSpec, result: Mapping[str, Any]) -> str:
    """Return a result as Markdown for the page of the job; text from outside is shown as it is, and does nothing.

    Parameters
    ----------
    spec, result
        The operation, and what it returned.
    """
    rows = [f"| {each.name.replace('_', ' ')} | {code(_text(result[each.name]), 400)} |" for each in spec.results]
    return "\n".join([f"### {one_line(spec.name)}", "", "| | |", "|---|---|", *rows, ""])


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
