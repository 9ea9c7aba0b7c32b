"""Declares an operation: one typed function, keyword-only parameters, a frozen result."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, TypeVar, cast, get_type_hints

import msgspec

from modelyard.operations.context import OperationContext
from modelyard.operations.docstring import read_docstring
from modelyard.operations.errors import (
    DeclarationInvalid,
    ParameterMissing,
    ParameterUnknown,
    ResultInvalid,
)
from modelyard.operations.reserved import check_name
from modelyard.operations.types import ParameterType, type_of

__all__ = ["Operation", "OperationSpec", "Parameter", "ResultField", "SideEffects", "operation"]

ResultT = TypeVar("ResultT", bound=msgspec.Struct)
SideEffects = Literal["none", "storage", "tracking", "registry", "deployment", "any"]
"""What an execution changes outside its result; ``none`` is what an engine may cache."""

RESULT_BYTES = 48_000
"""The largest result: what every orchestrator's exchange carries without a store of its own."""


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parameter of an operation."""

    name: str
    type: ParameterType
    doc: str
    required: bool = False
    default: Any = None


class ResultField(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field of an operation's result."""

    name: str
    type: ParameterType
    doc: str = ""


class OperationSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """An operation as data: all that a front door needs, without importing the implementation."""

    name: str
    summary: str
    implementation: str
    parameters: tuple[Parameter, ...]
    results: tuple[ResultField, ...]
    side_effects: SideEffects
    result_type: str
    description: str = ""
    examples: tuple[str, ...] = ()

    def parameter_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of the parameters."""
        properties = {}
        for parameter in self.parameters:
            schema = {**parameter.type.schema(), "description": parameter.doc}
            properties[parameter.name] = schema if parameter.required else {**schema, "default": parameter.default}
        return _object_schema(self.name, properties, [each.name for each in self.parameters if each.required])

    def result_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of the result."""
        properties = {each.name: {**each.type.schema(), "description": each.doc} for each in self.results}
        return _object_schema(self.result_type, properties, list(properties))

    def bind(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters, checked and with their defaults.

        Raises
        ------
        ParameterUnknown, ParameterMissing, ParameterInvalid
            What is given does not fit; the error names the parameter, the rule and the value.
        """
        known = [parameter.name for parameter in self.parameters]
        for name in given:
            if name not in known:
                raise ParameterUnknown(self.name, name, known)
        bound = {}
        for parameter in self.parameters:
            if parameter.name in given:
                bound[parameter.name] = parameter.type.coerce(given[parameter.name], parameter.name)
            elif parameter.required:
                raise ParameterMissing(self.name, parameter.name, parameter.doc or parameter.type.described())
            else:
                bound[parameter.name] = msgspec.json.decode(msgspec.json.encode(parameter.default))
        return bound


def _object_schema(title: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


class Operation(Generic[ResultT]):
    """A declared operation: its specification and the function that does the work."""

    def __init__(self, spec: OperationSpec, function: Callable[..., ResultT], result: type[ResultT]) -> None:
        self.spec = spec
        self.function = function
        self.result = result
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__module__ = function.__module__
        self.__wrapped__ = function

    def __call__(self, context: OperationContext, **parameters: Any) -> ResultT:
        """Run the operation in this process with checked parameters.

        Raises
        ------
        ParameterInvalid
            A parameter is not of its type.
        ResultInvalid
            The function returned something else than it declares.
        """
        result = self.function(context, **self.spec.bind(parameters))
        if not isinstance(result, self.result):
            raise ResultInvalid(self.spec.name, f"must be {self.result.__name__}, got {type(result).__name__}")
        size = len(msgspec.json.encode(result))
        if size > RESULT_BYTES:
            raise ResultInvalid(self.spec.name, f"must be at most {RESULT_BYTES} bytes of JSON, got {size}")
        return result

    def __repr__(self) -> str:
        return f"<operation {self.spec.name}>"


def operation(*, kind: str, side_effects: SideEffects) -> Callable[[Callable[..., ResultT]], Operation[ResultT]]:
    """Declare a function to be the operation `kind`.

    The function takes the context and keyword-only parameters with types of the table in docs/operations.md, and
    returns a frozen `msgspec.Struct`. Its NumPy-style docstring is the only place where help is written: the summary,
    each parameter, each result field (in the struct's ``Attributes``), and shell examples.

    Parameters
    ----------
    kind
        The operation's name in every door.
    side_effects
        What an execution changes outside its result.

    Raises
    ------
    DeclarationInvalid
        A parameter has no type, no documentation or a reserved name, or the result is not a frozen struct.
    """

    def declare(function: Callable[..., ResultT]) -> Operation[ResultT]:
        hints = get_type_hints(function, include_extras=True)
        result: Any = hints.get("return")
        if not (isinstance(result, type) and issubclass(result, msgspec.Struct) and result.__struct_config__.frozen):
            raise DeclarationInvalid(kind, "an operation returns a frozen msgspec.Struct")
        text = read_docstring(function)
        spec = OperationSpec(
            name=kind,
            summary=text.summary,
            description=text.description,
            examples=text.examples,
            implementation=f"{function.__module__}:{function.__name__}",
            parameters=tuple(_parameters(kind, function, hints, text.parameters)),
            results=tuple(_results(result)),
            result_type=result.__name__,
            side_effects=side_effects,
        )
        return Operation(spec, function, cast("type[ResultT]", result))

    return declare


def _parameters(
    kind: str, function: Callable[..., Any], hints: dict[str, Any], docs: dict[str, str]
) -> list[Parameter]:
    declared = list(inspect.signature(function).parameters.values())
    if not declared or declared[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise DeclarationInvalid(kind, "the first parameter is the OperationContext")
    found = []
    for each in declared[1:]:
        where = f"{kind}.{each.name}"
        check_name(each.name, where)
        if each.kind is not inspect.Parameter.KEYWORD_ONLY or each.name not in hints:
            raise DeclarationInvalid(where, "parameters are keyword-only and typed")
        if not docs.get(each.name):
            raise DeclarationInvalid(where, "the docstring does not describe the parameter")
        required = each.default is inspect.Parameter.empty
        default = None if required else each.default
        type_ = type_of(hints[each.name], where)
        if not required:
            type_.coerce(default, where)
        found.append(Parameter(each.name, type_, docs[each.name], required, default))
    return found


def _results(result: type[msgspec.Struct]) -> list[ResultField]:
    docs = read_docstring(result).results
    hints = get_type_hints(result, include_extras=True)
    fields = []
    for name in result.__struct_fields__:
        if not docs.get(name):
            raise DeclarationInvalid(f"{result.__name__}.{name}", "the docstring does not describe the field")
        fields.append(ResultField(name, type_of(hints[name], f"{result.__name__}.{name}"), docs[name]))
    return fields
