"""Writes the Airflow operator of an operation, and the package that offers them all."""

from collections.abc import Iterable, Sequence
from typing import Any

from modelyard.operations.declaration import OperationSpec, Parameter
from modelyard.operations.generation.packages import package_source
from modelyard.operations.generation.source import (
    LINE,
    MARK,
    class_name,
    docstring,
    entry,
    literal,
    module_name,
    prose,
    tuple_literal,
)
from modelyard.operations.types import ParameterType

__all__ = ["COMMON_FIELDS", "operator_modules", "operator_package", "operator_source"]

COMMON_FIELDS = ("conn_id", "project", "environment", "key", "python")
"""What every operator templates besides its operation's parameters."""

_PACKAGE = "modelyard.operators.airflow"
_LINKS = {
    "endpoint": "EndpointLink",
    "run_id": "RunLink",
    "evaluation": "RunLink",
    "workflow_run": "RunLink",
    "model": "ModelLink",
}
"""Field of a result → the link to what it names."""

_ALWAYS = ("ClassVar", "Unpack")
_RESULTS = "    result_fields: ClassVar[tuple[str, ...]] = "
_FIELDS = "    template_fields: Collection[str] = "


def operator_source(spec: OperationSpec) -> str:
    """Return the module with the operator of an operation."""
    name = class_name(spec.name, "Operator")
    fields = tuple_literal([*(each.name for each in spec.parameters), *COMMON_FIELDS], 4, len(_FIELDS))
    body = [
        *_class_docstring(spec),
        "",
        f"    operation_name: ClassVar[str] = {literal(spec.name)}",
        f"{_RESULTS}{tuple_literal([each.name for each in spec.results], 4, len(_RESULTS))}",
        f"{_FIELDS}{fields}",
        *_renderers(spec.parameters),
        *_links(spec),
        "",
        *_constructor(spec.parameters),
    ]
    lines = [
        *docstring([f"The operator of the operation ``{spec.name}``.", "", MARK]),
        "",
        *_imports(spec),
        "",
        *([f"from modelyard.airflow.links import {', '.join(links)}"] if (links := _link_classes(spec)) else []),
        f"from {_PACKAGE}.arguments import OperationArguments",
        f"from {_PACKAGE}.operation import {', '.join(_base_names(spec.parameters))}",
        "",
        f'__all__ = ["{name}"]',
        "",
        "",
        f"class {name}(OperationOperator):",
        *body,
    ]
    return "\n".join(lines) + "\n"


def _base_names(parameters: Sequence[Parameter]) -> list[str]:
    return ["OperationOperator", "Templated"] if parameters else ["OperationOperator"]


def _imports(spec: OperationSpec) -> list[str]:
    hints = " ".join(_hint(each.type) for each in spec.parameters)
    collections = ["Collection", *(name for name in ("Mapping", "Sequence") if f"{name}[" in hints)]
    typing = [name for name in ("Any", "ClassVar", "Literal", "Unpack") if name in hints or name in _ALWAYS]
    lines = [f"from collections.abc import {', '.join(collections)}", f"from typing import {', '.join(typing)}"]
    return [*lines, "", "from airflow.sdk import BaseOperatorLink"] if _link_classes(spec) else lines


def _renderers(parameters: Sequence[Parameter]) -> list[str]:
    shown = {each.name: "json" for each in parameters if each.type.kind in ("list", "mapping", "any")}
    start = "    template_fields_renderers: ClassVar[dict[str, str]] = "
    line = start + literal(shown)
    if len(line) <= LINE:
        return [line]
    return [f"{start}{{", *(f'        "{name}": "{value}",' for name, value in shown.items()), "    }"]


def _link_classes(spec: OperationSpec) -> list[str]:
    """Return the names of the links that an operation's result gives rise to."""
    fields = {each.name for each in spec.results}
    # The model that a run has just stored is no registered version yet, and an endpoint that is gone has no address.
    without = {*(["model"] if "run_id" in fields else []), *([] if "url" in fields else ["endpoint"])}
    return sorted({_LINKS[each] for each in fields & set(_LINKS) - without})


def _links(spec: OperationSpec) -> list[str]:
    made = ", ".join(f"{name}()" for name in _link_classes(spec))
    comma = "" if ", " in made else ","
    return [f"    operator_extra_links: Collection[BaseOperatorLink] = ({made}{comma})"] if made else []


def _class_docstring(spec: OperationSpec) -> list[str]:
    head, rest = _summary(spec)
    lines = [head, ""]
    for text in (rest, spec.description):
        if text:
            lines += [prose(text, 4), ""]
    if spec.results:
        lines += ["    The result goes to XCom whole, and each of its fields by its name:", ""]
        lines += [entry(f"``{each.name}``", each.doc, 4) for each in spec.results]
        lines += [""]
    lines += ["    Parameters", "    ----------"]
    for parameter in spec.parameters:
        lines += [f"    {parameter.name}", prose(_parameter_text(parameter), 8)]
    common = "conn_id, project, environment, key, launcher, python, deferrable, same_host"
    lines += [
        "    **kwargs",
        f"        {common}",
        "        and whatever every Airflow operator takes: see `OperationOperator`.",
    ]
    return docstring(lines, 4)


def _summary(spec: OperationSpec) -> tuple[str, str]:
    """Return a first line that fits, and what of the summary did not."""
    summary = prose(spec.summary, 0, 10_000)
    if len(summary) + 7 <= LINE and "\n" not in summary:
        return (summary if summary.endswith((".", "!", "?")) else f"{summary}."), ""
    return f"Run the operation ``{spec.name}``.", spec.summary


def _parameter_text(parameter: Parameter) -> str:
    text = parameter.doc.strip()
    text = text if text.endswith((".", "!", "?")) else f"{text}."
    notes = [parameter.type.described()]
    if not parameter.required and parameter.default not in (None, "", [], {}):
        notes.append(f"default {literal(parameter.default)}")
    return f"{text} ({'; '.join(notes)})"


def _constructor(parameters: Sequence[Parameter]) -> list[str]:
    if not parameters:
        return [
            "    def __init__(self, **kwargs: Unpack[OperationArguments]) -> None:",
            "        super().__init__(**kwargs)",
        ]
    ordered = sorted(parameters, key=lambda each: not each.required)
    lines = ["    def __init__(", "        self,", "        *,"]
    lines += [f"        {each.name}: {_annotated(each)}," for each in ordered]
    lines += ["        **kwargs: Unpack[OperationArguments],", "    ) -> None:", "        super().__init__(**kwargs)"]
    lines += [f"        self.{each.name} = {_assigned(each)}" for each in parameters]
    return [*lines, "        self._check_parameters()"]


def _annotated(parameter: Parameter) -> str:
    hint = _hint(parameter.type)
    if parameter.required:
        return hint
    if isinstance(parameter.default, dict):
        return f"{hint} = None" if parameter.type.optional or hint == "Any" else f"{hint} | None = None"
    return f"{hint} = {_immutable(parameter.default)}"


def _immutable(default: Any) -> str:
    if isinstance(default, list | tuple):
        items = [_immutable(each) for each in default]
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    return literal(default)


def _assigned(parameter: Parameter) -> str:
    """Return what goes into the attribute: a mapping of its own, lest one task's change its neighbour's default."""
    if parameter.required or not isinstance(parameter.default, dict):
        return parameter.name
    return f"{literal(parameter.default)} if {parameter.name} is None else {parameter.name}"


def _hint(type_: ParameterType) -> str:
    """Return what may be given while the DAG file is read: the type, a template of it, or a task's output."""
    if type_.kind == "any":
        return "Any"
    if type_.kind == "list":
        hint = f"Templated[Sequence[{_hint(type_.item) if type_.item else 'Any'}]]"
    elif type_.kind == "mapping":
        hint = f"Templated[Mapping[str, {_hint(type_.item) if type_.item else 'Any'}]]"
    else:
        plain = ParameterType(type_.kind, choices=type_.choices)
        hint = f"Templated[{plain.annotation()}]"
    return f"{hint} | None" if type_.optional else hint


def operator_modules(specs: Iterable[OperationSpec]) -> dict[str, str]:
    """Return the operator modules of operations: file name → source."""
    return {f"{module_name(spec.name)}.py": operator_source(spec) for spec in specs}


def operator_package(specs: Iterable[OperationSpec], package: str) -> str:
    """Return the ``__init__`` of the package of operators."""
    offered = {class_name(spec.name, "Operator"): module_name(spec.name) for spec in specs}
    summary = "Airflow operators: one for each operation, all on `OperationOperator`."
    return package_source(summary, package, {**offered, "OperationOperator": "operation"})
