"""The JSON Schema of modelyard.yaml, for editors: made from the structs that the parser reads."""

import json
from pathlib import Path
from typing import Any

import msgspec

from modelyard.projects.definition import ProjectDefinition

__all__ = ["project_schema", "write_project_schema"]


def project_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of modelyard.yaml.

    Examples
    --------
    >>> project_schema()["required"]
    ['name']
    """
    schema = json.loads(msgspec.json.encode(msgspec.json.schema(ProjectDefinition)))
    definitions = schema["$defs"]
    project = definitions.pop("ProjectDefinition")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **project,
        "title": "modelyard.yaml",
        "$defs": definitions,
    }


def write_project_schema(file: Path) -> None:
    """Write the schema to `file`, as it is checked in at docs/modelyard.schema.json."""
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(project_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(file)
