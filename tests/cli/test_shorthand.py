import json
from pathlib import Path

from command_lines import Command


def test_a_workflow_by_its_place_and_parameters_read_by_their_types(command: Command, shop: Path) -> None:
    ended = command("run", "main", "--param", 'names=["7"]', "--param", "times=3", "--json", "--key", "k")
    assert ended.code == 0, ended.err
    result = json.loads(ended.out)
    assert result["workflow_run"] == "k"
    assert result["steps"] == {"first": "succeeded", "second": "succeeded"}
    assert result["results"] == {
        "first": {"value": {"hello": ["7", "7", "7"]}},
        "second": {"value": {"hello": ["7"]}},
    }


def test_the_long_form_is_the_same(command: Command, shop: Path) -> None:
    ended = command("run", "--workflow", "main", "--parameters", '{"names": ["x"]}', "--json")
    assert json.loads(ended.out)["results"]["first"]["value"] == {"hello": ["x", "x"]}


def test_people_get_the_steps(command: Command, shop: Path) -> None:
    ended = command("run", "main", "--param", 'names=["x"]', "--key", "k")
    assert ended.out.splitlines() == [
        "STEP    STATE      RESULT",
        "first   succeeded  value=hello=x, x",
        "second  succeeded  value=hello=x",
    ]
    log = [line.partition(" ")[2] for line in ended.err.splitlines()]
    assert log[0] == "step 1/2 first: call"
    assert log[1].startswith("step 1/2 first: succeeded in 0.")


def test_a_failure_names_the_step_and_how_to_go_on(command: Command, shop: Path) -> None:
    (shop / "shop" / "work.py").write_text("def greet(**values):\n    raise ValueError('no voice')\n")
    ended = command("run", "main", "--param", 'names=["x"]', "--key", "k")
    assert (ended.code, ended.out) == (7, "")
    *_, first, second, hint, error = ended.err.splitlines()
    assert (first, second) == ("step first: failed", "step second: blocked")
    assert hint == "The same command with --key k continues where this run stopped."
    assert error.startswith("error: workflow main, step first, ")
    assert "no voice" in error


def test_a_parameter_that_does_not_fit(command: Command, shop: Path) -> None:
    ended = command("run", "main")
    assert (ended.code, ended.err.splitlines()[-1]) == (
        2,
        "error: names: workflow main needs names: Whom to greet.",
    )
    ended = command("run", "main", "--param", "names")
    assert (ended.code, ended.err) == (2, "error: --parameters: must be name=value or a JSON object, got names.\n")
    ended = command("run", "main", "--param", "name=x")
    assert "workflow main has no parameter 'name'. Did you mean names?" in ended.err


def test_a_function_by_its_place_and_parameters_read_as_json(command: Command, shop: Path) -> None:
    ended = command("call", "greet", "--param", "name=you", "--param", "times=2", "--json")
    assert json.loads(ended.out) == {"value": {"hello": ["you", "you"]}}


def test_help_shows_the_short_form(command: Command, shop: Path) -> None:
    out = command("run", "--help").out
    assert out.startswith("Usage: modelyard run [OPTIONS] [WORKFLOW]\n")
    assert "--parameters, --param NAME=VALUE" in out
