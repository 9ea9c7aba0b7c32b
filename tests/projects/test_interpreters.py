"""The interpreter of a function: given, or made once for its requirements."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import ErrorKind
from modelyard.projects import (
    FunctionNotFound,
    InterpreterInvalid,
    RequirementsInvalid,
    RequirementsUnavailable,
    interpreters,
    open_project,
)
from modelyard.projects.folders import cache_folder
from modelyard.projects.interpreters import environment_for, inspect_interpreter

Write = Callable[..., Path]
PROCESSES = multiprocessing.get_context("fork")
TOOLS = pytest.mark.parametrize("tool", ["uv", pytest.param("venv", marks=pytest.mark.slow)])
HERE = inspect_interpreter(sys.executable, Path("/"), "here")


def _yaml(function: str = "", environment: str = "") -> dict[str, str]:
    text = f"name: x\nfunctions: {{fit: {{handler: 'a:f'{function}}}}}\nenvironments: {{dev: {{{environment}}}}}\n"
    return {"modelyard.yaml": text}


def test_without_a_word_it_is_the_running_one(write: Write) -> None:
    project = open_project(write(_yaml()))

    assert project.interpreter() == project.interpreter("fit") == project.interpreter("a:f") == sys.executable


def test_the_environment_may_name_one(write: Write) -> None:
    project = open_project(write(_yaml(environment=f"python: {sys.executable}")))

    assert project.interpreter("fit") == project.interpreter() == sys.executable


def test_the_function_comes_before_the_environment(write: Write) -> None:
    project = open_project(
        write(_yaml(f", python: {sys.executable}, requirements: [never]", "python: /nowhere/python"))
    )

    assert project.interpreter("fit") == sys.executable


def test_a_relative_path_lies_in_the_project(write: Write) -> None:
    root = write(_yaml(", python: bin/python"))
    (root / "bin").mkdir()
    (root / "bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (root / "bin/python").chmod(0o755)

    assert open_project(root).interpreter("fit") == sys.executable


def test_an_unknown_function_is_told(write: Write) -> None:
    with pytest.raises(FunctionNotFound, match="Did you mean fit"):
        open_project(write(_yaml())).interpreter("fitt")


def _fake(root: Path, script: str) -> None:
    (root / "python").write_text(f"#!/bin/sh\n{script}\n")
    (root / "python").chmod(0o755)


OLD = json.dumps(["/usr/bin/python3.9", "3.9.1", "CPython", "x86_64", True, [3, 9]])
BARE = json.dumps(["/usr/bin/python3", "3.12.1", "CPython", "x86_64", False, [3, 12]])
MEND = "Name a Python of version 3.11 or newer."


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo broken library >&2; exit 1", f"broken library. {MEND}"),
        ("exit 3", f"it ended with 3. {MEND}"),
        (f"echo '{OLD}'", f"it is Python 3.9.1, which is too old. {MEND}"),
        (f"echo '{BARE}'", "modelyard is not installed in it. Install modelyard there."),
    ],
)
def test_an_interpreter_that_cannot_be_used_is_told(script: str, message: str, write: Write) -> None:
    root = write(_yaml(", python: ./python"))
    _fake(root, script)

    with pytest.raises(InterpreterInvalid) as caught:
        open_project(root).interpreter("fit")

    assert str(caught.value) == f"python of a:f: the interpreter ./python cannot be used: {message}"


def test_an_interpreter_that_is_not_there_is_told(write: Write) -> None:
    project = open_project(write(_yaml(", python: /nowhere/python", "python: python2.4")))

    with pytest.raises(InterpreterInvalid) as caught:
        project.interpreter("fit")
    assert str(caught.value) == (
        f"python of a:f: the interpreter /nowhere/python cannot be used: No such file or directory. {MEND}"
    )
    with pytest.raises(InterpreterInvalid) as caught:
        project.interpreter()
    assert str(caught.value) == (
        "python of the environment: the interpreter python2.4 cannot be used: "
        f"there is no such command on the path. {MEND}"
    )


def _runs(python: Path, code: str = "import sys; print(sys.prefix)") -> str:
    ran = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


@TOOLS
def test_an_environment_is_made_once(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if tool == "venv":
        monkeypatch.setattr(interpreters, "_uv", lambda: "")
    python = environment_for([], HERE, own=[])
    record = next(cache_folder().glob("environments/*.json"))

    assert _runs(python) == str(python.parent.parent)
    assert json.loads(record.read_text())["folder"] == python.parent.parent.name
    monkeypatch.setattr(interpreters, "_made", lambda *_: pytest.fail("made again"))
    assert environment_for([], HERE, own=[]) == python


def test_it_is_made_again_when_it_is_gone() -> None:
    python = environment_for([], HERE, own=[])
    python.unlink()

    again = environment_for([], HERE, own=[])
    assert _runs(again) == str(again.parent.parent)
    assert not python.parent.exists()
    assert len(list(cache_folder().glob("environments/*-*"))) == 1


def test_the_key_holds_all_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    key = interpreters._key(["a", "b"], HERE)

    assert interpreters._key(["b", "a"], HERE) == key
    assert interpreters._key(["a"], HERE) != key
    assert interpreters._key(["a", "b"], HERE._replace(version="3.99.0")) != key
    monkeypatch.setattr(interpreters, "version", lambda _: "99.0")
    assert interpreters._key(["a", "b"], HERE) != key


def _ask(told: Any, go: Any) -> None:
    go.wait()
    told.put(str(environment_for([], HERE, own=[])))


def test_two_processes_at_once_make_one() -> None:
    told, go = PROCESSES.Queue(), PROCESSES.Event()
    workers = [PROCESSES.Process(target=_ask, args=(told, go)) for _ in range(2)]
    for worker in workers:
        worker.start()
    go.set()
    pythons = {told.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()

    assert len(pythons) == 1
    assert len(list(cache_folder().glob("environments/*-*"))) == 1


def _stall(started: Any) -> None:
    def stall(command: Sequence[str], installs: Sequence[str]) -> None:
        del installs
        Path(command[-1], "half").write_text("made")
        started.set()
        time.sleep(60)

    interpreters._run = stall
    environment_for([], HERE, own=[])


def test_what_a_killed_try_leaves_is_removed_and_never_used() -> None:
    started = PROCESSES.Event()
    worker = PROCESSES.Process(target=_stall, args=(started,))
    worker.start()
    assert started.wait(60)
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join()
    assert len(list(cache_folder().glob("environments/*-*/half"))) == 1

    python = environment_for([], HERE, own=[])

    assert _runs(python) == str(python.parent.parent)
    assert list(cache_folder().glob("environments/*-*")) == [python.parent.parent]


def test_a_complaint_is_one_line() -> None:
    uv = "  × No solution found when resolving dependencies:\n  ╰─▶ Because x was not found, they are unsatisfiable.\n"
    pip = "Collecting x\nERROR: Could not find a version\nERROR: No matching distribution found for x\n"

    assert interpreters._install_reason(uv) == (
        "No solution found when resolving dependencies: Because x was not found, they are unsatisfiable"
    )
    assert interpreters._install_reason(pip) == "No matching distribution found for x"
    assert interpreters._install_reason("") == "the installer said nothing"
    assert interpreters._install_reason("ERROR: see https://me:pw@index.example.com") == "see https://index.example.com"


@TOOLS
def test_requirements_that_make_no_sense_leave_nothing(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if tool == "venv":
        monkeypatch.setattr(interpreters, "_uv", lambda: "")
    with pytest.raises(RequirementsInvalid) as caught:
        environment_for(["x ==== 1"], HERE, own=[])

    assert str(caught.value).startswith("the requirements x ==== 1 cannot be installed: ")
    assert str(caught.value).endswith("Correct the function's requirements in modelyard.yaml.")
    assert type(caught.value) is RequirementsInvalid
    assert caught.value.error_kind is ErrorKind.INVALID
    assert list(cache_folder().glob("environments/*-*")) == []


@TOOLS
def test_an_index_that_does_not_answer_may_be_tried_again(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if tool == "venv":
        monkeypatch.setattr(interpreters, "_uv", lambda: "")
        monkeypatch.setenv("PIP_RETRIES", "1")
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "http://me:s3cret@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    with pytest.raises(RequirementsUnavailable) as caught:
        environment_for(["a-package-that-is-nowhere"], HERE, own=[])

    assert "s3cret" not in str(caught.value)
    assert str(caught.value).endswith("Check the network and the package index, then try again.")
    assert caught.value.outcome.retry


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["uv", "venv"])
def test_requirements_and_modelyard_itself_are_installed(
    tool: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tool == "venv":
        monkeypatch.setattr(interpreters, "_uv", lambda: "")
    project = open_project(write(_yaml(", requirements: [iniconfig>=2]")))
    python = Path(project.interpreter("fit", extras=()))

    shown = _runs(
        python, "import iniconfig, modelyard.projects as p; print(p.__file__, 'mlflow' in __import__('sys').modules)"
    )
    assert shown.endswith("provider/modelyard/projects/__init__.py False")
    assert (
        _runs(python, "import importlib.util as u; print(u.find_spec('pytest'), u.find_spec('sklearn'))") == "None None"
    )
    assert Path(project.interpreter("fit", extras=())) == python
