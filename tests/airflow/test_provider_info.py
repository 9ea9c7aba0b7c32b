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
import pytest

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


COMMANDS = ("get modelyard --full", "hooks", "links", "notifications", "triggers", "configs")
ASK = """
import contextlib, io, json
from airflow.cli.cli_parser import get_parser
parser = get_parser()
for command in {commands}:
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        arguments = parser.parse_args([*command.split(), "-o", "json"])
        arguments.func(arguments)
    print("ASKED", command, told.getvalue())
"""


@pytest.fixture(scope="module")
def told() -> dict[str, list[dict[str, Any]]]:
    """Return what Airflow's own commands say, each as JSON: one process for all of them."""
    commands = [*(f"providers {each}" for each in COMMANDS), "plugins"]
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(commands=commands)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split("ASKED ")[1:]
    assert len(answers) == len(commands)
    return {
        name: json.loads(answer.removeprefix(name)[answer.removeprefix(name).index("[{") :])
        for name, answer in zip(commands, answers, strict=True)
    }


def test_airflow_shows_all_that_is_ours(told: dict[str, list[dict[str, Any]]]) -> None:
    (provider,) = told["providers get modelyard --full"]
    assert provider["package-name"] == "modelyard"
    assert "modelyard.operators.airflow.operation" in json.dumps(provider["operators"])

    def ours(command: str, column: str) -> list[str]:
        return sorted(str(each[column]) for each in told[command] if str(each[column]).startswith("modelyard."))

    assert ours("providers hooks", "class") == ["modelyard.airflow.hook.ModelyardHook"]
    assert {
        "modelyard.airflow.links.EndpointLink",
        "modelyard.airflow.links.ModelLink",
        "modelyard.airflow.links.RunLink",
    } <= set(ours("providers links", "extra_link_class_name"))
    assert ours("providers notifications", "notification_class_name") == [
        "modelyard.airflow.notifications.ModelyardNotifier"
    ]
    assert {"modelyard.airflow.ready_trigger", "modelyard.airflow.work_trigger"} <= {
        module
        for each in told["providers triggers"]
        for module in str(each).split("'")
        if module.startswith("modelyard")
    }
    configured = dict(each["provider_config"] for each in told["providers configs"])["modelyard"]
    assert set(configured["modelyard"]["options"]) == {"connections", "projects"}
    (plugin,) = [each for each in told["plugins"] if each["name"] == "modelyard"]
    assert [each["name"] for each in plugin["external_views"]] == ["Models", "Model card"]


def test_the_configuration_is_that_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs/airflow/configuration.md").read_text()
    options = get_provider_info()["config"]["modelyard"]["options"]

    assert set(options) == {"connections", "projects"}
    assert [name for name in options if f"`{name}`" not in page] == []
