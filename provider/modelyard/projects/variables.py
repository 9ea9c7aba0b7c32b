"""Fills ``${VARIABLE}`` in the values of an environment, when that environment is used."""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["VARIABLE", "UnsetVariable", "check_variables", "filled"]

VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^{}\n]*))?\}")
_ESCAPED, _KEPT = "$${", "\ue002"


class UnsetVariable(Exception):
    """Raised inside this package when a variable without a default is not set; carries the field below the value."""

    def __init__(self, name: str, field: str) -> None:
        super().__init__(name)
        self.name = name
        self.field = field


def check_variables(text: str) -> str:
    """Return what is wrong with the ``${…}`` in a text, or nothing.

    Examples
    --------
    >>> check_variables("${HOME}/${STAGE:-dev}"), check_variables("${1}")
    ('', 'must hold a variable between ${ and }, got "${1}"')
    """
    rest = VARIABLE.sub("", text.replace(_ESCAPED, _KEPT))
    return f'must hold a variable between ${{ and }}, got "{text}"' if "${" in rest else ""


def filled(value: Any, variables: Mapping[str, str], field: str) -> Any:
    """Return a JSON value with the variables in its texts filled in; a variable set to nothing takes the default.

    Examples
    --------
    >>> filled({"port": "${PORT:-8080}", "cost": "$${5}"}, {}, "deploy")
    {'port': '8080', 'cost': '${5}'}
    """
    if isinstance(value, dict):
        return {key: filled(item, variables, f"{field}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, variables, f"{field}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        given, default = variables.get(match["name"]), match["default"]
        if default is not None:
            return given or default
        if given is None:
            raise UnsetVariable(match["name"], field)
        return given

    return VARIABLE.sub(fill, value.replace(_ESCAPED, _KEPT)).replace(_KEPT, "${")
