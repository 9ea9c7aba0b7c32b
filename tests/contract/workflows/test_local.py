"""The local engine keeps the contract, its steps alone in this process and side by side in others."""

from pathlib import Path
from typing import Any

import pytest
from workflow_cases import CASES, Case
from workflow_contract import Observed, check, prepared, workflow_of

from modelyard.workflows import StepFailed
from modelyard.workflows.engines import LocalEngine


class Local:
    """The local engine."""

    name = "local"
    goes_on = True

    def run(self, project: Path, workflow: str, inputs: dict[str, Any]) -> Observed:
        """Run a workflow."""
        flow = workflow_of(project, workflow)
        engine = LocalEngine(project=str(project), project_name="contract", workflow_run="run")
        try:
            return engine.run(flow, flow.bind(inputs))
        except StepFailed as failed:
            return failed.left


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_contract(case: Case, tmp_path: Path) -> None:
    project, inputs = prepared(case, tmp_path)
    check(case, Local(), Local().run(project, case.workflow, inputs))


def test_there_are_enough_workflows() -> None:
    assert len({case.workflow for case in CASES}) >= 25
