"""Kubeflow Pipelines as `modelyard run` and `modelyard workflows compile` know it."""

from collections.abc import Mapping

from modelyard.operators.kfp.api import PipelineRun
from modelyard.operators.kfp.api_errors import RunFailed
from modelyard.projects import open_project
from modelyard.projects.environment import Environment
from modelyard.projects.errors import StateNotLocal
from modelyard.workflows.engines.compiling import check_options
from modelyard.workflows.engines.kfp_run import KfpRun
from modelyard.workflows.engines.kfp_submit import Submission, submission_of
from modelyard.workflows.engines.remote import Publication, RemoteRun, RunRequest
from modelyard.workflows.outcome import WorkflowOutcome

__all__ = ["as_pipeline", "publish", "submit"]

_STATES = {"SUCCEEDED": "succeeded", "SKIPPED": "skipped", "FAILED": "failed", "CANCELED": "cancelled"}
"""KFP's words for the end of a task, and ours."""


def submit(request: RunRequest) -> RemoteRun:
    """Start a run of a workflow on the KFP server of the environment, or go on with the run of that name.

    A run that is under way is attached to; one that failed does its failed steps again. Where this machine sees the
    environment's state, the outcome is that of any other engine; else it has the states alone that KFP tells.

    Parameters
    ----------
    request
        What to run.

    Raises
    ------
    RunFailed
        The run that was waited for failed, and its state cannot be seen from here.
    ModelyardError
        The pipeline cannot be made, or the server refuses it.
    """
    submission, environment = _submission(request)
    name = f"{request.project_name} {request.workflow.name} {request.workflow_run}"
    run = submission.start_or_attach(request.inputs, name=name)
    url = submission.page(run)
    if not request.follow:
        return RemoteRun(run=run, url=url)
    return RemoteRun(run=run, url=url, outcome=_followed(request, submission, environment, run))


def _followed(request: RunRequest, submission: Submission, environment: Environment, run: str) -> WorkflowOutcome:
    names = {step.name.replace("_", "-"): step.name for step in request.workflow.steps}
    done: set[str] = set()
    with request.progress.track(f"workflow {request.workflow.name}", len(names), "steps") as track:

        def tell(now: PipelineRun) -> None:
            for task, phase in now.tasks.items():
                if task in names and task not in done and phase in _STATES:
                    done.add(task)
                    request.log.info("%s: %s", names[task], _STATES[phase])
                    track.advance()

        try:
            ended = submission.follow(run, tell)
        except RunFailed:
            outcome = _outcome(environment, run)
            if outcome is None or not outcome.failures:
                raise
            return outcome
    states = {names[task]: _STATES.get(phase, phase) for task, phase in ended.tasks.items() if task in names}
    return _outcome(environment, run) or WorkflowOutcome(states, {})


def _outcome(environment: Environment, run: str) -> WorkflowOutcome | None:
    """Return what a run has left in the state location; None where this machine does not see it."""
    try:
        return KfpRun(environment.state, f"kfp-{run}").outcome()
    except StateNotLocal:
        return None


def publish(request: RunRequest, version: str, schedule: str) -> Publication:
    """Upload a workflow to the KFP server of the environment, and have it started by a schedule.

    Parameters
    ----------
    request
        The workflow, and its inputs where there is a schedule.
    version
        The version's name.
    schedule
        Six fields, with seconds, such as ``0 0 3 * * *``; none if empty.

    Raises
    ------
    ModelyardError
        The pipeline cannot be made, or the server refuses it.
    """
    submission, _ = _submission(request)
    name = f"{request.project_name}-{request.workflow.name}"
    return submission.publish(name, version, cron=schedule, inputs=request.inputs)


def as_pipeline(request: RunRequest, options: Mapping[str, str]) -> str:
    """Return a workflow as KFP's intermediate representation, or as objects for a cluster that is kept in git, in YAML.

    Parameters
    ----------
    request
        The workflow and its project.
    options
        ``version``: return the Kubernetes objects ``Pipeline`` and ``PipelineVersion`` of that version instead, in the
        namespace of the environment's section ``kfp``.

    Raises
    ------
    ModelyardError
        There is no KFP in this environment, or pods could not get the project.
    """
    check_options(options, "version")
    submission, _ = _submission(request)
    version = options.get("version", "")
    if not version:
        return submission.compiled().decode()
    return submission.manifests(f"{request.project_name}-{request.workflow.name}", version).decode()


def _submission(request: RunRequest) -> tuple[Submission, Environment]:
    project = open_project(request.project)
    environment = project.environment(request.environment)
    return submission_of(project, request.workflow, environment), environment
