"""``modelyard graphs``: the serving graphs that a project names."""

from typing import Any

import click
import msgspec

from modelyard.cli.documents import read_text, write_json
from modelyard.cli.errors import FlagInvalid
from modelyard.cli.options import project_options
from modelyard.cli.output import show_mapping, show_table, show_text
from modelyard.cli.tree import CommandGroup
from modelyard.deploy.revision import load_graph
from modelyard.projects import open_project
from modelyard.serving.resources import project_resources

__all__ = ["graphs"]


@click.group(cls=CommandGroup)
def graphs() -> None:
    """Show and try a project's serving graphs: list, show, test."""


@graphs.command("list")
@project_options
def list_graphs(project: str, environment: str, json: bool) -> None:
    """List the graphs of the project."""
    opened = open_project(project)
    opened.environment(environment)
    found = [(name, handler, load_graph(opened, name)) for name, handler in opened.definition.graphs.items()]
    if json:
        write_json(
            [
                {"name": name, "handler": handler, "steps": graph.steps, "models": graph.models}
                for name, handler, graph in found
            ]
        )
        return
    rows = [[name, graph.steps, graph.models, handler] for name, handler, graph in found]
    show_table("Graphs", ["graph", "steps", "models", "defined in"], rows, empty="The project names no graph.")


@graphs.command("show")
@click.argument("name")
@project_options
def show_graph(name: str, project: str, environment: str, json: bool) -> None:
    """Show the steps of one graph."""
    opened = open_project(project)
    opened.environment(environment)
    spec = load_graph(opened, name).to_spec()
    if json:
        write_json(spec)
        return
    show_mapping(name, {"steps": len(spec.steps)})
    rows = [
        [number, step.name, step.kind, step.use, step.arguments, step.respond]
        for number, step in enumerate(spec.steps, start=1)
    ]
    show_text("")
    show_table("Steps", ["", "step", "kind", "runs", "arguments", "replies"], rows)


@graphs.command("test")
@click.argument("name")
@click.option("--body", default=None, metavar="JSON", help="What is sent; @FILE reads a file, @- the standard input.")
@project_options
def test_graph(name: str, body: str | None, project: str, environment: str, json: bool) -> None:
    """Send one body through a graph, in this process, and show the reply."""
    opened = open_project(project)
    graph = load_graph(opened, name)
    resources = project_resources(project, environment) if graph.models else None
    reply = graph.test(None if body is None else _body(body), resources=resources)
    del json
    write_json(reply)


def _body(text: str) -> Any:
    source = read_text(text[1:], "--body") if text.startswith("@") else text
    try:
        return msgspec.json.decode(source)
    except msgspec.DecodeError as error:
        raise FlagInvalid("--body", f"JSON ({error})", source) from error
