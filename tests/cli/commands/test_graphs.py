import json
from pathlib import Path

from command_lines import Command


def test_list_and_show(command: Command, shop: Path) -> None:
    assert json.loads(command("graphs", "list", "--json").out) == [
        {"name": "triple", "handler": "shop.serving:triple", "steps": ["multiply"], "models": {}}
    ]
    assert command("graphs", "list").out.splitlines()[1] == "triple  multiply  -       shop.serving:triple"
    assert "1  multiply  call  shop.serving:multiply  factor=3   yes" in command("graphs", "show", "triple").out
    assert json.loads(command("graphs", "show", "triple", "--json").out)["steps"][0]["name"] == "multiply"


def test_test_sends_a_body_through(command: Command, shop: Path) -> None:
    assert json.loads(command("graphs", "test", "triple", "--body", '{"x": 14}').out) == {"y": 42}
    (shop / "body.json").write_text('{"x": 2}')
    assert json.loads(command("graphs", "test", "triple", "--body", "@body.json").out) == {"y": 6}


def test_the_standard_input_is_a_body(shell: Command, shop: Path) -> None:
    assert json.loads(shell("graphs", "test", "triple", "--body", "@-", stdin='{"x": 1}').out) == {"y": 3}


def test_what_goes_wrong_is_one_line(command: Command, shop: Path) -> None:
    ended = command("graphs", "test", "triple", "--body", '{"z": 1}')
    assert ended.code == 7
    assert ended.err.count("\n") == 1
    assert "graph triple, step multiply" in ended.err
    assert "KeyError: 'x'" in ended.err
    ended = command("graphs", "test", "triple", "--body", "{x")
    assert (ended.code, ended.err.startswith("error: --body: must be JSON")) == (2, True)
    ended = command("graphs", "show", "tripel")
    assert (ended.code, "Did you mean triple?" in ended.err) == (3, True)
