import json
from pathlib import Path

from command_lines import Command


def test_an_empty_journal(command: Command, project: Path) -> None:
    assert command("runs", "list").out == "Nothing ran yet.\n"
    assert command("runs", "list", "--json").out == "[]\n"


def test_list_is_newest_first_and_filtered(command: Command, project: Path) -> None:
    command("probe-echo", "--text", "a", "--key", "one")
    command("probe-fail", "--kind", "timeout", "--key", "two")
    command("probe-fail", "--kind", "timeout", "--key", "two")
    listed = json.loads(command("runs", "list", "--json").out)
    assert {each["key"]: (each["operation"], each["state"], len(each["attempts"])) for each in listed} == {
        "one": ("probe-echo", "succeeded", 1),
        "two": ("probe-fail", "failed", 2),
    }
    assert [each["key"] for each in json.loads(command("runs", "list", "--state", "failed", "--json").out)] == ["two"]
    operation = command("runs", "list", "--operation", "probe-echo", "--json").out
    assert [each["key"] for each in json.loads(operation)] == ["one"]
    assert len(json.loads(command("runs", "list", "--limit", "1", "--json").out)) == 1
    assert command("runs", "list", "--state", "lost").out == "Nothing ran yet.\n"


def test_show_says_what_was_asked_and_what_came(command: Command, project: Path) -> None:
    command("probe-fail", "--kind", "timeout", "--key", "two")
    shown = json.loads(command("runs", "show", "two", "--json").out)
    assert shown["parameters"] == {"kind": "timeout"}
    assert shown["error"]["message"] == "failed as timeout"
    assert shown["process"]["launcher"] == "inline"
    assert Path(shown["log_file"]).is_relative_to(project / ".modelyard" / "journal")
    lines = command("runs", "show", "two").out.splitlines()
    assert "operation     probe-fail" in lines
    assert "  message     failed as timeout" in lines


def test_show_has_the_log(command: Command, project: Path) -> None:
    (project / "go").touch()
    command("probe-wait", "--folder", str(project), "--key", "k")
    assert json.loads(command("runs", "show", "k", "--log", "--json").out)["log"].endswith(f"waiting for {project}\n")
    assert command("runs", "show", "k", "--log").out.splitlines()[-1].endswith(f"waiting for {project}")


def test_an_unknown_key_suggests_the_near_one(command: Command, project: Path) -> None:
    command("probe-echo", "--text", "a", "--key", "nightly-1")
    ended = command("runs", "show", "nightly-2")
    assert (ended.code, ended.err) == (
        3,
        "error: the journal knows no run of the key 'nightly-2'. Did you mean nightly-1?\n",
    )
    assert "in generation 7" in command("runs", "show", "nightly-1", "--generation", "7").err
    assert command("runs", "cancel", "x").code == 3
