"""Templates of addresses, headers and bodies: ``{user.id}`` is a field of the body; nothing is evaluated."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from modelyard.graphs.bodies import part_of
from modelyard.graphs.steps.checking import Checked
from modelyard.graphs.steps.errors import FieldUnfit

__all__ = ["fields_in", "filled", "text_filled"]

_FIELD = re.compile(r"\{([^{}]*)\}")


def fields_in(checked: Checked, place: str, template: str) -> list[str]:
    """Return the fields that a template names, checked.

    Examples
    --------
    >>> fields_in(Checked("HttpCall"), "path", "/users/{user.id}/orders/{order}")
    ['user.id', 'order']
    """
    found = _FIELD.findall(template)
    rest = _FIELD.sub("", template)
    if "{" in rest or "}" in rest or not all(re.fullmatch(r"[^\s.{}]+(\.[^\s.{}]+)*", field) for field in found):
        raise checked.refuse(place, "must have fields in braces, such as {user.id}", template)
    return found


def text_filled(template: str, body: Any, shown: Callable[[Any], str] = str) -> str:
    """Return the template with the fields' values, as `shown` writes them.

    Raises
    ------
    PathMissing
        The body has no such field.
    FieldUnfit
        Its value is none that can stand in a text: nothing, a mapping or a list.

    Examples
    --------
    >>> text_filled("/users/{user.id}", {"user": {"id": 7}})
    '/users/7'
    """
    return _FIELD.sub(lambda match: shown(_plain(match[1], part_of(body, match[1]))), template)


def _plain(field: str, value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, Mapping | list | tuple):
        raise FieldUnfit(field, "must be a text or a number to be put into a text", value)
    return value


def filled(template: Any, body: Any) -> Any:
    """Return a template of JSON values; a text that is one field alone becomes its value, whatever it is.

    Examples
    --------
    >>> filled({"rows": "{rows}", "by": "user {id}", "all": True}, {"rows": [1, 2], "id": 7})
    {'rows': [1, 2], 'by': 'user 7', 'all': True}
    """
    if isinstance(template, str):
        alone = _FIELD.fullmatch(template)
        return part_of(body, alone[1]) if alone else text_filled(template, body)
    if isinstance(template, Mapping):
        return {key: filled(value, body) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [filled(value, body) for value in template]
    return template
