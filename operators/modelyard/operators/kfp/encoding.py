"""Carries parameters through KFP unbent.

KFP's own values are those of a protobuf ``Struct``: every number is a float of 64 bits, so that inside a list or a
mapping 1.0 and 1 are one and the same, and a whole number from 2**53 on loses its last digits; nothing (None) has no
image inside a list, and a number that may be nothing breaks KFP's local runner when it is. What would be bent goes as
JSON text in one parameter, ``exact``; everything else as KFP's pages show it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from modelyard.operations import OperationSpec, Parameter, ParameterType

__all__ = [
    "EXACT_WHOLE",
    "Carried",
    "carried",
    "exact_text",
    "hole",
    "outgoing",
    "received",
    "reference_of",
    "standing",
    "whole",
]

EXACT_WHOLE = 2**53
"""Up to here KFP keeps every digit of a whole number."""

_HOLE = "$modelyard.value"
_WRAPPED = "$modelyard.exact"
_EMPTY: dict[str, Any] = {"integer": 0, "number": 0.0, "boolean": False, "list": [], "mapping": {}}


class Carried(NamedTuple):
    """How one parameter travels.

    Parameters
    ----------
    plain
        What KFP is given; None where it is given nothing.
    exact
        Whether the value itself goes into ``exact``.
    """

    plain: Any
    exact: bool


def carried(parameter: Parameter, value: Any) -> Carried:
    """Return how a constant travels.

    Parameters
    ----------
    parameter
        The operation's parameter.
    value
        A value that `ParameterType.coerce` has checked.

    Examples
    --------
    >>> depth = Parameter("depth", ParameterType("integer", optional=True), "How deep.")
    >>> carried(depth, 7), carried(depth, 2**60), carried(depth, None)
    (Carried(plain=7, exact=False), Carried(plain=0, exact=True), Carried(plain=0, exact=True))
    """
    type_ = parameter.type
    if type_.kind == "any":
        return Carried(json.dumps(value), exact=False)
    if value is None:
        # KFP's local runner calls int() on what is left out.
        if type_.kind == "integer":
            return Carried(0, exact=True)
        return Carried(None, exact=parameter.default is not None)
    if _is_bent(value, type_):
        return Carried(_EMPTY.get(type_.kind, ""), exact=True)
    return Carried(value, exact=False)


def standing(parameter: Parameter, value: Any) -> tuple[Any, bool]:
    """Return what stands for a value among a pipeline's parameters, and whether something else is meant by it.

    Examples
    --------
    >>> standing(Parameter("depth", ParameterType("integer"), "How deep."), 2**60)
    (0, True)
    """
    way = carried(parameter, value)
    if way.plain is None:
        return _EMPTY.get(parameter.type.kind, ""), True
    return way.plain, way.exact


def _is_bent(value: Any, type_: ParameterType | None) -> bool:
    """Whether a value would come out of KFP as another."""
    kind = type_.kind if type_ else "any"
    if value is None:
        return True
    if isinstance(value, bool | str):
        return False
    if isinstance(value, int):
        return abs(value) >= EXACT_WHOLE
    if isinstance(value, float):
        return kind != "number" and value.is_integer()
    item = type_.item if type_ else None
    inner: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
    return any(_is_bent(each, item) for each in inner)


def exact_text(values: Mapping[str, Any]) -> str:
    r"""Return what goes into ``exact``: JSON in which KFP finds none of its own marks.

    Examples
    --------
    >>> exact_text({"note": "{{$.inputs}}", "rows": None})
    '{"note": "{\\u007b$.inputs}}", "rows": null}'
    """
    return json.dumps(values).replace("{{", "{\\u007b") if values else ""


def hole(name: str) -> dict[str, str]:
    """Return what stands in ``exact`` for the value of another parameter, which only a run knows."""
    return {_HOLE: name}


def received(spec: OperationSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation's parameters from what a component has received.

    Parameters
    ----------
    spec
        The operation.
    given
        All arguments of the component's function.

    Raises
    ------
    ParameterInvalid, ParameterMissing
        What arrived does not fit.
    """
    exact = _filled(json.loads(given.get("exact") or "{}"), given)
    found: dict[str, Any] = {}
    for each in spec.parameters:
        artifact = given.get(f"{each.name}_from")
        if each.name in exact:
            found[each.name] = exact[each.name]
        elif artifact is not None:
            found[each.name] = reference_of(artifact)
        elif each.name in given:
            found[each.name] = _decoded(each.type, given[each.name])
    return spec.bind({name: value for name, value in found.items() if not _is_missing(spec, name, value)})


def _is_missing(spec: OperationSpec, name: str, value: Any) -> bool:
    """Whether neither a text nor an artifact was given where one of them must be."""
    return value == "" and any(
        each.name == name and each.required and each.type.kind in ("model", "dataset") for each in spec.parameters
    )


def reference_of(artifact: Any) -> str:
    """Return the URI that an artifact stands for: what the operation that made it calls it, else where KFP keeps it."""
    named = artifact.metadata.get("reference")
    return str(named or artifact.uri)


def _decoded(type_: ParameterType, value: Any) -> Any:
    if type_.kind == "any" and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return whole(_unwrapped(value), type_)


def _unwrapped(value: Any) -> Any:
    return json.loads(value[_WRAPPED]) if isinstance(value, Mapping) and set(value) == {_WRAPPED} else value


def _filled(value: Any, given: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_HOLE}:
            return _unwrapped(whole(given[value[_HOLE]]))
        return {key: _filled(each, given) for key, each in value.items()}
    return [_filled(each, given) for each in value] if isinstance(value, list) else value


def whole(value: Any, type_: ParameterType | None = None) -> Any:
    """Return a value with whole numbers as whole numbers, wherever no fraction is asked for.

    Examples
    --------
    >>> whole({"depth": 7.0, "share": 0.5, "sizes": [1.0]})
    {'depth': 7, 'share': 0.5, 'sizes': [1]}
    """
    item = type_.item if type_ else None
    if isinstance(value, float) and (type_ is None or type_.kind != "number"):
        return int(value) if value.is_integer() and abs(value) < EXACT_WHOLE else value
    if isinstance(value, Mapping):
        return {key: whole(each, item) for key, each in value.items()}
    return [whole(each, item) for each in value] if isinstance(value, list | tuple) else value


def outgoing(spec: OperationSpec, result: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a result as the component's outputs: each field in KFP's own type, and the whole as JSON text.

    A field that is nothing goes out empty; ``result`` alone tells it from one that is empty. A mapping that KFP would
    bend goes out as JSON text in a mapping, which our other components unpack.
    """
    fields = []
    for each in spec.results:
        value = result[each.name]
        if each.type.kind == "any":
            value = json.dumps(value)
        elif value is None:
            value = _EMPTY.get(each.type.kind, "")
        elif isinstance(value, Mapping) and _is_bent(value, each.type):
            value = {_WRAPPED: json.dumps(value)}
        fields.append(value)
    return (*fields, json.dumps(dict(result)))
