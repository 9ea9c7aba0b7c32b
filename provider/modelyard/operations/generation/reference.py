"""Writes the reference pages of the operations and of their command lines."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from modelyard.operations.declaration import OperationSpec, Parameter
from modelyard.operations.generation.components import artifacts_of
from modelyard.operations.generation.source import MARK, class_name, module_name
from modelyard.operations.types import ParameterType

__all__ = ["cli_reference", "components_reference", "operations_reference"]

_MARK = f"<!-- {MARK} -->"

_COMMON = (
    ("project", "PROJECT", "the current folder", "The project: a folder, or `git+URL@ref#subfolder`."),
    ("environment", "NAME", "the project's first", "The environment of `modelyard.yaml`."),
    ("key", "KEY", "a new one", "Names this piece of work: starting it again with the same key attaches or continues."),
    ("launcher", "inline\\|process", "inline", "Where the work runs: in this process, or in one of its own."),
    ("python", "PATH", "this one", "The interpreter of the process."),
    ("parameters-file", "FILE", "", "Parameters as JSON or YAML, `-` for the standard input; flags go before it."),
    ("result-file", "FILE", "", "Where to write the result, or the error, as JSON."),
    ("json", "", "", "Write JSON alone to the standard output."),
    ("debug", "", "", "Log more, and show the traceback of an error."),
    ("quiet", "", "", "No log lines and no progress, only the result."),
)


def operations_reference(specs: Iterable[OperationSpec]) -> str:
    """Return the page that describes every operation: its parameters, result and side effects."""
    chapters = [_operation(spec) for spec in sorted(specs, key=lambda each: each.name)]
    head = (
        f"{_MARK}\n\n# Operations\n\n"
        "The same for every front door: the command line, the Airflow operator, a workflow's step, a call from Python."
    )
    return "\n\n".join([head, *chapters]) + "\n"


def _operation(spec: OperationSpec) -> str:
    parts = [f"## {spec.name}", spec.summary, spec.description]
    parts += [_table(("parameter", "type", "default", "what it is"), map(_parameter_row, spec.parameters))]
    results = [(f"`{each.name}`", _cell(each.type.described()), _cell(each.doc)) for each in spec.results]
    parts += [f"Result `{spec.result_type}`:", _table(("field", "type", "what it is"), results)]
    doors = f"Operator `{class_name(spec.name, 'Operator')}`, command [`modelyard {spec.name}`](cli.md#{spec.name})"
    parts += [f"Side effects: {spec.side_effects}. {doors}, implementation `{spec.implementation}`."]
    return "\n\n".join(part for part in parts if part)


def _parameter_row(parameter: Parameter) -> tuple[str, ...]:
    return (f"`{parameter.name}`", _cell(parameter.type.described()), _default(parameter), _cell(parameter.doc))


def _default(parameter: Parameter) -> str:
    return "**required**" if parameter.required else _cell(f"`{_json(parameter.default)}`")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def components_reference(specs: Iterable[OperationSpec]) -> str:
    """Return the page that lists what the KFP component of every operation takes and puts out."""
    head = [
        _MARK,
        "# List of components",
        "What a parameter and a field mean stands in [the reference of the operations](../reference/operations.md). "
        "Every component also puts out `result`: all fields as JSON text, exactly.",
    ]
    return "\n\n".join([*head, *(_component(spec) for spec in sorted(specs, key=lambda each: each.name))]) + "\n"


def _component(spec: OperationSpec) -> str:
    takes = [(f"`{each.name}`", _cell(each.type.described()), _default(each)) for each in spec.parameters]
    fields = [(f"`{each.name}`", _cell(each.type.described())) for each in spec.results]
    artifacts = [(f"`{port.name}`", f"artifact `system.{port.type}`") for port in artifacts_of(spec)]
    cached = "may be taken from KFP's cache" if spec.side_effects == "none" else "is never taken from KFP's cache"
    parts = [
        f"## {spec.name}",
        f"`components.{module_name(spec.name)}(…)`: {spec.summary} A result {cached}.",
        _table(("parameter", "type", "default"), takes),
        _table(("output", "type"), [*fields, *artifacts]),
    ]
    return "\n\n".join(part for part in parts if part)


def cli_reference(specs: Iterable[OperationSpec]) -> str:
    """Return the page that lists the flags of every operation's command."""
    rows = [
        (f"`--{flag}{f' {metavar}' if metavar else ''}`", default, text) for flag, metavar, default, text in _COMMON
    ]
    head = [
        _MARK,
        "# Command line of the operations",
        "One command for each operation: `modelyard OPERATION --flag value …`. A flag is a parameter's name with `-` "
        "for `_`; a list's or a mapping's flag may be repeated, or given as JSON; booleans take `true` or `false`.",
        "## Every operation",
        _table(("flag", "default", "what it is"), rows),
    ]
    return "\n\n".join([*head, *(_command(spec) for spec in sorted(specs, key=lambda each: each.name))]) + "\n"


def _command(spec: OperationSpec) -> str:
    parts = [f"## {spec.name}", spec.summary]
    if spec.examples:
        parts += ["```console\n" + "\n".join(f"$ {example}" for example in spec.examples) + "\n```"]
    rows = [(_flag(each), _default(each), _cell(each.doc)) for each in spec.parameters]
    parts += [_table(("flag", "default", "what it is"), rows)]
    return "\n\n".join(part for part in parts if part)


def _flag(parameter: Parameter) -> str:
    return f"`--{parameter.name.replace('_', '-')} {_metavar(parameter.type)}`"


def _metavar(type_: ParameterType) -> str:
    if type_.kind == "choice":
        return _cell("|".join(type_.choices))
    words = {"boolean": "true\\|false", "list": "LIST", "mapping": "NAME=VALUE", "any": "JSON"}
    plain = {"string": "TEXT", "integer": "INTEGER", "number": "NUMBER", "dataset": "DATASET", "model": "MODEL"}
    return {**words, **plain}[type_.kind]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(titles)} |", f"|{'|'.join('---' for _ in titles)}|", *lines])
