"""A fake forge, and jobs that believe to run on it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_lines import Command, Ended
from extra_alone import command_with
from fake_forge import Forge, serving
from warm_commands import warm_commands

from modelyard.cli.main import run_command_line

PAYLOADS = Path(__file__).with_name("payloads")
HEAD = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
BASE = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"

Job = Callable[..., dict[str, str]]
"""Sets the environment variables of a job, and returns them."""


@pytest.fixture
def forge() -> Iterator[Forge]:
    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the PATH, in which ``modelyard`` is quick: its libraries are imported once."""
    with warm_commands(tmp_path_factory.mktemp("warm")) as folder:
        yield folder


@pytest.fixture(scope="session")
def ci_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the PATH, in which ``modelyard`` has the extra ``ci`` alone."""
    return command_with("ci", tmp_path_factory.mktemp("alone") / "bin")


@pytest.fixture(autouse=True)
def no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs the tests may be a CI job itself."""
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELYARD_FORGE_PATIENCE", "30")


@pytest.fixture
def github_job(forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of GitHub Actions for the fake forge."""

    def start(payload: str = "pull_request", token: str = "forge-secret-write", **more: str) -> dict[str, str]:
        files = tmp_path / "runner"
        files.mkdir(exist_ok=True)
        event = files / "event.json"
        shutil.copy(PAYLOADS / f"{payload}.json", event)
        event_name = payload.removesuffix("_fork").removesuffix("_closed").removesuffix("_on_issue")
        variables = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": forge.github,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "Codertocat/Hello-World",
            "GITHUB_EVENT_NAME": event_name,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_SHA": "f" * 40,
            "GITHUB_RUN_ID": "99",
            "GITHUB_ACTOR": "Codertocat",
            "GITHUB_TOKEN": token,
            "GITHUB_STEP_SUMMARY": str(files / "summary.md"),
            "GITHUB_OUTPUT": str(files / "output"),
            **more,
        }
        return _set(monkeypatch, variables)

    return start


@pytest.fixture
def gitlab_job(forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of GitLab CI for the fake forge."""

    def start(**more: str) -> dict[str, str]:
        variables = {
            "GITLAB_CI": "true",
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_SERVER_URL": "https://gitlab.example.com",
            "CI_API_V4_URL": forge.gitlab,
            "CI_PROJECT_ID": "42",
            "CI_PROJECT_PATH": "ml/flights",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "better",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": BASE,
            "CI_COMMIT_SHA": HEAD,
            "CI_PIPELINE_ID": "1234",
            "CI_JOB_ID": "5678",
            "CI_JOB_URL": "https://gitlab.example.com/ml/flights/-/jobs/5678",
            "GITLAB_USER_LOGIN": "ada",
            "GITLAB_TOKEN": "forge-secret-gitlab",
            "CI_JOB_TOKEN": "forge-secret-job",
            "MODELYARD_OUTPUTS": str(tmp_path / "outputs.env"),
            **more,
        }
        return _set(monkeypatch, variables)

    return start


def _set(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> dict[str, str]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    return {name: value for name, value in variables.items() if value}


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line in this process."""

    def run(*words: str) -> Ended:
        capfd.readouterr()
        code = run_command_line(words)
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture
def flights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in the current folder."""
    folder = tmp_path / "flights"
    folder.mkdir()
    (folder / "modelyard.yaml").write_text("name: flights\n")
    monkeypatch.chdir(folder)
    return folder


def payload(name: str) -> dict[str, Any]:
    """Return a published example of an event."""
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found
