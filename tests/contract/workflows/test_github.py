"""GitHub's jobs keep the contract: compiled, and run by the emulator as if somebody had filled in the form."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from github_emulator import Emulator, missing
from loans_project import git
from workflow_cases import CASES, Case
from workflow_contract import Observed, check, compiled_from, prepared

from modelyard.workflows import WorkflowOutcome
from modelyard.workflows.engines.jobs.github import as_github_workflow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing() or "there is an emulator"),
]

CHOSEN = (
    "parameters given",
    "condition inside a loop",
    "failure",
    "success with an exit handler",
    "retries used up, then the exit handler",
)
"""Cases that stand for the others: what jobs do is tested with all of them in `test_jobs`."""


class GitHub:
    """GitHub Actions, emulated."""

    name = "github"
    goes_on = True

    def run(self, project: Path, workflow: str, inputs: dict[str, Any]) -> Observed:
        """Run a workflow."""
        git(project, "init", "-q", "-b", "main")
        git(project, "add", ".")
        git(project, "commit", "-q", "-m", "first")
        text = as_github_workflow(compiled_from(project, workflow), {})
        emulator = Emulator(project, project.parent / "runs", "http://127.0.0.1:9/github")
        run = emulator.run(text, "workflow_dispatch", {"ref": "refs/heads/main", "inputs": filled_in(text, inputs)})
        assert run.message == ""
        (file,) = (project.parent / "runs/run-1/artifacts").rglob("outcome.json")
        outcome = msgspec.json.decode(file.read_bytes(), type=WorkflowOutcome)
        assert run.result == ("failure" if outcome.failures else "success"), run.log
        return outcome


def filled_in(workflow: str, given: dict[str, Any]) -> dict[str, str]:
    """Return what GitHub's form sends: text for each input, the default where nobody has typed another."""
    asked = yaml.load(workflow, Loader=yaml.BaseLoader)["on"]["workflow_dispatch"]
    found = {}
    for name, each in (asked["inputs"] if asked else {}).items():
        assert name in given or each["required"] == "false"
        value = given.get(name, each.get("default", ""))
        found[name] = value if isinstance(value, str) else json.dumps(value)
        assert each["type"] != "boolean" or found[name] in ("true", "false")
    assert set(given) <= set(found)
    return found


@pytest.mark.parametrize("case", [case for case in CASES if case.name in CHOSEN], ids=lambda case: case.name)
def test_contract(case: Case, tmp_path: Path) -> None:
    project, inputs = prepared(case, tmp_path)
    check(case, GitHub(), GitHub().run(project, case.workflow, inputs))
