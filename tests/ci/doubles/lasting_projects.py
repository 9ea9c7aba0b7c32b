"""Projects whose champion is in an environment that lasts, as on a server: what one job leaves there, others find."""

import shutil
import subprocess
from pathlib import Path

from loans_project import git, write_loans

__all__ = ["LASTING", "SMALL", "lasting_flights", "lasting_loans", "with_lasting"]

EXAMPLE = Path(__file__).parents[3] / "examples" / "flights"
LASTING = "shared"
"""The name of the environment that lasts."""
SMALL = ("every=60", "trees=30")
"""Inputs of the workflow `main` of flights by which it takes a moment."""


def lasting_flights(folder: Path, modelyard: Path) -> Path:
    """Write the flights example into a repository below `folder`, with its champion: version 1.

    Parameters
    ----------
    folder
        Where the repository and the state of its environment come to lie.
    modelyard
        The program.
    """
    project = folder / "flights"
    left = shutil.ignore_patterns(".modelyard", "data", "output", "__pycache__")
    shutil.copytree(EXAMPLE, project, ignore=left)
    (project / ".gitignore").write_text("data/\noutput/\n.modelyard/\n.gitlab-ci-local/\n__pycache__/\n")
    with_lasting(project, folder / "state")
    git(project, "init", "-q", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "first")
    _train(project, modelyard, "flights-delay", SMALL)
    return project


def lasting_loans(folder: Path, modelyard: Path) -> Path:
    """Write the loans project below `folder`, with its champion, version 1, and the dataset that judged it."""
    project = write_loans(folder / "loans")
    git(project, "switch", "-q", "main")
    with_lasting(project, folder / "state")
    _train(project, modelyard, "loans", ("rows=300",))
    git(project, "add", "--force", "data/test.parquet", "modelyard.yaml")
    git(project, "commit", "-q", "-m", "an environment that lasts")
    return project


def with_lasting(project: Path, state: Path) -> None:
    """Give a project the environment."""
    path = project / "modelyard.yaml"
    text = path.read_text()
    begun = "" if "\nenvironments:" in text else "environments:\n  dev: {}\n"
    path.write_text(f"{text}{begun}  {LASTING}: {{state: '{state}', tracking: 'sqlite:///{state}/mlflow.db'}}\n")


def _train(project: Path, modelyard: Path, model: str, inputs: tuple[str, ...]) -> None:
    """Run the workflow `main` in a process of its own: the project's modules must not stay in this one."""
    given = [word for each in inputs for word in ("--input", each)]
    for words in (
        ["ci", "run", "main", *given, "--base", "HEAD", "--baseline", "none", "--quiet"],
        ["promote", "--model", f"models:/{model}/1"],
    ):
        command = [str(modelyard), *words, "--environment", LASTING]
        ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    shutil.rmtree(project / ".modelyard", ignore_errors=True)
