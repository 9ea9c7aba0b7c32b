"""The operation ``run``: a project's workflow, on this machine."""

from typing import Any, Literal

import msgspec

from modelyard.errors import ErrorRecord, ForeignError
from modelyard.operations import OperationContext, operation
from modelyard.operations.keys import random_key
from modelyard.projects import open_project
from modelyard.workflows.definition import Workflow
from modelyard.workflows.engines.local import LocalEngine
from modelyard.workflows.engines.registry import submitter_of
from modelyard.workflows.engines.remote import RunRequest
from modelyard.workflows.errors import NotAWorkflow, StepFailed
from modelyard.workflows.outcome import WorkflowOutcome
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
    url
        Where people look at the run; empty for one on this machine.
    """

    workflow_run: str
    steps: dict[str, str]
    results: dict[str, Any]
    url: str


@operation(kind="run", side_effects="any")
def run(
    context: OperationContext,
    *,
    workflow: str,
    parameters: dict[str, Any] = {},  # noqa: B006 - read only
    engine: Literal["local", "airflow", "kfp"] = "local",
    follow: bool = False,
) -> RunResult:
    """Run a project's workflow: on this machine, in Airflow or in Kubeflow Pipelines.

    A run that was killed or failed continues where it was when it is started again with the same key: the steps that
    had finished keep their results. A run that finished starts anew.

    Parameters
    ----------
    workflow
        The workflow's name in modelyard.yaml, or package.module:name.
    parameters
        The workflow's own parameters, by name.
    engine
        Where it runs.
    follow
        Wait for the end of a run elsewhere, and return what it left; one on this machine is always waited for.

    Examples
    --------
    $ modelyard run main
    $ modelyard run main --param month=8 --key nightly-2013-08
    $ modelyard run main --engine airflow --follow
    """
    project = open_project(context.project)
    definition = project.load_workflow(workflow)
    if not isinstance(definition, Workflow):
        raise NotAWorkflow(workflow, type(definition).__name__)
    inputs = definition.bind(parameters)
    if engine != "local":
        return _elsewhere(context, engine, definition, workflow, inputs, follow=follow)
    records = WorkflowRecords(project.environment(context.environment).open_state())
    local = LocalEngine(
        project=context.project,
        project_name=project.name,
        environment=context.environment,
        workflow_run=_run_of(context),
        log=context.log,
        progress=context.progress,
    )
    record = records.read(local.workflow_run)
    if record is None:
        record = WorkflowRecord(definition.name, local.workflow_run, local.run(definition, inputs))
        records.write(record)
    # Only now: a kill before the record is on disk must find the steps' results again, not their keys free.
    local.acknowledge(record.outcome)
    return RunResult(local.workflow_run, record.outcome.states, _carried(record.outcome.results), "")


def _elsewhere(
    context: OperationContext, engine: str, definition: Workflow, name: str, inputs: dict[str, Any], *, follow: bool
) -> RunResult:
    """Start a run on another engine, and wait for it if that is asked for."""
    project = open_project(context.project)
    request = RunRequest(
        workflow=definition,
        name=name,
        inputs=inputs,
        project=context.project,
        project_name=project.name,
        environment=context.environment,
        workflow_run=_run_of(context),
        follow=follow,
        log=context.log,
        progress=context.progress,
    )
    submitted = submitter_of(engine)(request)
    left = submitted.outcome or WorkflowOutcome({}, {})
    for failure in left.failures:
        error = ForeignError(ErrorRecord("StepFailed", failure.kind, failure.message))
        raise StepFailed(definition.name, submitted.run, failure.step, error, left)
    return RunResult(submitted.run, left.states, _carried(left.results), submitted.url)


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
