"""A request on GitHub: its pushes, and the one that tests about telling share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fake_forge import Forge
from github_emulator import REPOSITORY, Emulator, Run
from loans_project import git

__all__ = ["EXAMPLES", "PAYLOADS", "WORSE", "Judged", "Push", "pushed"]

EXAMPLES = REPOSITORY / "examples" / "github"
PAYLOADS = REPOSITORY / "tests" / "ci" / "payloads"
Push = Callable[..., dict[str, Any]]
"""Commits changes (file to what is replaced by what) and returns the event of the request."""
WORSE = {"loans/training.py": ('USED = ["income", "age"]', 'USED = ["income"]')}


class Judged(NamedTuple):
    """A request whose model is worse, after its first push.

    Attributes
    ----------
    emulator, forge
        Where it was run, and where it is told.
    event
        The event of the push.
    run
        What happened.
    kept
        What the job that worked has kept.
    """

    emulator: Emulator
    forge: Forge
    event: dict[str, Any]
    run: Run
    kept: Path


def pushed(root: Path, changes: dict[str, tuple[str, str]], payload: str = "pull_request") -> dict[str, Any]:
    """Commit changes and return the event of the request."""
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
