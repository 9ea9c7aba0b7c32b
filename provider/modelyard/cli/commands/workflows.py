"""``modelyard workflows``: the workflows that a project names."""

from typing import Any

import click

from modelyard.cli.documents import write_json
from modelyard.cli.options import project_options
from modelyard.cli.output import show_mapping, show_table, show_text
from modelyard.cli.tree import CommandGroup
from modelyard.projects import open_project
from modelyard.workflows import NotAWorkflow, Step, Workflow, as_mermaid
from modelyard.workflows.references import as_json

__all__ = ["workflows"]


@click.group(cls=CommandGroup)
def workflows() -> None:
    """Show a project's workflows: list, show, draw."""


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
