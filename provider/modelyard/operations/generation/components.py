"""Writes the KFP component of an operation, the class that starts them all, and the package that offers both."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from modelyard.operations.declaration import OperationSpec, Parameter, ResultField
from modelyard.operations.errors import DeclarationInvalid
from modelyard.operations.generation.packages import package_source
from modelyard.operations.generation.source import (
    LINE,
    MARK,
    docstring,
    entry,
    literal,
    module_name,
    prose,
)
from modelyard.operations.types import ParameterType

__all__ = ["Port", "artifacts_of", "component_modules", "component_package", "component_source", "components_class"]

PACKAGE = "modelyard.operators.kfp"

CIRCUMSTANCES = ("project", "environment", "key", "workflow_run", "step", "library", "exact")
"""What every component takes besides its operation's parameters; a name of its own for each in `reserved`."""

_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "list": "list", "mapping": "dict"}
_EMPTY = {"str": "", "int": 0, "float": 0.0, "bool": False, "list": [], "dict": {}}

_OFFERED = {
    "ComponentLibrary": "library",
    "Components": "components",
    "Embedded": "delivery",
    "Image": "delivery",
    "Installed": "delivery",
    "KfpApi": "api",
    "Pip": "delivery",
    "PodSettings": "pods",
    "SecretKey": "pods",
    "TaskSettings": "library",
    "Toleration": "pods",
    "component_of": "declaring",
    "holds": "control",
    "items_of": "control",
    "reproducible_project": "sources",
    "write_manifests": "manifests",
    "write_pipeline": "manifests",
}
"""What the package offers, and the modules that hold it."""

_PAGES = {"evaluate": (("report", "HTML"), ("classification", "ClassificationMetrics"))}
"""What operations have to show besides what their results' types say."""


class Port(NamedTuple):
    """An artifact of a component: its name among the outputs, KFP's type, and the field of the result behind it."""

    name: str
    type: str
    field: str


def artifacts_of(spec: OperationSpec) -> list[Port]:
    """Return the artifacts that the component of an operation writes.

    A model and a dataset among the results become Model and Dataset, a mapping to numbers becomes Metrics, and every
    component writes a summary.
    """
    ports = []
    for field in spec.results:
        kind = field.type.kind
        if kind in ("model", "dataset"):
            ports.append(Port(f"{field.name}_artifact", "Model" if kind == "model" else "Dataset", field.name))
        elif kind == "mapping" and field.type.item and field.type.item.kind == "number":
            ports.append(Port(f"{field.name}_artifact", "Metrics", field.name))
    ports += [Port(f"{name}_artifact", type_, name) for name, type_ in _PAGES.get(spec.name, ())]
    return [*ports, Port("summary_artifact", "Markdown", "")]


def component_source(spec: OperationSpec) -> str:
    """Return the module with the component of an operation.

    Raises
    ------
    DeclarationInvalid
        Two of its ports would have the same name.
    """
    _check_names(spec)
    name = module_name(spec.name)
    lines = [
        '# mypy: disable-error-code="valid-type, type-arg"',
        "# pyright: reportInvalidTypeForm=false",
        *docstring([f"The component of the operation ``{spec.name}``.", "", MARK]),
        "",
        f"from typing import {', '.join(_typing(spec))}",
        "",
        "from kfp import dsl",
        "",
        f"from {PACKAGE}.declaring import component_of",
        "",
        f'__all__ = ["{name}"]',
        "",
        "",
        f"@component_of({literal(spec.name)})",
        f"def {name}(",
        *(f"    {line}," for line in _signature(spec)),
        ") -> NamedTuple(",
        '    "Outputs",',
        "    [",
        *(f'        ("{each.name}", {_carrier(each.type)}),' for each in spec.results),
        '        ("result", str),',
        "    ],",
        "):",
        *_component_docstring(spec),
        "    given = dict(locals())",
        f"    from {PACKAGE}.carrying import carry",
        "",
        f"    return carry({literal(spec.name)}, given)",
    ]
    return "\n".join(lines) + "\n"


def _check_names(spec: OperationSpec) -> None:
    outputs = [*(each.name for each in spec.results), *(port.name for port in artifacts_of(spec)), "result"]
    inputs = [*(each.name for each in spec.parameters), *(name for name, _ in _sources(spec)), *CIRCUMSTANCES]
    for names in (outputs, [*inputs, *(port.name for port in artifacts_of(spec))]):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DeclarationInvalid(f"{spec.name}.{twice[0]}", f"the name {twice[0]!r} belongs to kfp")


def _typing(spec: OperationSpec) -> list[str]:
    optional = _sources(spec) or any(each.type.optional and each.type.kind != "any" for each in spec.parameters)
    return ["NamedTuple", "Optional"] if optional else ["NamedTuple"]


def _sources(spec: OperationSpec) -> list[tuple[str, str]]:
    """Return the artifacts that may stand for a parameter: name and type."""
    kinds = {"model": "Model", "dataset": "Dataset"}
    return [(f"{each.name}_from", kinds[each.type.kind]) for each in spec.parameters if each.type.kind in kinds]


def _signature(spec: OperationSpec) -> list[str]:
    """Return the parameters of the function; those that an artifact may stand for are never required."""
    sources = {name.removesuffix("_from") for name, _ in _sources(spec)}
    required = [each for each in spec.parameters if each.required and each.name not in sources]
    others = [each for each in spec.parameters if each not in required]
    lines = [f"{each.name}: {_hint(each.type)}" for each in required]
    lines += [f"{port.name}: dsl.Output[dsl.{port.type}]" for port in artifacts_of(spec)]
    lines += [f"{each.name}: {_hint(each.type)} = {literal(_default(each))}" for each in others]
    lines += [f"{name}: Optional[dsl.Input[dsl.{type_}]] = None" for name, type_ in _sources(spec)]
    return [*lines, *(f'{name}: str = ""' for name in CIRCUMSTANCES)]


def _carrier(type_: ParameterType) -> str:
    """Return the type of KFP that carries a value; what may be anything goes as JSON text."""
    return _TYPES.get(type_.kind, "str")


def _hint(type_: ParameterType) -> str:
    return f"Optional[{_carrier(type_)}]" if type_.optional and type_.kind != "any" else _carrier(type_)


def _default(parameter: Parameter) -> Any:
    if parameter.required:
        return _EMPTY[_carrier(parameter.type)]
    if parameter.type.kind == "any":
        return "null"
    return parameter.default


def _component_docstring(spec: OperationSpec) -> list[str]:
    head = prose(spec.summary, 0, 10_000)
    fits = len(head) + 7 <= LINE and "\n" not in head
    lines = [head if fits else f"Run the operation ``{spec.name}``.", ""]
    for text in ("" if fits else spec.summary, spec.description):
        if text:
            lines += [prose(text, 4), ""]
    lines += ["    Parameters", "    ----------"]
    for each in spec.parameters:
        lines += [f"    {each.name}", prose(_text(each.doc, each.type), 8)]
    lines += [
        f"    {', '.join(CIRCUMSTANCES)}",
        "        Filled in by `Components`: where the work belongs, and what KFP would bend on the way.",
    ]
    return docstring(lines, 4)


def _text(doc: str, type_: ParameterType) -> str:
    text = doc.strip()
    return f"{text if text.endswith(('.', '!', '?')) else f'{text}.'} ({type_.described()})"


def component_modules(specs: Iterable[OperationSpec]) -> dict[str, str]:
    """Return the component modules of operations: file name → source."""
    return {f"{module_name(spec.name)}.py": component_source(spec) for spec in specs}


def components_class(specs: Sequence[OperationSpec], package: str = PACKAGE) -> str:
    """Return the module ``components`` with a typed method for each operation."""
    hints = " ".join(_accepted(each.type) for spec in specs for each in spec.parameters)
    collections = [name for name in ("Mapping", "Sequence") if f"{name}[" in hints]
    typing = [name for name in ("Any", "Literal") if f"{name}" in hints]
    lines = [
        *docstring(["The components of all operations, as methods that start their tasks.", "", MARK]),
        "",
        *([f"from collections.abc import {', '.join(collections)}"] if collections else []),
        *([f"from typing import {', '.join(typing)}"] if typing else []),
        "",
        "from kfp.dsl import PipelineTask",
        "",
        *_component_imports(specs, package),
        "",
        '__all__ = ["Components"]',
        "",
        "",
        "class Components(ComponentLibrary):",
        '    """Starts tasks of our components inside a function marked with ``dsl.pipeline``.',
        "",
        "    See `ComponentLibrary` for what it is told once. Called, it returns one that tells the next task more:",
        '    ``components(title="Fit", retries=2).train(…)``; see `TaskSettings`.',
        '    """',
    ]
    for spec in specs:
        lines += ["", *_method(spec)]
    return "\n".join(lines) + "\n"


def _component_imports(specs: Sequence[OperationSpec], package: str) -> list[str]:
    lines = [f"from {package}.{module_name(spec.name)} import {module_name(spec.name)}" for spec in specs]
    return sorted([*lines, f"from {PACKAGE}.library import ComponentLibrary, Given"])


def _method(spec: OperationSpec) -> list[str]:
    name = module_name(spec.name)
    ordered = sorted(spec.parameters, key=lambda each: not each.required)
    lines = [f"    def {name}("] + (["        self,", "        *,"] if ordered else ["        self,"])
    for each in ordered:
        default = "" if each.required else f" = {literal(_shown(each))}"
        lines.append(f"        {each.name}: {_accepted(each.type)}{default},")
    lines += ["    ) -> PipelineTask:", *_method_docstring(spec)]
    if not ordered:
        return [f"    def {name}(self) -> PipelineTask:", *lines[3:], f"        return self.start({name}, {{}})"]
    given = [f'            "{each.name}": {each.name},' for each in spec.parameters]
    return [*lines, "        given = {", *given, "        }", f"        return self.start({name}, given)"]


def _shown(parameter: Parameter) -> Any:
    """Return a default that no task can change: None where the declared one is a list or a mapping."""
    return None if isinstance(parameter.default, list | tuple | dict) else parameter.default


def _accepted(type_: ParameterType) -> str:
    if type_.kind == "any":
        return "Any"
    if type_.kind == "list":
        return f"Given[Sequence[{_inner(type_.item)}]] | None"
    if type_.kind == "mapping":
        return f"Given[Mapping[str, {_inner(type_.item)}]] | None"
    hint = f"Given[{ParameterType(type_.kind, choices=type_.choices).annotation()}]"
    return f"{hint} | None" if type_.optional else hint


def _inner(type_: ParameterType | None) -> str:
    if type_ is None or type_.kind == "any":
        return "Any"
    return _accepted(type_)


def _method_docstring(spec: OperationSpec) -> list[str]:
    head = prose(spec.summary, 0, 10_000)
    fits = len(head) + 11 <= LINE and "\n" not in head
    lines = [head if fits else f"Run the operation ``{spec.name}``.", ""]
    if not fits:
        lines += [prose(spec.summary, 8), ""]
    lines += ["        Outputs:", ""]
    lines += [entry(f"``{each.name}``", _output_text(each), 8) for each in spec.results]
    lines += [entry("``result``", "All of it as JSON text, exactly.", 8)]
    lines += [entry(f"``{port.name}``", f"An artifact of the type {port.type}.", 8) for port in artifacts_of(spec)]
    if spec.parameters:
        lines += ["", "        Parameters", "        ----------"]
    for each in spec.parameters:
        lines += [f"        {each.name}", prose(_text(each.doc, each.type), 12)]
    return docstring(lines, 8)


def _output_text(field: ResultField) -> str:
    text = _text(field.doc, field.type)
    return f"{text} Nothing is {literal(_EMPTY[_carrier(field.type)])}." if field.type.optional else text


def component_package(package: str = PACKAGE) -> str:
    """Return the ``__init__`` of the package of components."""
    summary = "KFP components: one for each operation, started by the methods of `Components`."
    return package_source(summary, package, _OFFERED)
