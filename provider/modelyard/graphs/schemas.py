"""The JSON Schema of a graph's specification, for editors and checkers: made from the structs that are read."""

import re
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from modelyard.graphs.spec import GraphSpec

__all__ = ["json_schema", "write_schema"]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a graph's specification, as docs/graph.schema.json has it.

    Examples
    --------
    >>> schema = json_schema()
    >>> schema["title"], schema["required"], schema["properties"]["name"]["description"]
    ('A serving graph', ['name', 'steps'], "The graph's name.")
    """
    definitions = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(GraphSpec)["$defs"]))
    for definition in definitions.values():
        _described(definition)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **definitions["GraphSpec"],
        "title": "A serving graph",
        "$defs": definitions,
    }


def write_schema(file: Path) -> None:
    """Write the schema to `file`, as it is checked in at docs/graph.schema.json."""
    text = msgspec.json.format(msgspec.json.encode(json_schema()), indent=2)
    file.write_bytes(text + b"\n")


def _described(definition: dict[str, Any]) -> None:
    """Turn the docstring of a struct into a description of it, and of each of its fields."""
    text = cleandoc(definition.get("description", ""))
    summary, _, fields = text.partition("\nParameters\n----------\n")
    definition["description"] = " ".join(summary.split())
    found = re.findall(r"^(\w[\w, ]*)\n((?:    .*\n?|\n)+)", fields, flags=re.MULTILINE)
    for names, said in found:
        for name in names.split(", "):
            if name in definition["properties"]:
                definition["properties"][name]["description"] = " ".join(said.split())
