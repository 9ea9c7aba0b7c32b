import json
import os
import re
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from command_lines import Command

from modelyard.cli.tree import COMMANDS
from modelyard.errors import ErrorKind, outcome_of

HEAVY = (
    *("airflow", "duckdb", "kfp", "kubernetes", "matplotlib", "mlflow", "numpy", "pandas", "pyarrow"),
    *("scipy", "sklearn", "skops", "uvicorn", "rich", "yaml", "git"),
)


def seconds_of_help() -> float:
    """Return the processor time that help takes: on an idle machine also the time until it answers."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "modelyard.cli", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_answers_at_once() -> None:
    # a machine that is busy with other things takes longer now and then
    assert any(seconds_of_help() < 0.3 for _ in range(20))


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"], ["trian"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = f"""
import sys
from modelyard.cli.main import run_command_line
run_command_line({words!r})
print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines()[-1] == ""


def test_help_lists_operations_and_commands(command: Command) -> None:
    ended = command("--help")
    assert ended.code == 0
    for name in ("train", "predict", "probe-echo", *COMMANDS):
        assert f"\n  {name} " in ended.out
    assert re.search(r"^  probe-echo +Return what arrived\.", ended.out, re.MULTILINE)
    assert "End an endpoint, and leave nothing of it: no process, no file." in " ".join(ended.out.split())


def test_a_broken_operation_of_another_distribution_spoils_nothing(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[modelyard.operations]\nprobe-broken = no_such_module:work\n")
    monkeypatch.syspath_prepend(tmp_path)
    ended = command("--help")
    assert ended.code == 0
    assert "probe-broken" in ended.out
    assert "cannot be loaded: No module named 'no_such_module'" in " ".join(ended.out.split())


def test_the_version_is_the_distributions(command: Command) -> None:
    assert command("--version") == (0, f"modelyard {version('modelyard')}\n", "")


def test_help_of_an_operation_is_its_declaration(command: Command) -> None:
    ended = command("probe-echo", "--help")
    text = " ".join(ended.out.split())
    assert "Return what arrived. Nothing else happens." in text
    assert "--text TEXT Some text. [required]" in text
    assert "--count INTEGER How many. [default: 3]" in text
    assert "--keep true|false Whether to keep it. [default: true]" in text
    assert "--mode fast|exact How to go about it. [default: fast]" in text
    assert '--names LIST Some names. [repeat, or a JSON list; default: ["a"]]' in text
    assert "--weights NAME=VALUE Some weights. [repeat, or a JSON object]" in text
    assert "--dataset DATASET A dataset." in text
    assert "Every operation: --project PROJECT" in text
    assert "Result: received Every parameter. [a mapping]" in text
    assert "Examples: $ modelyard probe-echo --text hello" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["probe-ecko"], "there is no command 'probe-ecko'. Did you mean probe-echo? See modelyard --help."),
        (["operations", "lits"], "there is no command 'lits'. Did you mean list? See modelyard operations --help."),
        (
            ["probe-echo", "--txt", "a"],
            "No such option '--txt'. Did you mean '--text'? See modelyard probe-echo --help.",
        ),
        (["probe-echo", "--text"], "Option '--text' requires an argument. See modelyard probe-echo --help."),
        (["probe-echo"], "text: probe-echo needs text: Some text."),
        (["probe-echo", "--text", "a", "--count", "x"], 'count: must be a whole number, got "x".'),
        (["probe-echo", "extra"], "Got unexpected extra argument (extra) See modelyard probe-echo --help."),
        (
            ["probe-echo", "--text", "a", "--launcher", "moon"],
            "Invalid value for '--launcher': 'moon' is not one of 'inline', 'process'. "
            "See modelyard probe-echo --help.",
        ),
        (
            ["run", "main", "--workflow", "other"],
            "workflow is given twice: main and --workflow other. See modelyard run --help.",
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_code_2(command: Command, words: list[str], message: str) -> None:
    ended = command(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.replace("argument (extra).", "argument (extra)") == f"error: {message}\n"


def test_a_mistake_reaches_programs_as_well(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "out.json"
    ended = command("probe-echo", "--txt", "a", "--json", "--result-file", str(file))
    assert ended.code == 2
    error = json.loads(ended.out)["error"]
    assert (error["type"], error["kind"]) == ("UsageInvalid", "invalid")
    assert json.loads(file.read_text()) == {"state": "failed", "error": error}


def test_debug_shows_the_traceback(command: Command) -> None:
    ended = command("probe-echo", "--debug")
    assert "Traceback (most recent call last)" in ended.err
    assert ended.err.endswith("error: text: probe-echo needs text: Some text.\n")


def test_color_is_for_terminals_that_want_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert command("trian").err.startswith("\x1b[31m\x1b[1merror:\x1b[0m there is no command")
    monkeypatch.setenv("NO_COLOR", "1")
    assert command("trian").err.startswith("error: there is no command")


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "modelyard.cli", "operations", "list", "--json"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (process.returncode, process.stderr) == (141, "")


def test_every_kind_has_a_code_of_its_own() -> None:
    codes = [outcome_of(kind).exit_code for kind in ErrorKind]
    assert sorted(codes) == list(range(1, len(ErrorKind) + 1))
