"""What an operation takes and hands on in a CI job: the same names in GitHub actions and GitLab templates."""

from typing import Any, Literal, NamedTuple

import msgspec

from modelyard.operations.declaration import OperationSpec, Parameter
from modelyard.operations.types import ParameterType

__all__ = ["COMMON", "CiInput", "CiOutput", "ci_name", "inputs_of", "outputs_of"]

_NAMED = {"model": "model-uri", "url": "endpoint-url", "report": "report-path"}
"""Fields of results that have a name of their own among the outputs of a job: the one that `modelyard ci` uses, too."""


class CiInput(NamedTuple):
    """One input of an action or a template.

    Parameters
    ----------
    name
        As it is written in a workflow file.
    doc
        What it means, and how a value is written.
    required
        Whether there is no default.
    default
        What is taken otherwise: text, as all inputs of actions are.
    choices
        The values that it may have; any if there are none.
    variable
        The environment variable that carries it to the command.
    kind
        What it is where a host has more than text.
    """

    name: str
    doc: str
    required: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()
    variable: str = ""
    kind: Literal["text", "boolean", "number"] = "text"


class CiOutput(NamedTuple):
    """One value that an action or a job hands on.

    Parameters
    ----------
    name
        As it is written in a workflow file.
    doc
        What it means.
    field
        The field of the operation's result that it shows; empty for what the command adds.
    """

    name: str
    doc: str
    field: str = ""


COMMON = (
    CiInput("project-path", "The folder of the project, with modelyard.yaml.", default="."),
    CiInput(
        "environment",
        "The environment of modelyard.yaml; its first one if empty.",
        variable="MODELYARD_ENVIRONMENT",
    ),
    CiInput("key", "Names this piece of work, so that another try goes on with it.", variable="MODELYARD_KEY"),
)
"""What every operation's job takes besides."""


def ci_name(name: str) -> str:
    """Return a parameter's or a field's name as CI hosts write names.

    Examples
    --------
    >>> ci_name("label_column"), ci_name("model")
    ('label-column', 'model-uri')
    """
    return _NAMED.get(name, name.replace("_", "-"))


def inputs_of(spec: OperationSpec) -> tuple[CiInput, ...]:
    """Return the inputs of an operation's job: its parameters, then what every job takes."""
    own = tuple(_input(each) for each in spec.parameters)
    names = {each.name for each in own}
    return (*own, *(each for each in COMMON if each.name not in names))


def outputs_of(spec: OperationSpec) -> tuple[CiOutput, ...]:
    """Return the outputs of an operation's job: the fields of its result, and what is made of them."""
    found = [CiOutput(ci_name(each.name), _sentence(each.doc or each.name), each.name) for each in spec.results]
    fields = {each.name for each in spec.results}
    if "model" in fields:
        found.append(CiOutput("model-version", "The number of the registered version; empty if it is none."))
    if "metrics" in fields:
        found.append(CiOutput("metrics-file", "A JSON file with the metrics."))
    found.append(CiOutput("result-file", "A JSON file with the whole result."))
    return tuple(found)


def _input(parameter: Parameter) -> CiInput:
    name = parameter.name.replace("_", "-")
    return CiInput(
        name,
        _sentence(parameter.doc) + _choices(parameter.type) + _manner(parameter.type),
        parameter.required,
        "" if parameter.required else _text(parameter.default),
        tuple(parameter.type.choices) if parameter.type.kind == "choice" else (),
        f"MODELYARD_INPUT_{parameter.name.upper()}",
    )


def _choices(type_: ParameterType) -> str:
    return f" One of {', '.join(type_.choices)}." if type_.kind == "choice" else ""


def _manner(type_: ParameterType) -> str:
    return {
        "list": " One on each line, or a JSON list.",
        "mapping": " One NAME=VALUE on each line, or a JSON object.",
        "boolean": " true or false.",
        "any": " JSON.",
    }.get(type_.kind, "")


def _text(value: Any) -> str:
    """Return a default as text; what is empty is left out, and the operation's own default counts."""
    if value is None or value in ("", [], {}):
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _sentence(text: str) -> str:
    plain = " ".join(text.replace("``", "").split())
    return plain if plain.endswith((".", "!", "?")) else f"{plain}."
