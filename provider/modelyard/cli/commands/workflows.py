"""``modelyard workflows``: the workflows that a project names."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from modelyard.cli.commands.workflow_jobs import do_step, finish_run
from modelyard.cli.documents import write_json
from modelyard.cli.errors import FileUnwritable
from modelyard.cli.options import environment_options, project_options
from modelyard.cli.output import show_mapping, show_table, show_text
from modelyard.cli.tree import CommandGroup
from modelyard.operations.atomic import write_atomically
from modelyard.projects import open_project
from modelyard.workflows import NotAWorkflow, Step, Workflow, as_mermaid
from modelyard.workflows.engines.registry import compiler_of, publisher_of
from modelyard.workflows.engines.remote import RunRequest
from modelyard.workflows.references import as_json

__all__ = ["workflows"]


@click.group(cls=CommandGroup)
def workflows() -> None:
    """Show a project's workflows: list, show, draw, compile, publish; step and finish are for the jobs of CI hosts."""


workflows.add_command(do_step)
workflows.add_command(finish_run)


@workflows.command("list")
@project_options
def list_workflows(project: str, environment: str, json: bool) -> None:
    """List the workflows of the project."""
    opened = open_project(project)
    opened.environment(environment)
    found = [(name, handler, _load(project, name)) for name, handler in opened.definition.workflows.items()]
    if json:
        write_json(
            [
                {"name": name, "handler": handler, "summary": each.summary, "steps": [step.name for step in each.steps]}
                for name, handler, each in found
            ]
        )
        return
    rows = [[name, len(each.steps), each.summary, handler] for name, handler, each in found]
    show_table(
        "Workflows", ["workflow", "steps", "what it does", "defined in"], rows, empty="The project names no workflow."
    )


@workflows.command("show")
@click.argument("name")
@project_options
def show_workflow(name: str, project: str, environment: str, json: bool) -> None:
    """Show the parameters and the steps of one workflow."""
    del environment
    found = _load(project, name)
    if json:
        write_json(found.as_json())
        return
    show_mapping(name, {"does": found.summary, "steps": len(found.steps)})
    inputs = [
        [each.name, each.type.annotation(), "required" if each.required else each.default, each.doc]
        for each in found.inputs
    ]
    show_text("")
    show_table("Parameters", ["parameter", "type", "default", "meaning"], inputs, empty="It takes no parameters.")
    rows = [[step.name, step.operation, list(step.needs), _parameters(step)] for step in found.steps]
    show_text("")
    show_table("Steps", ["step", "operation", "waits for", "parameters"], rows)


@workflows.command("graph")
@click.argument("name")
@project_options
def draw_workflow(name: str, project: str, environment: str, json: bool) -> None:
    """Draw one workflow as a Mermaid flowchart."""
    del environment
    drawn = as_mermaid(_load(project, name))
    if json:
        write_json({"name": name, "mermaid": drawn})
    else:
        show_text(drawn)


@workflows.command("compile")
@click.argument("name")
@click.option(
    "--engine",
    type=click.Choice(("local", "airflow", "kfp", "github", "gitlab")),
    default="local",
    help="What the file is for: the definition as JSON (local), a DAG file (airflow), a pipeline as YAML (kfp), "
    "a workflow of GitHub Actions (github), a pipeline of GitLab (gitlab).",
)
@click.option("--output", metavar="FILE", default="", help="Write the file here; to the standard output if left out.")
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="What the engine's file may have besides."
)
@environment_options
def compile_workflow(
    name: str, engine: str, output: str, options: tuple[str, ...], project: str, environment: str
) -> None:
    """Make the file that an engine reads of one workflow."""
    opened = open_project(project)
    request = RunRequest(
        workflow=_load(project, name),
        name=name,
        inputs={},
        project=opened.reference,
        project_name=opened.name,
        environment=environment,
        workflow_run="",
    )
    text = compiler_of(engine)(request, _options(options))
    if not output:
        show_text(text.rstrip("\n"))
        return
    path = Path(output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except OSError as error:
        raise FileUnwritable("--output", output, error.strerror or str(error)) from error


@workflows.command("publish")
@click.argument("name")
@click.option(
    "--engine", type=click.Choice(("kfp",)), default="kfp", show_default=True, help="Where: Kubeflow Pipelines (kfp)."
)
@click.option("--version", required=True, metavar="NAME", help="The name of this version; it must be new.")
@click.option(
    "--schedule",
    default="",
    metavar="CRON",
    help='When to start it: six fields, with seconds, such as "0 0 3 * * *". An earlier schedule is switched off.',
)
@click.option("--param", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the scheduled runs.")
@project_options
def publish_workflow(
    name: str,
    engine: str,
    version: str,
    schedule: str,
    parameters: tuple[str, ...],
    project: str,
    environment: str,
    json: bool,
) -> None:
    """Put one workflow where people start it, as a version; or have it started by a schedule."""
    opened = open_project(project)
    found = _load(project, name)
    given = _options(parameters, "--param")
    if given and not schedule:
        raise click.UsageError("--param is for the runs of a --schedule.")
    request = RunRequest(
        workflow=found,
        name=name,
        inputs=found.bind(given) if schedule else {},
        project=opened.reference,
        project_name=opened.name,
        environment=environment,
        workflow_run="",
    )
    published = publisher_of(engine)(request, version, schedule)
    if json:
        write_json(asdict(published))
        return
    facts = {"version": published.version, "at": published.url}
    if published.schedule:
        facts |= {"schedule": published.schedule, "instead of": ", ".join(published.replaced) or "none"}
    show_mapping(published.name, facts)


def _options(given: tuple[str, ...], flag: str = "--option") -> dict[str, str]:
    found = {}
    for each in given:
        option, equals, value = each.partition("=")
        if not equals:
            raise click.UsageError(f"{flag} takes NAME=VALUE, got {each}.")
        found[option] = value
    return found


def _load(project: str, name: str) -> Workflow:
    found = open_project(project).load_workflow(name)
    if not isinstance(found, Workflow):
        raise NotAWorkflow(name, type(found).__name__)
    return found


def _parameters(step: Step) -> dict[str, Any]:
    """Return a step's parameters for a cell: a reference as its own name."""
    return {name: _short(value) for name, value in as_json(step.parameters).items()}


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) in ({"$from"}, {"$input"}):
            return next(iter(value.values()))
        return {name: _short(each) for name, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list) else value
