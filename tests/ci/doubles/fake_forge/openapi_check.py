"""Holds requests to GitHub's own description of its API."""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator

from fake_forge.answer import pattern_of

_FILE = Path(__file__).with_name("openapi") / "github.json"


class Operation(NamedTuple):
    """An operation of the description, and the values in its path."""

    id: str
    body: dict[str, Any] | None
    body_required: bool
    values: dict[str, str]


@cache
def _description() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_FILE.read_text())
    return found


def operation_of(method: str, path: str) -> Operation | None:
    """Return the operation that a request asks for; None if the description has none."""
    for template, methods in _description()["paths"].items():
        match = pattern_of(template).match(path)
        if match and method.lower() in methods:
            found = methods[method.lower()]
            request = found.get("requestBody", {})
            schema = request.get("content", {}).get("application/json", {}).get("schema")
            return Operation(found["operationId"], schema, request.get("required", False), match.groupdict())
    return None


def wrong_in(operation: Operation, body: Any) -> list[str]:
    """Return what is wrong with a body, by the description."""
    if operation.body is None or (body is None and not operation.body_required):
        return []
    schema = {**_draft(operation.body), "components": _draft(_description()["components"])}
    errors = Draft202012Validator(schema).iter_errors(body)
    return [f"{'/'.join(map(str, each.absolute_path))}: {each.message}" for each in errors]


def _draft(value: Any) -> Any:
    """Return OpenAPI 3.0's dialect as JSON Schema: `nullable` is a type there."""
    if isinstance(value, dict):
        plain = {name: _draft(each) for name, each in value.items() if name != "nullable"}
        if value.get("nullable") is True and isinstance(plain.get("type"), str):
            plain["type"] = [plain["type"], "null"]
        return plain
    return [_draft(each) for each in value] if isinstance(value, list) else value
