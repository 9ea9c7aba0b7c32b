"""Projects whose requests run on the emulator."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_forge import Forge, serving
from github_emulator import BIN, Emulator, missing
from github_request import EXAMPLES, WORSE, Judged, Push, pushed
from loans_project import write_loans


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


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, repository: Path, warm: Path, ci_alone: Path) -> Iterator[Judged]:
    """A request whose model is worse: worked for once, for all tests that are about telling it."""
    if missing():
        pytest.skip(missing())
    folder = tmp_path_factory.mktemp("judged")
    project = Path(shutil.copytree(repository, folder / "loans"))
    caller = (EXAMPLES / "pull-request.yml").read_text()
    with serving() as forge:
        commands = {"": [warm, BIN], "ci": [ci_alone]}
        emulator = Emulator(project, folder / "runs", forge.github, commands=commands)
        event = pushed(project, WORSE)
        run = emulator.run(caller, "pull_request", event)
        yield Judged(emulator, forge, event, run, folder / "runs/run-1/artifacts")


@pytest.fixture
def push(emulator: Emulator) -> Push:
    """Commits to the request's branch."""

    def commit(changes: dict[str, tuple[str, str]], payload: str = "pull_request") -> dict[str, Any]:
        return pushed(emulator.project, changes, payload)

    return commit
