"""The jobs of CI hosts keep the contract, each on a machine of its own that has seen nothing but what it was handed."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from workflow_cases import CASES, Case
from workflow_contract import PROJECT, Observed, check, prepared, workflow_of

from modelyard.errors import ModelyardError
from modelyard.workflows.engines.jobs import JobPlan, JobRun, RunFolder


class Jobs:
    """The jobs of a host, which starts a job when all that it needs have succeeded, and the last one always."""

    name = "jobs"
    goes_on = True

    def run(self, project: Path, workflow: str, inputs: dict[str, Any]) -> Observed:
        """Run a workflow."""
        flow = workflow_of(project, workflow)
        plan, kept, good = JobPlan(flow), project.parent / "artifacts", set[str]()
        for job in plan.jobs:
            if not good.issuperset(job.needs):
                continue
            machine = Machine(project.parent / f"machine-{job.name}", kept, workflow, inputs)
            try:
                machine.run.do(job.part)
            except ModelyardError:
                pass
            else:
                good.add(job.name)
            machine.upload(job.name)
        last = Machine(project.parent / "machine-last", kept, workflow, inputs)
        with suppress(ModelyardError):
            last.run.finish()
        return last.run.folder.outcome(plan.finish)


class Machine:
    """A machine with the project as it is in git, and the artifacts of the jobs before."""

    def __init__(self, root: Path, artifacts: Path, workflow: str, inputs: dict[str, Any]) -> None:
        shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("__pycache__", ".modelyard"))
        if artifacts.exists():
            shutil.copytree(artifacts, root / "handed")
        flow = workflow_of(root, workflow)
        self.artifacts = artifacts
        self.run = JobRun(
            workflow=flow,
            inputs=flow.bind(inputs),
            folder=RunFolder(root / "handed", root),
            workflow_run="run",
            project=str(root),
            project_name="contract",
        )

    def upload(self, job: str) -> None:
        """Keep what a job has left."""
        shutil.copytree(self.run.folder.path / f"step-{job}", self.artifacts / f"step-{job}")


FAST = (
    "diamond",
    "parameters given",
    "values of all sorts",
    "results of skipped steps",
    "loop over values",
    "skipped loop",
    "loop over nothing",
    "included workflows",
    "success with an exit handler",
    "failure",
    "failure with an exit handler",
    "retries used up, then the exit handler",
)
"""Cases that stand for the others in quick tests: turns side by side are processes of their own."""


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[] if case.name in FAST else [pytest.mark.slow]) for case in CASES],
    ids=[case.name for case in CASES],
)
def test_contract(case: Case, tmp_path: Path) -> None:
    project, inputs = prepared(case, tmp_path)
    check(case, Jobs(), Jobs().run(project, case.workflow, inputs))
