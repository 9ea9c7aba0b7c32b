"""``modelyard ci operation``: one operation, its parameters in variables: what actions and templates call."""

import os
from pathlib import Path

import click
import msgspec

from modelyard.ci.job import FOLDER, CiJob, open_job
from modelyard.ci.operating import given_inputs, handed_on, summary
from modelyard.ci.outputs import write_outputs
from modelyard.ci.places import place_of
from modelyard.ci.reporting.annotations import workflow_command
from modelyard.ci.reporting.escaping import one_line
from modelyard.ci.traces import trace_of
from modelyard.cli.documents import write_json
from modelyard.cli.flags import value_of
from modelyard.cli.options import project_options
from modelyard.cli.presenting import present
from modelyard.cli.reporting import reporting
from modelyard.cli.signals import termination_cancels
from modelyard.errors import ModelyardError
from modelyard.operations import OperationSpec
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.keys import random_key
from modelyard.projects.dispatch import Completed, acknowledge, dispatch

__all__ = ["operate_job"]


@click.command("operation")
@click.argument("name")
@click.option("--key", metavar="KEY", default="", envvar="MODELYARD_KEY", help="Names the work; another try goes on.")
@click.option("--folder", metavar="PATH", default="", help=f"Where the job's files are.  [default: {FOLDER}]")
@click.option("--quiet", is_flag=True, help="No log lines, only the result.")
@click.option("--dry-run", is_flag=True, help="Check what is given, show it, and run nothing.")
@project_options
def operate_job(
    name: str, key: str, folder: str, quiet: bool, dry_run: bool, project: str, environment: str, json: bool
) -> None:
    """Run the operation NAME with what the variables MODELYARD_INPUT_* say.

    MODELYARD_INPUT_LABEL_COLUMN is the parameter label_column; an empty one is not given. A list has an item on each
    line, a mapping a NAME=VALUE, or either is JSON. Values never pass through a shell.
    """
    spec = load_catalogue().spec(name)
    parameters = spec.bind(_values(spec))
    if dry_run:
        write_json({"operation": name, "parameters": parameters})
        return
    job = open_job(project, folder)
    try:
        with reporting(quiet=quiet, debug=False) as reporter, termination_cancels():
            completed = dispatch(
                name,
                parameters,
                project=project,
                environment=environment,
                key=key or random_key(),
                launcher="inline",
                on_log=reporter.line,
                progress=reporter,
            )
    except ModelyardError as error:
        for line in () if quiet else trace_of(error, job.redaction):
            click.echo(line, err=True)
        _remark(job, name, error)
        raise
    _publish(job, spec, completed)
    if json:
        write_json(completed.result)
    else:
        present(spec, completed.result)
    acknowledge(completed.key, project=project, environment=environment, generation=completed.generation)


def _values(spec: OperationSpec) -> dict[str, object]:
    known = {each.name: each for each in spec.parameters}
    found: dict[str, object] = {}
    for name, lines in given_inputs(spec, os.environ).items():
        several = known[name].type.kind in ("list", "mapping")
        found[name] = value_of(known[name], lines if several else lines[0])
    return found


def _publish(job: CiJob, spec: OperationSpec, completed: Completed) -> None:
    result = msgspec.to_builtins(completed.result)
    write_outputs(job.context, handed_on(spec, result, job.folder))
    if job.context.files.summary:
        with Path(job.context.files.summary).open("a", encoding="utf-8") as file:
            file.write(summary(spec, job.redaction.values(result)))


def _remark(job: CiJob, name: str, error: ModelyardError) -> None:
    """Have GitHub show the error at the line of the project that raised it."""
    if job.context.host != "github":
        return
    from modelyard.ci.forges import Annotation

    path, line = place_of(job.project, f"{error.where} {error.what}")
    if path:
        text = one_line(job.redaction(str(error)), 2_000)
        click.echo(workflow_command(Annotation(path, max(1, line), f"{name} failed", text)), err=True)
