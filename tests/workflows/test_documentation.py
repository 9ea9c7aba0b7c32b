"""What the pages about workflows show is true: every example runs, and the drawing is the workflow's.

A block that begins with a comment such as ``# late/flows.py`` is a file of the project in the current folder.
"""

import doctest
import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from modelyard.cli.main import run_command_line
from modelyard.projects import loading
from modelyard.projects.validation import read_project_file
from modelyard.workflows import Workflow, as_mermaid
from modelyard.workflows.engines.jobs.settings import OPTIONS

DOCS = Path(__file__).parents[2] / "docs"
MAIN, LIBRARY, CI = DOCS / "workflows.md", DOCS / "workflows/library.md", DOCS / "workflows/ci.md"
FILE = re.compile(r"# (late/\w+\.py)\n")


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """Work in a project with the files that the page shows."""
    (tmp_path / "late").mkdir()
    (tmp_path / "late/__init__.py").touch()
    (tmp_path / "modelyard.yaml").write_text("name: late\n" + blocks(MAIN, "yaml")[0])
    for text in blocks(MAIN, "python"):
        if name := FILE.match(text):
            (tmp_path / name[1]).write_text(text)
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    with chdir(tmp_path):
        yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in [each for each in sys.modules if each.partition(".")[0] == "late"]:
        del sys.modules[name]


@pytest.mark.parametrize("page", [MAIN, LIBRARY], ids=lambda page: page.name)
def test_every_example_runs(page: Path, project: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    found = 0
    for text in blocks(page, "python"):
        if text.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)
            assert doctest.DocTestRunner().run(test).failed == 0
        else:
            exec(compile(text, str(page), "exec"), names)
        found += 1
    assert found == {"workflows.md": 7, "library.md": 1}[page.name]
    defined = [each for each in names.values() if isinstance(each, Workflow)]
    assert len(defined) == {"workflows.md": 6, "library.md": 2}[page.name]


def test_the_drawing_is_the_workflows(project: Path) -> None:
    (drawing,) = blocks(MAIN, "mermaid")
    assert as_mermaid(importlib.import_module("late.flows").main) == drawing.rstrip("\n")


@pytest.mark.parametrize("engine", ["github", "gitlab"])
def test_the_files_of_ci_hosts_are_as_they_are_shown(
    engine: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CI.read_text()
    (asked,) = re.findall(
        rf"^\$ modelyard (workflows compile main --engine {engine} .*?)```", text, re.DOTALL | re.MULTILINE
    )
    shown = text.partition(asked)[2].partition("```yaml\n")[2].partition("```")[0]
    words = shlex.split(asked.replace("\\\n", ""))
    flights = DOCS.parent / "examples/flights"
    # who opens another project later would have the modules forgotten that the project's own tests have imported
    monkeypatch.setattr(loading._Active, "roots", loading._Active.roots)
    monkeypatch.setattr(sys, "path", [*sys.path])
    capfd.readouterr()
    assert run_command_line([*words[: words.index("--output")], "--project", str(flights)]) == 0
    made = capfd.readouterr().out
    for part in shown.split("# …\n"):
        assert part in made
    head = made.splitlines()
    assert head[0] == "# The workflow main of the project flights: a job for each step."
    assert head[1] == f"# Made by: modelyard {shlex.join(words[: words.index('--output')])}"


def test_the_options_of_ci_hosts_are_all_there() -> None:
    table = CI.read_text().partition("## Options")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z][a-z-]+)`", "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    assert named == {*OPTIONS, "actions", "schedule", "secrets", "variables"}


def test_the_yaml_of_the_library_is_a_project(tmp_path: Path) -> None:
    (text,) = blocks(LIBRARY, "yaml")
    (tmp_path / "modelyard.yaml").write_text(text)
    assert list(read_project_file(tmp_path / "modelyard.yaml").definition.workflows) == ["train", "tune", "score"]
