"""What the jobs of CI hosts call."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_lines import Command

from modelyard.projects import open_project
from modelyard.workflows.engines.jobs.running import definition_digest

NAMES = ("--param", 'names=["Ada", "Bo"]')


@pytest.fixture(autouse=True)
def no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs the tests may be a CI job itself."""
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "GITHUB_TOKEN", "GITLAB_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def on_github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder with the files through which a job of GitHub hands things over."""
    folder = tmp_path / "runner"
    folder.mkdir()
    (folder / "event.json").write_text("{}")
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "ada/shop",
        "GITHUB_EVENT_NAME": "workflow_dispatch",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_SHA": "f" * 40,
        "GITHUB_OUTPUT": str(folder / "outputs"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return folder


def test_parts_of_a_run_are_commands_of_their_own(
    command: Command, shop: Path, on_github: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_WORKFLOW_RUN", "github-7")
    monkeypatch.setenv("MODELYARD_PARAMETERS", '{"names": "[\\"Ada\\", \\"Bo\\"]", "times": "3"}')
    ended = command("workflows", "step", "main", "first", "--json")
    assert (ended.code, json.loads(ended.out)) == (0, {"workflow": "main", "part": "first", "state": "succeeded"})
    assert "\nsucceeded\n" in (on_github / "outputs").read_text()
    assert command("workflows", "step", "main", "second", "--param", "times=2").out == "second: succeeded\n"
    ended = command("workflows", "finish", "main", "--json")
    outcome = json.loads(ended.out)
    assert (ended.code, outcome["states"]) == (0, {"first": "succeeded", "second": "succeeded"})
    assert outcome["results"]["first"]["value"] == {"hello": ["Ada", "Ada", "Ada"]}
    kept = json.loads((shop / ".modelyard/workflow/step-workflow-finish/outcome.json").read_text())
    assert kept == {name: value for name, value in outcome.items() if value}
    assert (on_github / "summary.md").read_text() == (
        "### main\n\n| step | |\n|---|---|\n| <code>first</code> | succeeded |\n| <code>second</code> | succeeded |\n"
    )


def test_a_failure_has_its_exit_code_and_a_remark_on_its_line(command: Command, shop: Path, on_github: Path) -> None:
    work = shop / "shop/work.py"
    work.write_text(work.read_text().replace('return {"hello": [name] * times}', 'raise ValueError("no | hello")'))
    ended = command("workflows", "step", "main", "first", *NAMES)
    assert ended.code == 7
    assert "\n::error file=shop/work.py,line=5,title=main failed::" in f"\n{ended.err}"
    ended = command("workflows", "finish", "main", *NAMES)
    assert ended.code == 7
    assert "error: workflow main, step first" in ended.err
    assert ended.out.splitlines()[1:] == ["first   failed", "second  blocked"]
    assert "| <code>second</code> | blocked |" in (on_github / "summary.md").read_text()


def test_jobs_refuse_another_workflow_than_their_own(command: Command, shop: Path) -> None:
    digest = definition_digest(open_project(shop).load_workflow("main"))
    assert command("workflows", "step", "main", "first", *NAMES, "--digest", digest).code == 0
    ended = command("workflows", "step", "main", "first", *NAMES, "--digest", "0" * 16)
    assert (ended.code, ended.err) == (
        2,
        "error: workflow main: the jobs were made of another workflow than the project's main. "
        "Make their file anew: modelyard workflows compile.\n",
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("step", "main", "frist", *NAMES), 2, "there is no step 'frist' in the workflow. Did you mean first?"),
        (("step", "main", "first"), 2, "names"),
        (("step", "main", "first", "--param", "names"), 2, "--param takes NAME=VALUE, got names."),
        (("finish", "shop.serving:triple"), 2, "must be a workflow, got Graph"),
        (("step", "main", "first", *NAMES, "--files", "../other"), 2, "'../other' does not lie in the project"),
    ],
)
def test_what_does_not_fit_is_refused(
    command: Command, shop: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ended = command("workflows", *words)
    assert ended.code == code
    assert said in ended.err
    assert not list(shop.rglob("ends"))


def test_a_secret_is_in_no_log_and_no_file(
    command: Command, shop: Path, on_github: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "hunter2-hunter2")
    work = shop / "shop/work.py"
    work.write_text(work.read_text().replace('return {"hello": [name] * times}', "raise ValueError(name)"))
    ended = command("workflows", "step", "main", "first", "--param", 'names=["hunter2-hunter2"]')
    told = [ended.err, ended.out, *(each.read_text() for each in [*on_github.iterdir(), *kept(shop)])]
    assert [text for text in told if "hunter2" in text] == []
    assert "ValueError: ***" in ended.err


def kept(shop: Path) -> list[Any]:
    return [each for each in (shop / ".modelyard/workflow").rglob("*") if each.is_file()]
