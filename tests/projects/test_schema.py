"""The editor's schema says what the parser holds."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from modelyard.projects import ProjectInvalid
from modelyard.projects.schema import project_schema, write_project_schema
from modelyard.projects.validation import read_project_file

PUBLISHED = Path(__file__).parents[2] / "docs/modelyard.schema.json"


def test_the_published_schema_is_the_present_one() -> None:
    mend = "run: modelyard project schema > docs/modelyard.schema.json"

    assert json.loads(PUBLISHED.read_text()) == project_schema(), mend


def test_it_is_written_whole(tmp_path: Path) -> None:
    write_project_schema(tmp_path / "schema.json")

    assert json.loads((tmp_path / "schema.json").read_text()) == project_schema()
    assert list(tmp_path.iterdir()) == [tmp_path / "schema.json"]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(project_schema())


def test_every_field_is_described() -> None:
    schema = project_schema()
    structs = [schema, *schema["$defs"].values()]

    assert [
        name for each in structs for name, field in each["properties"].items() if not field.get("description")
    ] == []


GOOD: list[dict[str, Any]] = [
    {"name": "x"},
    {"name": "x", "functions": {"f": {"handler": "a.b:c", "python": None, "resources": {"cpu": 0.5, "memory": "4Gi"}}}},
    {"name": "x", "environments": {"dev": {"state": "s3://b", "deploy": {"target": "kubernetes", "namespace": "ml"}}}},
    {"name": "x", "environments": {"dev": {"deploy": {"target": "${TARGET}"}}}},
]
BAD: list[dict[str, Any]] = [
    {},
    {"name": "X"},
    {"name": "x", "funtions": {}},
    {"name": "x", "functions": {"f": {}}},
    {"name": "x", "functions": {"f": {"handler": "a"}}},
    {"name": "x", "functions": {"F": {"handler": "a:b"}}},
    {"name": "x", "functions": {"f": {"handler": "a:b", "requirements": "x"}}},
    {"name": "x", "functions": {"f": {"handler": "a:b", "resources": {"cpu": 0}}}},
    {"name": "x", "functions": None},
    {"name": "x", "environments": {"dev": {"deploy": {"target": "moon"}}}},
    {"name": "x", "environments": {"dev": {"deploy": {}}}},
    {"name": "x", "environments": {"dev": {"secrets": ["a=b"]}}},
]


@pytest.mark.parametrize("value", GOOD + BAD, ids=str)
def test_schema_and_parser_agree(value: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "modelyard.yaml"
    file.write_text(yaml.safe_dump(value))
    errors = list(jsonschema.Draft202012Validator(project_schema()).iter_errors(value))

    if value in GOOD:
        assert errors == []
        read_project_file(file)
    else:
        assert errors
        with pytest.raises(ProjectInvalid):
            read_project_file(file)
