"""The KFP engine keeps the contract: compiled, and executed by KFP's own local runner."""

from pathlib import Path
from typing import Any

import pytest
from kfp import local
from kfp.local import config
from kfp_release import needs_local_runner
from workflow_cases import CASES, Case
from workflow_contract import Observed, check, prepared, workflow_of

from modelyard.operators.kfp import Installed
from modelyard.projects import open_project
from modelyard.workflows.engines.kfp import KfpEngine
from modelyard.workflows.engines.kfp_inputs import pipeline_arguments
from modelyard.workflows.outcome import WorkflowOutcome

pytestmark = pytest.mark.filterwarnings("ignore:Task .* have no effect in the current local runner")


class Kfp:
    """The KFP engine on KFP's local runner."""

    name = "kfp"
    goes_on = True

    def run(self, project: Path, workflow: str, inputs: dict[str, Any]) -> Observed:
        """Run a workflow."""
        flow = workflow_of(project, workflow)
        pipeline = KfpEngine(delivery=Installed(), project=str(project)).pipeline(flow)
        local.init(
            local.SubprocessRunner(use_venv=False), pipeline_root=str(project.parent / "kfp"), raise_on_error=False
        )
        try:
            pipeline(**pipeline_arguments(flow, inputs))
        finally:
            config.LocalExecutionConfig.instance = None
        return left(project)


def left(project: Path) -> WorkflowOutcome:
    """Return what the project's one run has left."""
    import msgspec

    (file,) = (open_project(project).environment().state / "workflows" / "kfp").glob("*/outcome.json")
    return msgspec.json.decode(file.read_bytes(), type=WorkflowOutcome)


FAST = (
    "parameters given",
    "values of all sorts",
    "condition inside a loop",
    "failure",
    "retries used up, then the exit handler",
)
"""Cases that stand for the others in quick tests: a task is a process of its own here, and takes half a second."""


@needs_local_runner
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[] if case.name in FAST else [pytest.mark.slow]) for case in CASES],
    ids=[case.name for case in CASES],
)
def test_contract(case: Case, tmp_path: Path) -> None:
    project, inputs = prepared(case, tmp_path)
    check(case, Kfp(), Kfp().run(project, case.workflow, inputs))
