"""Checks the nodes of modelyard.yaml against the definition's structs; each error names line, field, rule and value."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml
from msgspec import inspect

from modelyard.errors import near_name
from modelyard.projects.credentials import without_credentials
from modelyard.projects.definition import TARGETS, ProjectDefinition
from modelyard.projects.document import entries, read_document, restored
from modelyard.projects.errors import ProjectInvalid
from modelyard.projects.variables import VARIABLE, check_variables

__all__ = ["ProjectFile", "check_target", "read_project_file"]

_INTERPOLATED = "environments."
_SCALARS = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:int": "the number",
    "tag:yaml.org,2002:float": "the number",
    "tag:yaml.org,2002:bool": "the truth value",
    "tag:yaml.org,2002:null": "nothing",
    "tag:yaml.org,2002:timestamp": "the date",
}


class ProjectFile(NamedTuple):
    """A modelyard.yaml that holds all rules, and where each field stands in it."""

    path: Path
    definition: ProjectDefinition
    lines: dict[str, int]


def read_project_file(path: Path) -> ProjectFile:
    """Read and check a modelyard.yaml.

    Raises
    ------
    ProjectInvalid
        The file cannot be read, is malformed or breaks a rule.
    """
    reader = _Reader(path)
    value = reader.read(read_document(path), inspect.type_info(ProjectDefinition), "")
    return ProjectFile(path, msgspec.convert(value, ProjectDefinition), reader.lines)


def check_target(file: Path, line: int, environment: str, deploy: dict[str, Any]) -> None:
    """Refuse an unknown deployment target.

    Raises
    ------
    ProjectInvalid
        The target is missing or not a known one.
    """
    field = f"environments.{environment}.deploy"
    if "target" not in deploy:
        mend = f"Add target: {' or '.join(TARGETS)}."
        raise ProjectInvalid(file, "target is missing", line=line, field=field, mend=mend)
    target = deploy["target"]
    if target not in TARGETS:
        rule = f"must be {' or '.join(TARGETS)}, got {json.dumps(target, ensure_ascii=False)}"
        mend = near_name(str(target), TARGETS)
        mend = mend if mend.startswith("Did") else ""
        raise ProjectInvalid(file, rule, line=line, field=f"{field}.target", mend=mend)


class _Reader:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[str, int] = {}
        self._open: list[yaml.Node] = []

    def read(self, node: yaml.Node, kind: inspect.Type, field: str) -> Any:
        self.lines.setdefault(field, node.start_mark.line + 1)
        kind, rule = _unwrapped(kind)
        if isinstance(kind, inspect.UnionType):
            if node.tag == "tag:yaml.org,2002:null":
                return None
            inner = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
            kind, rule = _unwrapped(inner)
        with self._inside(node, field):
            if isinstance(kind, inspect.StructType):
                return self._struct(self._mapping(node, rule, field), kind, field)
            if isinstance(kind, inspect.DictType):
                return self._dict(self._mapping(node, rule, field), kind, field)
            if isinstance(kind, inspect.VarTupleType):
                return self._list(node, kind, rule, field)
            if isinstance(kind, inspect.AnyType):
                return self._any(node, field)
            return self._scalar(node, kind, rule, field)

    @contextmanager
    def _inside(self, node: yaml.Node, field: str) -> Iterator[None]:
        if any(node is each for each in self._open):
            raise self._error(node, field, "the alias refers to the place that it stands in")
        self._open.append(node)
        yield
        self._open.pop()

    def _struct(self, node: yaml.MappingNode, kind: inspect.StructType, field: str) -> dict[str, Any]:
        fields = {each.name: each for each in kind.fields}
        found: dict[str, Any] = {}
        for name, line, value in entries(self.file, node, field):
            where = _joined(field, name)
            if name not in fields:
                rule = "there is no such field"
                raise ProjectInvalid(self.file, rule, line=line, field=where, mend=near_name(name, list(fields)))
            self.lines[where] = line
            found[name] = self.read(value, fields[name].type, where)
        for each in kind.fields:
            if each.required and each.name not in found:
                _, rule = _unwrapped(each.type)
                raise self._error(node, field, f"{each.name} is missing", f"Add {each.name}: {rule}.")
        return found

    def _dict(self, node: yaml.MappingNode, kind: inspect.DictType, field: str) -> dict[str, Any]:
        key_type, rule = _unwrapped(kind.key_type)
        pattern = key_type.pattern if isinstance(key_type, inspect.StrType) else None
        found: dict[str, Any] = {}
        for name, line, value in entries(self.file, node, field):
            where = _joined(field, name)
            if pattern and not re.fullmatch(pattern, name):
                raise ProjectInvalid(self.file, f"a name must be {rule}, got {_shown(name)}", line=line, field=where)
            self.lines[where] = line
            found[name] = self.read(value, kind.value_type, where)
        parts = field.split(".")
        if parts[0] == "environments" and parts[2:] == ["deploy"] and not VARIABLE.search(str(found.get("target", ""))):
            line = self.lines.get(f"{field}.target", self.lines[field])
            check_target(self.file, line, parts[1], found)
        return found

    def _list(self, node: yaml.Node, kind: inspect.VarTupleType, rule: str, field: str) -> list[Any]:
        if not isinstance(node, yaml.SequenceNode):
            mend = f"Write [{restored(node.value)}]." if isinstance(node, yaml.ScalarNode) and node.value else ""
            raise self._error(node, field, f"must be {rule or 'a list'}, got {self._found(node)}", mend)
        return [self.read(item, kind.item_type, f"{field}[{index}]") for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.Node, rule: str, field: str) -> yaml.MappingNode:
        if not isinstance(node, yaml.MappingNode):
            mend = ""
            if node.tag == "tag:yaml.org,2002:null":
                mend = "Write {} for an empty one, or remove the line."
            raise self._error(node, field, f"must be {rule or 'a mapping'}, got {self._found(node)}", mend)
        return node

    def _any(self, node: yaml.Node, field: str) -> Any:
        if isinstance(node, yaml.MappingNode):
            return {
                name: self._nested(value, _joined(field, name), line)
                for name, line, value in entries(self.file, node, field)
            }
        if isinstance(node, yaml.SequenceNode):
            return [
                self._nested(value, f"{field}[{index}]", value.start_mark.line + 1)
                for index, value in enumerate(node.value)
            ]
        return self._value(node, field)

    def _nested(self, node: yaml.Node, field: str, line: int) -> Any:
        self.lines[field] = line
        return self.read(node, inspect.AnyType(), field)

    def _scalar(self, node: yaml.Node, kind: inspect.Type, rule: str, field: str) -> Any:
        words, accepted = _accepted(kind)
        value = self._value(node, field) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, bool) or not isinstance(value, accepted):
            quotes = isinstance(kind, inspect.StrType) and isinstance(node, yaml.ScalarNode) and value is not None
            mend = f'Put it in quotes: "{restored(node.value)}".' if quotes else ""
            raise self._error(node, field, f"must be {rule or words}, got {self._found(node)}", mend)
        if self._interpolates(field) and isinstance(value, str) and VARIABLE.search(value):
            return value
        if not _holds(value, kind):
            raise self._error(node, field, f"must be {rule or words}, got {_shown(value)}")
        return value

    def _value(self, node: yaml.Node, field: str) -> Any:
        try:
            value = _Constructor().construct_document(node)
        except (ValueError, yaml.YAMLError) as error:
            raise self._error(node, field, f"cannot be read: {error}") from error
        if not isinstance(value, str | int | float | bool | None):
            raise self._error(
                node, field, f"must be text, got {self._found(node)}", f'Put it in quotes: "{restored(node.value)}".'
            )
        if not isinstance(value, str):
            return value
        text = restored(value)
        if self._interpolates(field):
            problem = check_variables(text)
            if problem:
                raise self._error(node, field, problem, "Write ${NAME} or ${NAME:-default}; $${ for a plain ${.")
        return text

    @staticmethod
    def _interpolates(field: str) -> bool:
        return field.startswith(_INTERPOLATED)

    def _found(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.MappingNode):
            return "a mapping"
        if isinstance(node, yaml.SequenceNode):
            return "a list"
        kind = _SCALARS.get(node.tag, f"a value tagged {node.tag}")
        if kind == "text":
            return _shown(restored(node.value))
        return kind if kind == "nothing" or node.tag not in _SCALARS else f"{kind} {node.value}"

    def _error(self, node: yaml.Node, field: str, rule: str, mend: str = "") -> ProjectInvalid:
        line = self.lines.get(field) or node.start_mark.line + 1
        return ProjectInvalid(self.file, rule, line=line, field=field, mend=mend)


class _Constructor(yaml.constructor.SafeConstructor):
    """Makes the value of a lone scalar."""


def _unwrapped(kind: inspect.Type) -> tuple[inspect.Type, str]:
    rule = ""
    while isinstance(kind, inspect.Metadata):
        rule = rule or (kind.extra or {}).get("rule", "")
        kind = kind.type
    return kind, rule


def _accepted(kind: inspect.Type) -> tuple[str, tuple[type, ...]]:
    if isinstance(kind, inspect.StrType):
        return "text", (str,)
    if isinstance(kind, inspect.IntType):
        return "a whole number", (int,)
    return "a number", (int, float)


def _holds(value: Any, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.StrType):
        long_enough = len(value) >= (kind.min_length or 0)
        return long_enough and (kind.pattern is None or re.fullmatch(kind.pattern, value) is not None)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return (kind.gt is None or value > kind.gt) and (kind.ge is None or value >= kind.ge)
    return True


def _joined(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _shown(value: Any) -> str:
    text = without_credentials(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 80 else f"{text[:77]}…"
