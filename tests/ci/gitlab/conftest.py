"""A project on GitLab, with the fake forge as its API."""

from pathlib import Path

import pytest
from fake_forge import Forge
from gitlab_runner import GitLabRunner
from loans_project import write_loans


@pytest.fixture
def runner(tmp_path: Path, forge: Forge) -> GitLabRunner:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return GitLabRunner(write_loans(tmp_path / "loans"), scratch, forge)
