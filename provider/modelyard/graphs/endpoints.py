"""What a graph declares about its door, as data: endpoints with parameters and mapped bodies, and that it chats."""

import re
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, Literal

import msgspec

from modelyard.errors import near_name
from modelyard.graphs.errors import GraphInvalid

__all__ = ["BodyField", "Chat", "Endpoint", "Parameter", "add_endpoint", "path_parts", "template_parts"]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "WEBSOCKET")
_RESERVED = ("/v2", "/docs", "/openapi.json", "/metrics", "/v1/chat/completions", "/v1/models")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PART = re.compile(r"\.?([^.\[\]$'\s][^.\[\]$']*)|\[(\d+)\]|\['([^']+)'\]")
_TYPES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A parameter of a path or a query.

    Parameters
    ----------
    type
        ``string``, ``integer``, ``number`` or ``boolean``.
    required
        Whether a request without it is refused; one in a path always is there.
    default
        What it is where a request does not say.
    minimum, maximum
        Bounds of a number, both included.
    choices
        The values that it can have; none means any.
    description
        For the documents.
    """

    type: Literal["string", "integer", "number", "boolean"] = "string"
    required: bool = False
    default: str | int | float | bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str | int | float | bool, ...] = ()
    description: str = ""


class BodyField(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where a field of a mapped body comes from.

    Parameters
    ----------
    source
        Its place in what arrived: ``$.flight.hours[0]``, or without the ``$.``.
    required
        Whether a body without it is refused.
    default
        What it is where the body has nothing at its place; without a default it is left out.
    type
        What it must be: ``any``, ``string``, ``integer``, ``number``, ``boolean``, ``object`` or ``array``.
    description
        For the documents.
    """

    source: str
    required: bool = False
    default: Any = None
    type: Literal["any", "string", "integer", "number", "boolean", "object", "array"] = "any"
    description: str = ""


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A path and a method at which a graph answers, or refuses to.

    Parameters
    ----------
    path
        ``/flights/{id}``; a last part ``*`` is anything below.
    method
        ``GET``, ``POST``, ``PUT``, ``PATCH``, ``DELETE``, or ``WEBSOCKET``: each message of such a connection is an
        event; ``*`` forbids them all.
    action
        ``allow``, or ``forbid``: such a request gets 403.
    description
        For the documents.
    parameters
        What the names in the path are; text, where nothing is said.
    query
        The query's parameters.
    body
        Field of the event's body, dotted → its place in the request's body; without any the body stays as it is.
    reply
        Field of the response, dotted → its place in the graph's reply; without any the reply stays as it is.
    """

    path: str
    method: str = "POST"
    action: Literal["allow", "forbid"] = "allow"
    description: str = ""
    parameters: dict[str, Parameter] = {}
    query: dict[str, Parameter] = {}
    body: dict[str, BodyField] = {}
    reply: dict[str, BodyField] = {}


class Chat(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """That a graph answers chat completions.

    Parameters
    ----------
    model
        What clients call it.
    owner
        Who owns it, as the list of models has it.
    """

    model: str
    owner: str = "modelyard"


def path_parts(path: str) -> tuple[str | int, ...]:
    """Return the keys and indexes on the way to a place in a body; the body itself is ``$``.

    Raises
    ------
    ValueError
        It is no such path.

    Examples
    --------
    >>> path_parts("$.flights[0].carrier"), path_parts("hour"), path_parts("$")
    (('flights', 0, 'carrier'), ('hour',), ())
    """
    rest, parts = path.removeprefix("$"), list[str | int]()
    while rest:
        found = _PART.match(rest)
        if found is None or (not parts and not path.startswith("$") and rest.startswith(".")):
            raise ValueError(f"{path!r} is no place in a body: write $.a.b, $.a[0] or $['a b']")
        key, index, quoted = found.groups()
        parts.append(int(index) if index else key or quoted)
        rest = rest[found.end() :]
    if not parts and path != "$":
        raise ValueError(f"{path!r} is no place in a body: write $.a.b, $.a[0] or $['a b']")
    return tuple(parts)


def template_parts(path: str) -> tuple[tuple[str, str], ...]:
    """Return the parts of a path's template, each ``literal``, ``name`` or ``rest``, with its text.

    Raises
    ------
    ValueError
        It is no template.

    Examples
    --------
    >>> template_parts("/flights/{id}/late")
    (('literal', 'flights'), ('name', 'id'), ('literal', 'late'))
    """
    if not path.startswith("/") or (path != "/" and path.endswith("/")) or "//" in path:
        raise ValueError(f"a path begins with a slash, does not end with one and has no two in a row, not {path!r}")
    if any(letter in path for letter in "?#%") or not path.isprintable() or " " in path:
        raise ValueError(f"a path is written as a client reads it, without query, blanks or escapes, not {path!r}")
    texts, parts = path.split("/")[1:] if path != "/" else [], list[tuple[str, str]]()
    for index, text in enumerate(texts):
        if text == "*" and index == len(texts) - 1:
            parts.append(("rest", text))
        elif text.startswith("{") and text.endswith("}") and _NAME.fullmatch(text[1:-1]):
            parts.append(("name", text[1:-1]))
        elif any(letter in text for letter in "{}*") or text in (".", ".."):
            raise ValueError(f"a part of a path is text, {{name}}, or * as the last one, not {text!r}")
        else:
            parts.append(("literal", text))
    names = [text for kind, text in parts if kind == "name"]
    if len(names) != len(set(names)):
        raise ValueError(f"a name is in a path once, not as in {path!r}")
    return tuple(parts)


def add_endpoint(graph: str, known: Iterable[Endpoint], path: str, **given: Any) -> Endpoint:
    """Return the endpoint that is declared, once it is known to fit those that are there.

    Parameters
    ----------
    graph
        The graph's name.
    known
        Its other endpoints.
    path, **given
        As for `Endpoint`; types as text or Python's own, body fields as their place, and ``mandatory`` fields.

    Raises
    ------
    GraphInvalid
        Something about it is wrong.
    """
    mandatory = tuple(given.pop("mandatory", ()))
    try:
        for field in ("parameters", "query"):
            given[field] = {name: _parameter(each) for name, each in (given.get(field) or {}).items()}
        for field in ("body", "reply"):
            given[field] = {name: _body_field(each) for name, each in (given.get(field) or {}).items()}
        given["body"] |= {name: _required(name, given["body"]) for name in mandatory}
        endpoint = msgspec.convert({"path": path, **given, "method": str(given["method"]).upper()}, Endpoint)
        _check(endpoint)
        _check_place(endpoint, known)
    except (ValueError, TypeError, msgspec.ValidationError) as error:
        raise GraphInvalid(graph, f"the endpoint {given.get('method', '')} {path}: {error}".rstrip()) from None
    return endpoint


def _parameter(given: Any) -> Parameter:
    if isinstance(given, Parameter):
        return given
    if isinstance(given, Mapping):
        return msgspec.convert(dict(given), Parameter)
    kind: Any = _TYPES.get(given, given) if isinstance(given, type | str) else given
    return msgspec.convert({"type": kind}, Parameter)


def _required(name: str, body: Mapping[str, BodyField]) -> BodyField:
    if name not in body:
        raise ValueError(f"the mandatory field {name!r} is not in body. {near_name(name, list(body))}")
    return msgspec.structs.replace(body[name], required=True)


def _body_field(given: Any) -> BodyField:
    if isinstance(given, BodyField):
        return given
    return msgspec.convert(dict(given) if isinstance(given, Mapping) else {"source": given}, BodyField)


def _check(endpoint: Endpoint) -> None:
    names = [text for kind, text in template_parts(endpoint.path) if kind == "name"]
    allowed = (*METHODS, "*") if endpoint.action == "forbid" else METHODS
    if endpoint.method not in allowed:
        raise ValueError(f"the method is one of {', '.join(allowed)}, not {endpoint.method!r}")
    for name in endpoint.parameters:
        if name not in names:
            raise ValueError(f"the path has no {{{name}}}")
    for name, parameter in (*endpoint.parameters.items(), *endpoint.query.items()):
        _check_parameter(name, parameter, in_path=name in endpoint.parameters)
    fields = [path_parts(name)[0] for name in endpoint.body if path_parts(name)]
    for name in endpoint.query:
        if name in names:
            raise ValueError(f"{name!r} is in the path and in the query: give one of them another name")
    for name in (*names, *endpoint.query):
        if name in fields:
            raise ValueError(f"{name!r} is a parameter and a field of the body: give one of them another name")
    for mapping in (endpoint.body, endpoint.reply):
        _check_mapping(mapping)


def _check_parameter(name: str, parameter: Parameter, *, in_path: bool) -> None:
    kinds, default = _PYTHON[parameter.type], parameter.default
    values = [*parameter.choices, *([] if default is None else [default])]
    for value in values:
        if not isinstance(value, kinds) or (isinstance(value, bool) and parameter.type != "boolean"):
            raise ValueError(f"{name} is of the type {parameter.type}, and {value!r} is not")
    if in_path and default is not None:
        raise ValueError(f"{name} is in the path, and needs no default")
    if parameter.required and default is not None:
        raise ValueError(f"{name} is required, and needs no default")
    for bound in (parameter.minimum, parameter.maximum):
        if bound is not None and (parameter.type not in ("integer", "number") or not isfinite(bound)):
            raise ValueError(f"minimum and maximum of {name} are for numbers, not {parameter.type}")


def _check_mapping(mapping: Mapping[str, BodyField]) -> None:
    places: dict[tuple[str | int, ...], str] = {}
    for name, field in mapping.items():
        parts = path_parts(name)
        if not parts or any(isinstance(part, int) for part in parts):
            raise ValueError(f"{name!r} is no field to be filled: write a.b")
        path_parts(field.source)
        for other, told in places.items():
            if other == parts[: len(other)] or parts == other[: len(parts)]:
                raise ValueError(f"{name!r} and {told!r} fill the same place")
        places[parts] = name
        if field.default is not None and field.type != "any" and not isinstance(field.default, _PYTHON[field.type]):
            raise ValueError(f"{name} is of the type {field.type}, and {field.default!r} is not")


def _check_place(endpoint: Endpoint, known: Iterable[Endpoint]) -> None:
    path = endpoint.path
    if any(path == each or path.startswith(f"{each}/") for each in _RESERVED) or (path, endpoint.method) == (
        "/",
        "GET",
    ):
        raise ValueError("the server answers there itself: choose another path")
    shape = _shape(path)
    for other in known:
        if _shape(other.path) == shape and (other.method == endpoint.method or "*" in (other.method, endpoint.method)):
            raise ValueError(f"{other.method} {other.path} is declared already")


def _shape(path: str) -> tuple[tuple[str, str], ...]:
    return tuple((kind, text if kind == "literal" else "") for kind, text in template_parts(path))
