"""Parameter types: what an operation may take, and each type's image in JSON, text and Python source."""

import json
import math
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from modelyard.operations.errors import DeclarationInvalid, ParameterInvalid
from modelyard.operations.references import Reference

__all__ = ["ParameterType", "type_of"]

_PYTHON = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "dataset": "str", "model": "str"}
_JSON = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "dataset": "string",
    "model": "string",
}
_TRUE = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class ParameterType(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parameter's type.

    Parameters
    ----------
    kind
        ``string``, ``integer``, ``number``, ``boolean``, ``choice``, ``list``, ``mapping``, ``any``, ``dataset`` or
        ``model``.
    optional
        Whether None is allowed.
    choices
        The allowed strings of a ``choice``.
    item
        The type of the items of a ``list`` or the values of a ``mapping``.
    """

    kind: str
    optional: bool = False
    choices: tuple[str, ...] = ()
    item: "ParameterType | None" = None

    def annotation(self) -> str:
        """Return the type as Python source.

        Examples
        --------
        >>> type_of(dict[str, float] | None).annotation()
        'dict[str, float] | None'
        """
        return f"{self._plain_annotation()} | None" if self.optional else self._plain_annotation()

    def _plain_annotation(self) -> str:
        if self.kind == "choice":
            return f"Literal[{', '.join(json.dumps(choice) for choice in self.choices)}]"
        item = self.item.annotation() if self.item else "Any"
        if self.kind == "list":
            return f"list[{item}]"
        if self.kind == "mapping":
            return f"dict[str, {item}]"
        return _PYTHON.get(self.kind, "Any")

    def schema(self) -> dict[str, Any]:
        """Return the type as JSON Schema (draft 2020-12)."""
        schema = self._plain_schema()
        return {"anyOf": [schema, {"type": "null"}]} if self.optional else schema

    def _plain_schema(self) -> dict[str, Any]:
        if self.kind == "choice":
            return {"enum": list(self.choices)}
        if self.kind == "list":
            return {"type": "array", "items": self.item.schema() if self.item else {}}
        if self.kind == "mapping":
            return {"type": "object", "additionalProperties": self.item.schema() if self.item else {}}
        if self.kind == "any":
            return {}
        schema: dict[str, Any] = {"type": _JSON[self.kind]}
        if self.kind in ("dataset", "model"):
            schema["format"] = f"{self.kind}-reference"
        return schema

    def coerce(self, value: Any, where: str) -> Any:
        """Return a JSON value checked against the type; text is parsed where the type is not text.

        Templating engines and shells hand everything over as text, hence the leniency towards strings.

        Parameters
        ----------
        value
            What the door received.
        where
            The parameter's name, for the error.

        Raises
        ------
        ParameterInvalid
            The value is not of this type.

        Examples
        --------
        >>> type_of(int).coerce("7", "rows"), type_of(list[int]).coerce("[1, 2]", "sizes")
        (7, [1, 2])
        """
        if value is None:
            if self.optional or self.kind == "any":
                return None
            raise ParameterInvalid(where, self.described(), value)
        if isinstance(value, str) and self.kind not in ("string", "dataset", "model", "choice", "any"):
            return self._parsed(value, where)
        return self._checked(value, where)

    def _parsed(self, text: str, where: str) -> Any:
        if self.optional and text in ("", "None", "null"):
            return None
        try:
            if self.kind == "boolean":
                return _TRUE[text.strip().lower()]
            value = json.loads(text)
        except (KeyError, ValueError) as error:
            raise ParameterInvalid(where, self.described(), text) from error
        if value is None or isinstance(value, str):
            raise ParameterInvalid(where, self.described(), text)
        return self._checked(value, where)

    def _checked(self, value: Any, where: str) -> Any:
        good = _CHECKS[self.kind](value)
        if self.kind == "choice":
            good = value in self.choices
        if not good:
            raise ParameterInvalid(where, self.described(), value)
        if self.kind == "number":
            return float(value)
        if self.kind == "list" and self.item:
            return [self.item.coerce(item, f"{where}[{index}]") for index, item in enumerate(value)]
        if self.kind == "mapping" and self.item:
            return {key: self.item.coerce(item, f"{where}.{key}") for key, item in value.items()}
        return list(value) if self.kind == "list" else value

    def described(self) -> str:
        """Return the rule in words, for help and errors."""
        if self.kind == "choice":
            words = f"one of {', '.join(self.choices)}"
        elif self.kind == "list":
            words = f"a list of {self.item.described()}" if self.item and self.item.kind != "any" else "a list"
        elif self.kind == "mapping":
            words = "a mapping" if not self.item or self.item.kind == "any" else f"a mapping to {self.item.described()}"
        else:
            words = _WORDS[self.kind]
        return f"{words}, or nothing" if self.optional else words


_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "any": "any JSON value",
    "dataset": "a dataset's path or URI",
    "model": "a model's URI",
}


def _is_number(value: object) -> bool:
    # JSON has neither NaN nor infinity: on the way they would turn into null.
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _is_json(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_json, value.values()))
    return value is None or isinstance(value, str | int) or _is_number(value)


_CHECKS: dict[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "dataset": lambda value: isinstance(value, str),
    "model": lambda value: isinstance(value, str),
    "choice": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list | tuple),
    "mapping": lambda value: isinstance(value, dict) and all(isinstance(key, str) for key in value),
    "any": _is_json,
}

_SCALARS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", Any: "any", object: "any"}


def type_of(hint: Any, where: str = "parameter") -> ParameterType:
    """Return the parameter type that a Python type hint stands for.

    Raises
    ------
    DeclarationInvalid
        The hint has no image in every door.

    Examples
    --------
    >>> type_of(Literal["a", "b"]).choices
    ('a', 'b')
    """
    if hint in _SCALARS:
        return ParameterType(_SCALARS[hint])
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        for mark in arguments[1:]:
            if isinstance(mark, Reference):
                return ParameterType(mark.to)
        return type_of(arguments[0], where)
    if origin in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        inner = type_of(next(argument for argument in arguments if argument is not type(None)), where)
        return msgspec.structs.replace(inner, optional=True)
    if origin is Literal and all(isinstance(argument, str) for argument in arguments):
        return ParameterType("choice", choices=tuple(arguments))
    if hint is list or origin is list or (origin is tuple and arguments[1:] == (...,)):
        return ParameterType("list", item=type_of(arguments[0] if arguments else Any, where))
    if (origin is dict and arguments[0] is str) or hint is dict:
        return ParameterType("mapping", item=type_of(arguments[1] if arguments else Any, where))
    raise DeclarationInvalid(where, f"the type {hint!r} has no image in every door")
