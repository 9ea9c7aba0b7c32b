"""Specifications as text: JSON, and YAML as its version 1.2 has it, in which ``no`` and ``12:30`` are text."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from modelyard.graphs.errors import GraphInvalid

__all__ = ["read_text", "write_text"]

_BOOL, _INT, _FLOAT, _NULL = (f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "null"))
_RESOLVED = (
    (_BOOL, r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (_INT, r"[-+]?[0-9]+", "-+0123456789"),
    (_FLOAT, r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    (_NULL, r"null|Null|NULL|~|", ["n", "N", "~", ""]),
)


class _Loader(yaml.SafeLoader):
    """Reads what JSON can say, and refuses a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if not isinstance(key, str) or keys.count(key) > 1:
                rule = "is there twice" if isinstance(key, str) else "is no text"
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} {rule}", node.start_mark)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads back as the same."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Loader.yaml_implicit_resolvers, _Dumper.yaml_implicit_resolvers = {}, {}
for _tag, _pattern, _first in _RESOLVED:
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list(_first))
    _Dumper.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor(_INT, lambda loader, node: int(node.value))


def _written(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(break_ in text for break_ in "\x85\u2028\u2029") else None  # they would be folded
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _written)


def read_text(text: str) -> Mapping[str, Any]:
    """Return a specification, as data, that is written as JSON or YAML.

    Raises
    ------
    GraphInvalid
        It is neither, or no mapping.

    Examples
    --------
    >>> read_text("{name: g, steps: [{name: no, kind: unbatch}]}")
    {'name': 'g', 'steps': [{'name': 'no', 'kind': 'unbatch'}]}
    """
    try:
        found = _json(text) if text.lstrip().startswith("{") else None
        if found is None:
            found = yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, ValueError) as error:
        raise GraphInvalid("", f"the specification is neither YAML nor JSON: {error}") from None
    if not isinstance(found, Mapping):
        raise GraphInvalid("", f"a specification is a mapping, not {type(found).__name__}")
    return found


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None  # YAML that begins like JSON


def write_text(data: Mapping[str, Any]) -> str:
    """Return data, as JSON has it, as YAML that `read_text` reads back exactly.

    Examples
    --------
    >>> print(write_text({"name": "g", "parameters": {"country": "NO", "share": 1e-7}}), end="")
    name: g
    parameters:
      country: NO
      share: 1.0e-07
    """
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
