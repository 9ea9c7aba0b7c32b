import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_lines import Command

from modelyard.errors import ErrorKind, outcome_of

DEFAULTS = {
    "text": "a",
    "count": 3,
    "share": 0.5,
    "keep": True,
    "mode": "fast",
    "dataset": None,
    "model": "models:/m@champion",
    "names": ["a"],
    "sizes": None,
    "weights": {},
    "settings": {},
    "nested": [],
    "anything": None,
}


def received(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)["received"]
    return found


@pytest.mark.parametrize(
    ("flags", "changed"),
    [
        ([], {}),
        (["--text", ""], {"text": ""}),
        (["--text", "grün ✓ 'quoted' \"twice\"\nline"], {"text": "grün ✓ 'quoted' \"twice\"\nline"}),
        (["--text", "--looks-like-a-flag"], {"text": "--looks-like-a-flag"}),
        (["--count", "0", "--share", "0", "--keep", "false"], {"count": 0, "share": 0.0, "keep": False}),
        (["--count=-7"], {"count": -7}),
        (["--count", "123456789012345678901234567890"], {"count": 123456789012345678901234567890}),
        (["--mode", "exact", "--dataset", "s3://b/x"], {"mode": "exact", "dataset": "s3://b/x"}),
        (["--names", "x", "--names", "ö y"], {"names": ["x", "ö y"]}),
        (["--names", "[]"], {"names": []}),
        (["--sizes", "null"], {"sizes": None}),
        (["--sizes", "1", "--sizes", "[2, 3]"], {"sizes": [1, 2, 3]}),
        (["--weights", "a=1", "--weights", '{"b": 0.5}'], {"weights": {"a": 1.0, "b": 0.5}}),
        (["--settings", "a=[1, null]", "--settings", "b=x"], {"settings": {"a": [1, None], "b": "x"}}),
        (["--nested", "[[1], [], [2, 3]]"], {"nested": [[1], [], [2, 3]]}),
        (["--anything", '{"deep": [{"er": 1e3}]}'], {"anything": {"deep": [{"er": 1000.0}]}}),
        (["--anything", "words"], {"anything": "words"}),
    ],
)
def test_the_operation_receives_what_was_typed(
    command: Command, project: Path, flags: list[str], changed: dict[str, Any]
) -> None:
    ended = command("probe-echo", *(["--text", "a"] if "--text" not in flags else []), *flags, "--json")
    assert ended.code == 0, ended.err
    assert received(ended.out) == {**DEFAULTS, **changed}


def test_a_file_gives_parameters_and_flags_go_before_it(command: Command, project: Path) -> None:
    (project / "p.yaml").write_text(
        "text: from the file\ncount: 123456789012345678901234567890\nnames: [f]\nsettings: {a: 1, b: 2}\nsizes: null\n"
    )
    ended = command(
        "probe-echo", "--parameters-file", "p.yaml", "--names", "x", "--settings", "b=3", "--share", "1", "--json"
    )
    assert received(ended.out) == {
        **DEFAULTS,
        "text": "from the file",
        "count": 123456789012345678901234567890,
        "names": ["x"],
        "settings": {"a": 1, "b": 3},
        "share": 1.0,
    }


def test_a_file_with_an_unknown_parameter_is_refused(command: Command, project: Path) -> None:
    (project / "p.json").write_text('{"txt": "a"}')
    ended = command("probe-echo", "--parameters-file", "p.json")
    assert (ended.code, ended.err) == (2, "error: txt: probe-echo has no parameter 'txt'. Did you mean text?\n")


def test_the_standard_input_gives_parameters(shell: Command, project: Path) -> None:
    ended = shell("probe-echo", "--parameters-file", "-", "--json", stdin='{"text": "piped"}')
    assert received(ended.out)["text"] == "piped"


def test_the_process_launcher_carries_the_same(shell: Command, project: Path) -> None:
    ended = shell(
        *("probe-echo", "--text", "grün", "--launcher", "process", "--json", "--key", "k1"),
        *("--count", "123456789012345678901234567890", "--nested", "[[1], []]", "--settings", "a=[null]"),
    )
    assert ended.code == 0, ended.err
    assert received(ended.out) == {
        **DEFAULTS,
        "text": "grün",
        "count": 123456789012345678901234567890,
        "nested": [[1], []],
        "settings": {"a": [None]},
    }
    context = json.loads(ended.out)["context"]
    assert (context["key"], context["generation"], context["attempt"]) == ("k1", 1, 1)
    # It ran from a snapshot of the project.
    assert context["project"] != str(project)


def test_python_means_process_and_must_exist(shell: Command, project: Path) -> None:
    ended = shell("probe-echo", "--text", "a", "--python", sys.executable, "--json")
    assert json.loads(ended.out)["context"]["project"] != str(project)
    ended = shell("probe-echo", "--text", "a", "--python", "/no/such/python")
    assert (ended.code, ended.out) == (2, "")
    assert "/no/such/python cannot be started" in ended.err
    ended = shell("probe-echo", "--text", "a", "--python", sys.executable, "--launcher", "inline")
    assert (ended.code, "launcher: must be process where an interpreter is given" in ended.err) == (2, True)


def test_people_get_names_and_values(command: Command, project: Path) -> None:
    ended = command("probe-echo", "--text", "a", "--names", "x", "--names", "y")
    lines = ended.out.splitlines()
    assert lines[0] == "received"
    assert "  text         a" in lines
    assert "  names        x, y" in lines
    assert "  dataset      -" in lines
    assert ended.err.startswith("probe-echo succeeded in 0.")


def test_quiet_leaves_the_result_alone(command: Command, project: Path) -> None:
    assert command("probe-echo", "--text", "a", "--quiet").err == ""


def test_the_result_file_holds_the_result(command: Command, project: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "out.json"
    ended = command("probe-echo", "--text", "a", "--json", "--result-file", str(file))
    assert json.loads(file.read_text()) == {"state": "succeeded", "result": json.loads(ended.out)}
    assert [each.name for each in file.parent.iterdir()] == ["out.json"]


def test_a_result_file_that_cannot_be_written_is_found_out_first(command: Command, project: Path) -> None:
    ended = command("probe-wait", "--folder", str(project), "--result-file", "modelyard.yaml/out.json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: --result-file: modelyard.yaml/out.json cannot be written: ")
    ended = command("probe-wait", "--folder", str(project), "--result-file", str(project))
    assert (ended.code, "it is a folder" in ended.err) == (2, True)
    assert not (project / "began").exists()


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_the_exit_code_is_the_kinds(command: Command, project: Path, kind: ErrorKind) -> None:
    ended = command("probe-fail", "--kind", kind, "--json", "--result-file", "out.json")
    assert ended.code == outcome_of(kind).exit_code
    error = json.loads(ended.out)["error"]
    assert error["kind"] == kind
    state = "cancelled" if kind is ErrorKind.CANCELLED else "failed"
    assert json.loads((project / "out.json").read_text()) == {"state": state, "error": error}
    assert ended.err == f"error: probe: failed as {kind}. Ask for something else.\n"


@pytest.mark.parametrize("launcher", ["inline", "process"])
def test_an_error_is_the_same_from_every_launcher(shell: Command, project: Path, launcher: str) -> None:
    ended = shell("probe-fail", "--kind", "gate_failed", "--launcher", launcher, "--json", "--quiet")
    assert ended.code == 6
    assert json.loads(ended.out)["error"] == {
        "type": "ProbeFailed",
        "kind": "gate_failed",
        "message": "failed as gate_failed",
        "where": "probe",
        "mend": "Ask for something else.",
        "facts": {"asked": "gate_failed"},
    }
    assert ended.err == "error: probe: failed as gate_failed. Ask for something else.\n"


def test_a_defect_is_one_line_and_debug_shows_where(command: Command, project: Path) -> None:
    ended = command("probe-fail", "--kind", "defect")
    assert ended.code == 1
    assert ended.err == "error: ZeroDivisionError: nothing into many. --debug shows where it happened.\n"
    ended = command("probe-fail", "--kind", "defect", "--debug")
    assert 'raise ZeroDivisionError("nothing into many")' in ended.err
    assert ended.err.splitlines()[-1].startswith("error: ZeroDivisionError")


@pytest.mark.parametrize("launcher", ["inline", "process"])
def test_work_that_ends_the_process_has_failed_whatever_it_says(shell: Command, project: Path, launcher: str) -> None:
    ended = shell("probe-fail", "--kind", "leave", "--launcher", launcher, "--json", "--quiet", "--result-file", "out")
    assert ended.code == 7
    assert ended.err == "error: the code ended its process: exit(0). Let it return or raise instead.\n"
    assert json.loads(ended.out)["error"]["kind"] == "user_code"
    assert json.loads((project / "out").read_text())["state"] == "failed"


def test_a_project_that_is_not_there(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = command("probe-echo", "--text", "a", "--result-file", "out.json")
    assert ended.code == 3
    assert ended.err.startswith("error: .: there is no modelyard.yaml")
    assert json.loads((tmp_path / "out.json").read_text())["error"]["type"] == "ProjectNotFound"


def test_a_result_that_was_shown_is_acknowledged(command: Command, project: Path) -> None:
    def generation() -> int:
        return json.loads(command("probe-echo", "--text", "a", "--key", "k", "--json").out)["context"]["generation"]

    assert (generation(), generation()) == (1, 2)
    shown = json.loads(command("runs", "show", "k", "--json").out)
    assert (shown["generation"], shown["state"], shown["acknowledged"]) == (2, "succeeded", True)


def test_a_failure_is_tried_again_in_the_same_generation(command: Command, project: Path) -> None:
    for _ in range(2):
        assert command("probe-fail", "--kind", "timeout", "--key", "k").code == 8
    shown = json.loads(command("runs", "show", "k", "--json").out)
    assert (shown["generation"], [each["state"] for each in shown["attempts"]]) == (1, ["failed", "failed"])


# --- work that takes a while ------------------------------------------------------------------------------------------

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(process_environment: dict[str, str]) -> Iterator[Start]:
    """Starts command lines that are ended after the test at the latest."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "modelyard.cli", *words],
            env=process_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


@pytest.mark.parametrize("launcher", ["inline", "process"])
def test_the_log_is_shown_once_on_the_standard_error(start: Start, project: Path, launcher: str) -> None:
    process = start("probe-wait", "--folder", str(project), "--launcher", launcher, "--json")
    wait_for(project / "began")
    (project / "go").touch()
    out, err = process.communicate(timeout=120)
    assert (process.returncode, json.loads(out)) == (0, {"done": True})
    assert err.count(f"waiting for {project}") == 1
    assert "probe-wait succeeded in " in err


@pytest.mark.parametrize("launcher", ["inline", "process"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_work_and_says_so(
    start: Start, command: Command, project: Path, launcher: str, number: signal.Signals, code: int
) -> None:
    process = start(
        *("probe-wait", "--folder", str(project), "--launcher", launcher, "--key", "k"),
        *("--json", "--result-file", "out.json"),
    )
    wait_for(project / "began")
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert err.splitlines()[-1] == f"error: stopped by {number.name}."
    assert "Traceback" not in err
    error = json.loads(out)["error"]
    assert (error["type"], error["kind"]) == ("Interrupted", "cancelled")
    assert json.loads((project / "out.json").read_text()) == {"state": "cancelled", "error": error}
    assert (project / "stopped").exists()
    assert json.loads(command("runs", "show", "k", "--json").out)["state"] == "cancelled"


def test_a_second_command_with_the_key_attaches(start: Start, project: Path) -> None:
    first = start("probe-wait", "--folder", str(project), "--key", "k", "--json", "--launcher", "process")
    wait_for(project / "began")
    (project / "began").unlink()
    second = start("probe-wait", "--folder", str(project), "--key", "k", "--json")
    assert second.stderr is not None
    # The log of the work that it is attached to.
    assert second.stderr.readline().endswith(f"waiting for {project}\n")
    (project / "go").touch()
    for process in (first, second):
        out, _ = process.communicate(timeout=120)
        assert (process.returncode, json.loads(out)) == (0, {"done": True})
    assert not (project / "began").exists()


def test_a_killed_command_leaves_the_worker_to_the_next(start: Start, project: Path) -> None:
    words = ("probe-wait", "--folder", str(project), "--key", "k", "--json", "--launcher", "process")
    first = start(*words)
    wait_for(project / "began")
    first.kill()
    first.wait()
    (project / "began").unlink()
    second = start(*words)
    (project / "go").touch()
    out, _ = second.communicate(timeout=120)
    assert (second.returncode, json.loads(out)) == (0, {"done": True})
    assert not (project / "began").exists()


def test_runs_cancel_ends_it_from_elsewhere(start: Start, command: Command, project: Path) -> None:
    process = start("probe-wait", "--folder", str(project), "--key", "k", "--launcher", "process")
    wait_for(project / "began")
    listed = json.loads(command("runs", "list", "--state", "running", "--json").out)
    assert [(each["key"], each["operation"]) for each in listed] == [("k", "probe-wait")]
    assert command("runs", "cancel", "k").out == "k is cancelled\n"
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err.splitlines()[-1]) == (11, "error: k: probe-wait was cancelled.")
    assert (project / "stopped").exists()
    assert command("runs", "cancel", "k").out == "k had cancelled before\n"
