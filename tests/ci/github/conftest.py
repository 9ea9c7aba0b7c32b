"""Projects whose requests run on the emulator."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_forge import Forge
from github_emulator import BIN, Emulator, missing
from loans_project import git, write_loans

PAYLOADS = Path(__file__).parents[1] / "payloads"

Push = Callable[..., dict[str, Any]]
"""Commits changes (file to what is replaced by what) and returns the event of the request."""


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The loans project, committed once: to be copied."""
    return write_loans(tmp_path_factory.mktemp("loans"))


@pytest.fixture
def emulator(
    request: pytest.FixtureRequest, tmp_path: Path, forge: Forge, repository: Path, ci_alone: Path
) -> Emulator:
    """The loans project on a runner; skips where the emulator cannot run, and says why.

    Where the actions install the extra ``ci`` alone, the command has no more.
    """
    if missing():
        pytest.skip(missing())
    project = Path(shutil.copytree(repository, tmp_path / "loans"))
    # What is slow imports much, and more than once.
    folders = [request.getfixturevalue("warm"), BIN] if request.node.get_closest_marker("slow") else [BIN]
    return Emulator(project, tmp_path / "runs", forge.github, commands={"": folders, "ci": [ci_alone]})


@pytest.fixture
def push(emulator: Emulator) -> Push:
    """Commits to the request's branch."""

    def commit(changes: dict[str, tuple[str, str]], payload: str = "pull_request") -> dict[str, Any]:
        root = emulator.project
        for file, (old, new) in changes.items():
            text = (root / file).read_text()
            assert old in text
            (root / file).write_text(text.replace(old, new))
            git(root, "commit", "-q", "-m", "change", "--", file)
        event: dict[str, Any] = json.loads((PAYLOADS / f"{payload}.json").read_text())
        event["pull_request"]["head"]["sha"] = git(root, "rev-parse", "HEAD")
        event["pull_request"]["base"]["sha"] = git(root, "rev-parse", "main")
        event["pull_request"]["base"]["ref"] = "main"
        return event

    return commit
