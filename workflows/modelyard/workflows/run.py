"""The operation ``run``: a project's workflow, on this machine."""

from typing import Any

import msgspec

from modelyard.operations import OperationContext, operation
from modelyard.operations.keys import random_key
from modelyard.projects import open_project
from modelyard.workflows.definition import Workflow
from modelyard.workflows.engines.local import LocalEngine
from modelyard.workflows.errors import NotAWorkflow
from modelyard.workflows.record import WorkflowRecord, WorkflowRecords

__all__ = ["RunResult", "run"]

RESULTS_BYTES = 40_000
"""How much of the steps' results the run's own result carries; see `modelyard.operations.declaration.RESULT_BYTES`."""


class RunResult(msgspec.Struct, frozen=True):
    """What a run of a workflow left.

    Attributes
    ----------
    workflow_run
        Names this run of the workflow; it is in the tags of everything that the steps tracked.
    steps
        The state of each step.
    results
        The result of each step, by the step's name.
    """

    workflow_run: str
    steps: dict[str, str]
    results: dict[str, Any]


@operation(kind="run", side_effects="any")
def run(context: OperationContext, *, workflow: str, parameters: dict[str, Any] = {}) -> RunResult:  # noqa: B006 - read only
    """Run a project's workflow on this machine, one step after the other.

    A run that was killed or failed continues where it was when it is started again with the same key: the steps that
    had finished keep their results. A run that finished starts anew.

    Parameters
    ----------
    workflow
        The workflow's name in modelyard.yaml, or package.module:name.
    parameters
        The workflow's own parameters, by name.

    Examples
    --------
    $ modelyard run main
    $ modelyard run main --param month=8 --key nightly-2013-08
    """
    project = open_project(context.project)
    definition = project.load_workflow(workflow)
    if not isinstance(definition, Workflow):
        raise NotAWorkflow(workflow, type(definition).__name__)
    inputs = definition.bind(parameters)
    records = WorkflowRecords(project.environment(context.environment).open_state())
    engine = LocalEngine(
        project=context.project,
        project_name=project.name,
        environment=context.environment,
        workflow_run=_run_of(context),
        log=context.log,
        progress=context.progress,
    )
    record = records.read(engine.workflow_run)
    if record is None:
        record = WorkflowRecord(definition.name, engine.workflow_run, engine.run(definition, inputs))
        records.write(record)
    # Only now: a kill before the record is on disk must find the steps' results again, not their keys free.
    engine.acknowledge(record.outcome)
    return RunResult(engine.workflow_run, record.outcome.states, _carried(record.outcome.results))


def _run_of(context: OperationContext) -> str:
    """Return the name of this run: the same for every attempt of a generation, another for the next generation."""
    key = context.key or random_key()
    return key if context.generation == 1 else f"{key}.{context.generation}"


def _carried(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the results, the largest left out as long as the whole is more than a result may carry."""
    carried: dict[str, Any] = dict(results)
    sizes = {name: len(msgspec.json.encode(each)) for name, each in results.items()}
    total = sum(sizes.values())
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if total <= RESULTS_BYTES:
            break
        carried[name] = {"left_out": f"{sizes[name]} bytes; the step's own result has them"}
        total -= sizes[name]
    return carried
