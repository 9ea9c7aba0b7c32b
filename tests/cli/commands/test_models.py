import json
from pathlib import Path
from typing import Any

import pytest
from command_lines import Command

from modelyard.projects import open_project
from modelyard.tracking import open_tracking


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two versions of a model."""
    folder = tmp_path_factory.mktemp("registered")
    (folder / "modelyard.yaml").write_text("name: registered\n")
    project = open_project(str(folder))
    tracking = open_tracking(project.environment(), project.name)
    # Written straight into the registry: to store a model takes seconds, and only the listing is looked at here.
    tracking.client.create_registered_model("delays", description="late or not")
    for auc in (0.7, 0.8):
        with tracking.start_run("train") as run:
            run.log_metrics({"auc": auc})
        tracking.client.create_model_version("delays", f"{folder}/model", run.run_id)
    tracking.registry.set_alias("delays", "champion", 1, expected=None)
    return folder


@pytest.fixture
def here(registered: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(registered)
    return registered


def test_list(command: Command, here: Path) -> None:
    (listed,) = json.loads(command("models", "list", "--json").out)
    assert (listed["name"], listed["versions"], listed["aliases"]) == ("delays", 2, {"champion": 1})
    head, row = command("models", "list").out.splitlines()
    assert head.split() == ["MODEL", "VERSIONS", "ALIASES", "CHANGED", "DESCRIPTION"]
    assert row.startswith("delays  2         champion=1  ")


def test_show_has_every_version(command: Command, here: Path) -> None:
    versions: list[dict[str, Any]] = json.loads(command("models", "show", "delays", "--json").out)
    assert {each["version"]: each["metrics"] for each in versions} == {1: {"auc": 0.7}, 2: {"auc": 0.8}}
    assert [each["aliases"] for each in versions if each["version"] == 1] == [["champion"]]
    assert len(command("models", "show", "delays").out.splitlines()) == 3


def test_a_reference_is_one_version(command: Command, here: Path) -> None:
    (version,) = json.loads(command("models", "show", "models:/delays@champion", "--json").out)
    assert version["version"] == 1
    lines = command("models", "show", "models:/delays/2").out.splitlines()
    assert ["auc", "0.8"] in [line.split() for line in lines]


def test_unknown_names_suggest_the_near_one(command: Command, here: Path) -> None:
    ended = command("models", "show", "dalays")
    assert (ended.code, "Did you mean delays?" in ended.err) == (3, True)
    ended = command("models", "show", "models:/delays@champoin")
    assert (ended.code, "Did you mean champion?" in ended.err) == (3, True)
