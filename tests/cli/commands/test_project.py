import json
from pathlib import Path

import pytest
from command_lines import Command


def test_show_says_what_is_read(command: Command, shop: Path) -> None:
    shown = json.loads(command("project", "show", "--json").out)
    assert shown["name"] == "shop"
    assert shown["root"] == shown["source"] == str(shop)
    assert shown["functions"] == {"greet": "shop.work:greet"}
    assert shown["graphs"] == {"triple": "shop.serving:triple"}
    assert shown["workflows"] == {"main": "shop.flows:main"}
    assert shown["environments"] == ["dev", "prod"]
    assert shown["environment"] == {
        "name": "dev",
        "tracking": f"sqlite:///{shop}/.modelyard/mlflow.db",
        "artifacts": f"{shop}/.modelyard/artifacts",
        "state": f"{shop}/.modelyard",
        "deploy": {"target": "local"},
        "python": None,
        "secrets": ["TOKEN"],
    }
    assert len(shown["stamp"]["content"]) == 64
    assert {name: shown["stamp"][name] for name in ("commit", "dirty", "origin")} == {
        "commit": "",
        "dirty": False,
        "origin": "",
    }
    lines = command("project", "show").out.splitlines()
    assert lines[0] == "name          shop"
    assert "  dirty       no" in lines
    assert "environments  dev, prod" in lines
    assert "greet     shop.work:greet" in lines


def test_another_environment_and_another_folder(command: Command, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TRACKING", "https://mlflow.example.com")
    monkeypatch.chdir("/")
    shown = json.loads(command("project", "show", "--project", str(shop), "--environment", "prod", "--json").out)
    assert shown["environment"]["tracking"] == "https://mlflow.example.com"


def test_validate_tries_all_that_is_named(command: Command, shop: Path) -> None:
    ended = command("project", "validate")
    assert ended.code == 0
    assert [line.split("  ")[0] for line in ended.out.splitlines()[1:]] == [
        "environment in use",
        "function greet",
        "graph triple",
        "workflow main",
    ]
    assert json.loads(command("project", "validate", "--json").out)["checked"]["graph triple"] is None


def test_validate_names_what_cannot_be_used(command: Command, shop: Path) -> None:
    (shop / "shop" / "work.py").write_text("def gret(): ...\n")
    (shop / "shop" / "flows.py").write_text(
        "from modelyard.workflows import steps, workflow\n\n\n@workflow\ndef main():\n    steps.undeploy(endpont='x')\n"
    )
    ended = command("project", "validate")
    assert ended.code == 2
    assert ended.err == (
        f"error: {shop}: 2 of 4 things that the project names cannot be used: function greet, workflow main.\n"
    )
    found = dict(line.split("  ", 1) for line in ended.out.splitlines())
    assert "Did you mean gret?" in found["function greet"]
    assert "undeploy has no parameter 'endpont'. Did you mean endpoint?" in found["workflow main"]
    assert "shop/flows.py:6" in found["workflow main"]
    assert found["graph triple"].strip() == "good"
    error = json.loads(command("project", "validate", "--json").out)["error"]
    assert error["facts"]["checked"]["function greet"]["type"] == "FunctionNotFound"
    assert error["facts"]["checked"]["graph triple"] is None
    assert error["facts"]["checked"]["workflow main"]["type"] == "WorkflowInvalid"


@pytest.mark.parametrize(
    ("deploy", "said"),
    [
        ("{target: kubernetes}", "deploy.target: there is no deployment target 'kubernetes'. Known: local."),
        (
            "{target: local, wokers: 2}",
            "modelyard.yaml:2: deploy.wokers: the target local has no setting 'wokers'. Did you mean workers?",
        ),
    ],
)
def test_validate_knows_what_a_deployment_would_refuse(command: Command, shop: Path, deploy: str, said: str) -> None:
    (shop / "modelyard.yaml").write_text(f"name: shop\nenvironments: {{dev: {{deploy: {deploy}}}}}\n")
    ended = command("project", "validate")
    assert ended.code == 2
    assert ended.out.splitlines()[1].split("  ")[-1].strip().endswith(said)


def test_a_missing_or_malformed_file_is_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = command("project", "show")
    assert (ended.code, ended.out) == (3, "")
    assert "there is no modelyard.yaml" in ended.err
    (tmp_path / "modelyard.yaml").write_text("name: shop\nfunctoins: {}\n")
    ended = command("project", "validate")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "modelyard.yaml:2" in ended.err
    assert "Did you mean functions?" in ended.err


def test_the_schema_is_json_schema(command: Command) -> None:
    schema = json.loads(command("project", "schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "workflows" in schema["properties"]
