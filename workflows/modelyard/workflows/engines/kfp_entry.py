"""Kubeflow Pipelines as `modelyard run` and `modelyard workflows compile` know it."""

from collections.abc import Mapping

from modelyard.projects import open_project
from modelyard.workflows.engines.kfp_submit import Submission, submission_of
from modelyard.workflows.engines.remote import RemoteRun, RunRequest
from modelyard.workflows.outcome import WorkflowOutcome

__all__ = ["as_pipeline", "submit"]


def submit(request: RunRequest) -> RemoteRun:
    """Start a run of a workflow on the KFP server of the environment.

    Parameters
    ----------
    request
        What to run.

    Raises
    ------
    ModelyardError
        The pipeline cannot be made, the server refuses it, or the run that was waited for failed.
    """
    submission = _submission(request)
    run = submission.start(request.inputs, name=request.workflow_run)
    if not request.follow:
        return RemoteRun(run=run)
    ended = submission.follow(run)
    return RemoteRun(run=run, outcome=WorkflowOutcome(dict(ended.tasks), {}))


def as_pipeline(request: RunRequest, options: Mapping[str, str]) -> str:
    """Return a workflow as KFP's intermediate representation, in YAML.

    Raises
    ------
    ModelyardError
        There is no KFP in this environment, or pods could not get the project.
    """
    del options
    return _submission(request).compiled().decode()


def _submission(request: RunRequest) -> Submission:
    project = open_project(request.project)
    return submission_of(project, request.workflow, project.environment(request.environment))
