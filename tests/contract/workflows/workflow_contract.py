"""The adapter that puts an engine under the contract, and the comparison."""

import json
import shutil
from pathlib import Path
from typing import Any, Protocol

from workflow_cases import FOLDER, Case

from modelyard.workflows import Failure, Workflow, WorkflowOutcome
from modelyard.workflows.engines.remote import RunRequest

__all__ = ["PROJECT", "EngineAdapter", "Observed", "check", "prepared", "workflow_of"]

PROJECT = Path(__file__).with_name("project")

Observed = WorkflowOutcome
"""What a run left: the states and results of the steps by name, and the failures."""


class EngineAdapter(Protocol):
    """Runs a workflow on one engine."""

    name: str
    goes_on: bool
    """Whether steps that need nothing of a failed one are run."""

    def run(self, project: Path, workflow: str, inputs: dict[str, Any]) -> Observed:
        """Run a workflow of the project, ``contract.flows:<workflow>``, to its end.

        Parameters
        ----------
        project
            The project's folder; a copy of the test's own.
        workflow
            The workflow's name in ``contract.flows``.
        inputs
            Its parameters.
        """
        ...


def prepared(case: Case, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return a copy of the project and the case's inputs, both with a folder of the test's own."""
    ignored = shutil.ignore_patterns("__pycache__", ".modelyard")
    project = Path(shutil.copytree(PROJECT, folder / "project", ignore=ignored))
    notes = folder / "notes"
    notes.mkdir()
    return project, {name: str(notes) if value == FOLDER else value for name, value in case.inputs.items()}


def workflow_of(project: Path, name: str) -> Workflow:
    """Return a workflow of the project."""
    from modelyard.projects import open_project

    found = open_project(project).load_workflow(f"contract.flows:{name}")
    assert isinstance(found, Workflow)
    return found


def compiled_from(project: Path, name: str) -> RunRequest:
    """Return what a workflow of the project is compiled from into the file of a host."""
    return RunRequest(
        workflow=workflow_of(project, name),
        name=f"contract.flows:{name}",
        inputs={},
        project=str(project),
        project_name="contract",
        workflow_run="",
    )


def check(case: Case, engine: EngineAdapter, observed: Observed) -> None:
    """Compare what a run left with what it must leave: values by value and type, and what was not run."""
    left_out = set() if engine.goes_on or not case.failures else set(case.independent)
    expected = {name: {"value": value} for name, value in case.values.items()}
    assert _text(observed.results, left_out) == _text(expected, left_out)
    states = {
        **dict.fromkeys(case.values, "succeeded"),
        **dict.fromkeys(case.skipped, "skipped"),
        **dict.fromkeys(case.blocked, "blocked"),
        **dict.fromkeys(case.failures, "failed"),
    }
    assert _without(observed.states, left_out) == _without(states, left_out)
    failures = {each.step: each for each in observed.failures}
    assert sorted(failures) == sorted(case.failures)
    for step, (kind, words) in case.failures.items():
        _check_failure(failures[step], kind, words)


def _check_failure(failure: Failure, kind: str, words: str) -> None:
    assert failure.kind == kind
    assert words in failure.message


def _text(results: dict[str, Any], left_out: set[str]) -> dict[str, str]:
    """Return results as text, for 1, 1.0 and true are equal in Python."""
    return {name: json.dumps(value, sort_keys=True) for name, value in _without(results, left_out).items()}


def _without(found: dict[str, Any], left_out: set[str]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in left_out}
