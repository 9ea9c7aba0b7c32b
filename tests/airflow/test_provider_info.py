"""Airflow accepts what it is told about the provider, and finds all that is named there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import jsonschema

import airflow
from modelyard.airflow import get_provider_info
from modelyard.operations.catalogue import load_catalogue

SCHEMA = Path(airflow.__file__).with_name("provider_info.schema.json")


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _paths(each)
    elif isinstance(value, str) and value.startswith("modelyard."):
        yield value


def test_the_entry_point_leads_to_information_that_the_schema_accepts() -> None:
    (point,) = [
        each for each in entry_points(group="apache_airflow_provider") if each.dist and each.dist.name == "modelyard"
    ]
    information = point.load()()
    schema = json.loads(SCHEMA.read_text())

    jsonschema.validate(information, schema)
    assert set(information) <= set(schema["properties"])
    assert information["package-name"] == "modelyard"


def test_every_path_in_it_can_be_imported() -> None:
    paths = list(_paths(get_provider_info()))

    assert "modelyard.operators.airflow.operation" in paths
    for path in paths:
        module, _, name = path.rpartition(".")
        if not hasattr(import_module(module), name):
            import_module(path)


def test_every_operation_of_ours_has_its_operator_named() -> None:
    listed = get_provider_info()["operators"][0]["python-modules"]
    ours = {spec.name for spec in load_catalogue().values() if spec.implementation.startswith("modelyard.")}

    assert {path.rpartition(".")[2] for path in listed} - {"operation"} == ours


def test_the_information_is_light() -> None:
    code = (
        "import sys, modelyard.airflow; print(*sorted(m for m in sys.modules if m.startswith(('airflow', 'msgspec'))))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == ""


def test_airflow_lists_the_provider() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("airflow"), "providers", "get", "modelyard", "--full", "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    shown = json.loads(result.stdout[result.stdout.index("[{") :])

    assert shown[0]["package-name"] == "modelyard"
    assert "modelyard.operators.airflow.operation" in json.dumps(shown[0]["operators"])
