"""Turns an operation's parameters into flags, and a flag's text into a parameter's value."""

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from modelyard.cli.errors import FlagInvalid
from modelyard.operations import Parameter, ParameterType

__all__ = ["flag_name", "option_of", "plain", "value_of"]

_METAVARS = {
    "string": "TEXT",
    "integer": "INTEGER",
    "number": "NUMBER",
    "boolean": "true|false",
    "any": "JSON",
    "dataset": "DATASET",
    "model": "MODEL",
    "list": "LIST",
    "mapping": "NAME=VALUE",
}


def flag_name(parameter: str) -> str:
    """Return the flag of a parameter.

    Examples
    --------
    >>> flag_name("feature_columns")
    '--feature-columns'
    """
    return f"--{parameter.replace('_', '-')}"


def option_of(parameter: Parameter, *names: str, switch: bool = False) -> click.Option:
    """Return the flag for a parameter, with help that names type, default and rule.

    Parameters
    ----------
    parameter
        What the flag stands for.
    *names
        Further spellings.
    switch
        Whether the flag alone, without a value, means true.
    """
    # click tells "no value" from "not given" by whether it was passed at all.
    alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if switch else {}
    return click.Option(
        [parameter.name, flag_name(parameter.name), *names],
        metavar=f"[{_metavar(parameter.type)}]" if switch else _metavar(parameter.type),
        multiple=parameter.type.kind in ("list", "mapping"),
        help=_help(parameter),
        **alone,
    )


def _metavar(type_: ParameterType) -> str:
    return "|".join(type_.choices) if type_.kind == "choice" else _METAVARS[type_.kind]


def _help(parameter: Parameter) -> str:
    notes = []
    if parameter.type.kind == "list":
        item = parameter.type.item
        rule = "" if item is None or item.kind in ("string", "any") else f" ({item.described()})"
        notes.append(f"repeat, or a JSON list{rule}")
    if parameter.type.kind == "mapping":
        notes.append("repeat, or a JSON object")
    if parameter.required:
        notes.append("required")
    elif parameter.default not in (None, "", [], {}):
        notes.append(f"default: {_shown(parameter.default)}")
    text = plain(parameter.doc)
    text = text if text.endswith((".", "!", "?")) else f"{text}."
    return f"{text}  [{'; '.join(notes)}]" if notes else text


def plain(text: str) -> str:
    """Return documentation without the marks that stand for a literal.

    Examples
    --------
    >>> plain("such as ``models:/delays/3``")
    'such as models:/delays/3'
    """
    return text.replace("``", "")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def value_of(parameter: Parameter, given: Any, *, read_values: bool = True) -> Any:
    """Return a parameter's value from a flag's text.

    Parameters
    ----------
    parameter
        What the flag stands for.
    given
        The text; a sequence of texts where the flag may be repeated.
    read_values
        Whether ``name=value`` reads a value of any type as JSON where it is JSON (``7`` is a number); otherwise it
        stays text.

    Raises
    ------
    FlagInvalid, ParameterInvalid
        The text cannot be read as the parameter's type.

    Examples
    --------
    >>> sizes = Parameter("sizes", ParameterType("list", item=ParameterType("integer")), "Sizes.")
    >>> value_of(sizes, ("1", "[2, 3]"))
    [1, 2, 3]
    >>> settings = Parameter("settings", ParameterType("mapping", item=ParameterType("any")), "Settings.")
    >>> value_of(settings, ("depth=7", "name=left=right"))
    {'depth': 7, 'name': 'left=right'}
    """
    flag = flag_name(parameter.name)
    if parameter.type.optional and tuple(given) == ("null",):
        return None
    if parameter.type.kind == "list":
        return _list(parameter, flag, given)
    if parameter.type.kind == "mapping":
        return _mapping(parameter, flag, given, read_values=read_values)
    if parameter.type.kind == "any":
        return _json_or_text(given)
    return parameter.type.coerce(given, parameter.name)


def _list(parameter: Parameter, flag: str, texts: Sequence[str]) -> list[Any]:
    item = parameter.type.item or ParameterType("any")
    values: list[Any] = []
    for text in texts:
        if text.lstrip().startswith("["):
            values += parameter.type.coerce(_decoded(flag, text, "a JSON list"), parameter.name)
        else:
            value = _json_or_text(text) if item.kind == "any" else text
            values.append(item.coerce(value, f"{parameter.name}[{len(values)}]"))
    return values


def _mapping(parameter: Parameter, flag: str, texts: Sequence[str], *, read_values: bool) -> dict[str, Any]:
    item = parameter.type.item or ParameterType("any")
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if text.lstrip().startswith("{"):
            values |= parameter.type.coerce(_decoded(flag, text, "a JSON object"), parameter.name)
        elif not equals or not name:
            raise FlagInvalid(flag, "name=value or a JSON object", text)
        else:
            read = _json_or_text(value) if item.kind == "any" and read_values else value
            values[name] = item.coerce(read, f"{parameter.name}.{name}")
    return values


def _decoded(flag: str, text: str, rule: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise FlagInvalid(flag, f"{rule} ({error})", text) from error


def _json_or_text(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
