"""Projects on GitLab, with the fake forge as its API."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_forge import Forge
from gitlab_runner import ROOT, GitLabRunner, offer_templates
from lasting_projects import lasting_loans
from loans_project import write_loans
from served_folder import served_folder
from warm_commands import warm_commands


@pytest.fixture(scope="session")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the templates."""
    return offer_templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The program ``modelyard``."""
    with warm_commands(tmp_path_factory.mktemp("warm")) as folder:
        yield folder


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the templates are single files, as a forge serves them."""
    pages = tmp_path_factory.mktemp("pages")
    shutil.copytree(ROOT / "gitlab-ci", pages / "ml/modelyard/-/raw/v1/gitlab-ci")
    with served_folder(pages) as found:
        yield found


@pytest.fixture
def runner(tmp_path: Path, forge: Forge, offered: Path, commands: Path) -> GitLabRunner:
    return GitLabRunner(write_loans(tmp_path / "loans"), tmp_path / "scratch", forge, offered, commands)


@pytest.fixture(scope="session")
def champion_of_loans(tmp_path_factory: pytest.TempPathFactory, commands: Path) -> Path:
    return lasting_loans(tmp_path_factory.mktemp("loans"), commands / "modelyard")


@pytest.fixture
def loans(champion_of_loans: Path, tmp_path: Path, forge: Forge, offered: Path, commands: Path) -> GitLabRunner:
    """The loans project with a champion, version 1, in an environment that lasts."""
    project = shutil.copytree(champion_of_loans, tmp_path / "loans")
    return GitLabRunner(project, tmp_path / "scratch", forge, offered, commands)
