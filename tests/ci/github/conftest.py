"""Projects whose requests run on the emulator."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_forge import Forge
from github_emulator import Emulator, missing
from loans_project import git, write_loans

PAYLOADS = Path(__file__).parents[1] / "payloads"

Push = Callable[..., dict[str, Any]]
"""Commits changes (file to what is replaced by what) and returns the event of the request."""


@pytest.fixture
def emulator(tmp_path: Path, forge: Forge) -> Emulator:
    """The loans project on a runner; skips where the emulator cannot run, and says why."""
    if missing():
        pytest.skip(missing())
    folder = tmp_path / "loans"
    folder.mkdir()
    return Emulator(write_loans(folder), tmp_path / "runs", forge.github)


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
