"""``modelyard workflows step`` and ``finish``: what the jobs of CI hosts do of a workflow."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from modelyard.ci.hosts import CiContext, detect
from modelyard.ci.outputs import write_outputs
from modelyard.ci.places import place_of
from modelyard.ci.redaction import Redaction
from modelyard.ci.reporting.escaping import code, loggable, one_line
from modelyard.cli.documents import write_json
from modelyard.cli.options import project_options
from modelyard.cli.output import show_table, show_text
from modelyard.cli.reporting import reporting
from modelyard.cli.signals import termination_cancels
from modelyard.errors import ForeignError, ModelyardError
from modelyard.operations.keys import random_key
from modelyard.projects import open_project
from modelyard.projects.project import Project
from modelyard.workflows import NotAWorkflow, StepFailed, Workflow, WorkflowInvalid, WorkflowOutcome
from modelyard.workflows.engines.jobs import JobRun, RunFolder
from modelyard.workflows.engines.jobs.folder import FOLDER
from modelyard.workflows.engines.jobs.inputs import given_parameters
from modelyard.workflows.engines.jobs.running import definition_digest

__all__ = ["do_step", "finish_run"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def _run_options(function: FunctionT) -> FunctionT:
    options = (
        click.option("--folder", metavar="PATH", default="", help=f"What goes from job to job.  [default: {FOLDER}]"),
        click.option(
            "--run",
            "workflow_run",
            metavar="NAME",
            default="",
            envvar="MODELYARD_WORKFLOW_RUN",
            help="Names the run: the same in all of its jobs.  [default: MODELYARD_WORKFLOW_RUN, or a new one]",
        ),
        click.option(
            "--digest",
            metavar="TEXT",
            default="",
            envvar="MODELYARD_WORKFLOW_DIGEST",
            help="Refuse a workflow that is another than the one that the jobs were made of.",
        ),
        click.option(
            "--param",
            "parameters",
            multiple=True,
            metavar="NAME=VALUE",
            help="A parameter of the workflow; others are taken from MODELYARD_PARAMETERS (a JSON object) and "
            "MODELYARD_PARAMETER_NAME.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command("step")
@click.argument("name")
@click.argument("part")
@click.option(
    "--files", multiple=True, metavar="PATH", help="Hand on the files below this path of the project; may be repeated."
)
@_run_options
@project_options
def do_step(
    name: str,
    part: str,
    files: tuple[str, ...],
    folder: str,
    workflow_run: str,
    digest: str,
    parameters: tuple[str, ...],
    project: str,
    environment: str,
    json: bool,
) -> None:
    """Do one PART of the workflow NAME, whose other parts are done elsewhere: a step, or a loop.

    What the jobs before have left must be in the folder: one folder inside for each of them, named step-JOB. This one
    leaves its own there: how its steps ended, and the files that it hands on. A part whose branch is not taken is
    skipped, which is no failure.
    """
    with _running(name, folder, workflow_run, digest, parameters, project, environment, files) as run:
        state = run.do(part)
    write_outputs(detect(), {"state": state})
    if json:
        write_json({"workflow": name, "part": part, "state": state})
    else:
        show_text(f"{part}: {state}")


@click.command("finish")
@click.argument("name")
@_run_options
@project_options
def finish_run(
    name: str,
    folder: str,
    workflow_run: str,
    digest: str,
    parameters: tuple[str, ...],
    project: str,
    environment: str,
    json: bool,
) -> None:
    """End a run of the workflow NAME whose parts were done elsewhere: sum it up, and run its exit handler.

    What the jobs have left must be in the folder. It ends with the exit code of the first step that failed, and leaves
    the outcome of the whole beside what the jobs have left.
    """
    context = detect()
    with _running(name, folder, workflow_run, digest, parameters, project, environment) as run:
        try:
            outcome = run.finish()
        except StepFailed as failed:
            _tell(context, name, failed.left, json=False)
            raise
    write_outputs(context, {"state": "succeeded"})
    _tell(context, name, outcome, json=json)


@contextmanager
def _running(
    name: str,
    folder: str,
    workflow_run: str,
    digest: str,
    parameters: tuple[str, ...],
    project: str,
    environment: str,
    files: tuple[str, ...] = (),
) -> Iterator[JobRun]:
    opened = open_project(project)
    workflow = _workflow(opened, name, digest)
    given = given_parameters(workflow, os.environ)
    for each in parameters:
        parameter, equals, value = each.partition("=")
        if not equals:
            raise click.UsageError(f"--param takes NAME=VALUE, got {each}.")
        given[parameter] = value
    secrets = [secret for each in opened.definition.environments.values() for secret in each.secrets]
    redaction = Redaction.of(os.environ, secrets)
    with reporting(quiet=False, debug=False) as reporter, termination_cancels():
        run = JobRun(
            workflow=workflow,
            inputs=workflow.bind(given),
            folder=RunFolder(Path(folder) if folder else opened.root / FOLDER, opened.root),
            workflow_run=workflow_run or random_key(),
            project=project,
            project_name=opened.name,
            environment=environment,
            files=files,
            redact=redaction.values,
            progress=reporter,
        )
        try:
            yield run
        except ModelyardError as error:
            _remark(opened, name, error, redaction)
            raise ForeignError(redaction.record(error.record())) from error


def _workflow(project: Project, name: str, digest: str) -> Workflow:
    found = project.load_workflow(name)
    if not isinstance(found, Workflow):
        raise NotAWorkflow(name, type(found).__name__)
    if digest and digest != definition_digest(found):
        raise WorkflowInvalid(
            f"the jobs were made of another workflow than the project's {name}",
            where=f"workflow {name}",
            mend="Make their file anew: modelyard workflows compile.",
        )
    return found


def _remark(project: Project, name: str, error: ModelyardError, redaction: Redaction) -> None:
    """Have GitHub show the error at the line of the project that raised it."""
    if detect().host != "github":
        return
    from modelyard.ci.forges import Annotation
    from modelyard.ci.reporting.annotations import workflow_command

    path, line = place_of(project, f"{error.where} {error.what}")
    if path:
        text = one_line(redaction(str(error)), 2_000)
        click.echo(workflow_command(Annotation(path, max(1, line), f"{name} failed", text)), err=True)


def _tell(context: CiContext, name: str, outcome: WorkflowOutcome, *, json: bool) -> None:
    if context.files.summary:
        rows = [f"| {code(step, 200)} | {state} |" for step, state in outcome.states.items()]
        text = "\n".join([f"### {one_line(name)}", "", "| step | |", "|---|---|", *rows, ""])
        with Path(context.files.summary).open("a", encoding="utf-8") as file:
            file.write(text)
    if json:
        write_json(outcome)
    else:
        rows_shown = [[loggable(step), state] for step, state in outcome.states.items()]
        show_table("Steps", ["step", ""], rows_shown, empty="No step was to run.")
