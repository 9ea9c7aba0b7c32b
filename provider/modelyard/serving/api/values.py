"""Reads parameters as what they are declared to be, and moves the fields of bodies to where they are wanted."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from modelyard.graphs import BodyField, Endpoint, Parameter
from modelyard.graphs.endpoints import path_parts, template_parts
from modelyard.serving.api.errors import FieldMissing, FieldWrong, ParameterRefused

__all__ = ["MISSING", "mapped", "parameters_of", "place_of"]

MISSING: Any = object()
"""What a body has where it has nothing."""
_INTEGER = re.compile(r"-?\d{1,4000}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_ANY = Parameter()
_JSON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def parameters_of(endpoint: Endpoint, texts: Mapping[str, str], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of all parameters, by name; those that a request leaves out without a default are not there.

    Raises
    ------
    ParameterRefused
        One is missing or wrong.

    Examples
    --------
    >>> endpoint = Endpoint("/flights/{id}", query={"day": Parameter("integer", default=1), "carrier": Parameter()})
    >>> parameters_of(endpoint, {"id": "a7"}, {"carrier": "UA"})
    {'id': 'a7', 'day': 1, 'carrier': 'UA'}
    """
    found: dict[str, Any] = {}
    for kind, name in template_parts(endpoint.path):
        if kind == "name":
            found[name] = _value(name, "path", endpoint.parameters.get(name, _ANY), texts[name])
    for name, parameter in endpoint.query.items():
        if name in query:
            found[name] = _value(name, "query", parameter, query[name])
        elif parameter.required:
            raise ParameterRefused(name, "query", "is missing")
        elif parameter.default is not None:
            found[name] = parameter.default
    return found


def _value(name: str, place: str, parameter: Parameter, text: str) -> Any:
    value: Any = text
    if parameter.type == "integer":
        value = int(text) if _INTEGER.fullmatch(text) else None
    elif parameter.type == "number":
        value = float(text) if _NUMBER.fullmatch(text) and isfinite(float(text)) else None
    elif parameter.type == "boolean":
        value = {"true": True, "false": False}.get(text)
    if value is None:
        told = "true or false" if parameter.type == "boolean" else f"of the type {parameter.type}"
        raise ParameterRefused(name, place, f"is {told}, not {text!r:.80}")
    if parameter.minimum is not None and value < parameter.minimum:
        raise ParameterRefused(name, place, f"is at least {parameter.minimum:g}, not {text:.80}")
    if parameter.maximum is not None and value > parameter.maximum:
        raise ParameterRefused(name, place, f"is at most {parameter.maximum:g}, not {text:.80}")
    if parameter.choices and value not in parameter.choices:
        raise ParameterRefused(name, place, f"is one of {', '.join(map(str, parameter.choices))}, not {text!r:.80}")
    return value


def place_of(body: Any, source: str) -> Any:
    """Return what is at a place in a body, or `MISSING`.

    Examples
    --------
    >>> place_of({"flights": [{"hour": 19}]}, "$.flights[0].hour"), place_of({}, "hour") is MISSING
    (19, True)
    """
    found: Any = body
    for part in path_parts(source):
        if isinstance(part, int):
            if not isinstance(found, list) or part >= len(found):
                return MISSING
            found = found[part]
        elif not isinstance(found, Mapping) or part not in found:
            return MISSING
        else:
            found = found[part]
    return found


def mapped(body: Any, mapping: Mapping[str, BodyField]) -> dict[str, Any]:
    """Return a body made of places in another one.

    Raises
    ------
    FieldMissing, FieldWrong
        A mandatory field has no source, or a field is of another type.

    Examples
    --------
    >>> mapping = {"time.hour": BodyField("$.flight.hour"), "carrier": BodyField("c", default="UA")}
    >>> mapped({"flight": {"hour": 19}}, mapping)
    {'time': {'hour': 19}, 'carrier': 'UA'}
    """
    made: dict[str, Any] = {}
    for name, field in mapping.items():
        value = place_of(body, field.source)
        if value is MISSING:
            if field.required:
                raise FieldMissing(name, field.source)
            if field.default is None:
                continue
            value = field.default
        elif field.type != "any" and not _is(value, field.type):
            raise FieldWrong(name, f"is of the type {field.type}, not {type(value).__name__}")
        inside, parts = made, [str(part) for part in path_parts(name)]
        for part in parts[:-1]:
            inside = inside.setdefault(part, {})
        inside[parts[-1]] = value
    return made


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _JSON[kind])
