"""``modelyard graphs``: the serving graphs that a project names."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import msgspec

from modelyard.cli.documents import read_text, write_json
from modelyard.cli.errors import FileUnreadable, FileUnwritable, FlagInvalid
from modelyard.cli.options import json_option, project_options
from modelyard.cli.output import show_mapping, show_table, show_text
from modelyard.cli.tree import CommandGroup
from modelyard.deploy.revision import load_graph
from modelyard.graphs import Event, Graph, HandlerSpec, Resources, Response, StepSpec
from modelyard.graphs.interchange import ExchangeLog, exchange, graph_from_mlrun
from modelyard.graphs.interchange import replay as replayed
from modelyard.graphs.spec_text import write_text
from modelyard.projects import open_project
from modelyard.serving.resources import project_resources

__all__ = ["graphs"]


@click.group(cls=CommandGroup)
def graphs() -> None:
    """Show and try a project's serving graphs: list, show, test, import."""


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
@click.option("--mermaid", is_flag=True, help="Draw it, as Mermaid: GitHub, GitLab and many editors show it.")
@project_options
def show_graph(name: str, mermaid: bool, project: str, environment: str, json: bool) -> None:
    """Show the steps of one graph, or draw it."""
    opened = open_project(project)
    opened.environment(environment)
    graph = load_graph(opened, name)
    if mermaid:
        show_text(str(graph.show()))
        return
    spec = graph.to_spec()
    if json:
        write_json(spec)
        return
    handler = {"errors": _handler(spec.on_error)} if spec.on_error else {}
    show_mapping(name, {"steps": len(spec.steps), **handler})
    rows = [row for number, step in enumerate(spec.steps, start=1) for row in _rows(str(number), step, step.name)]
    columns = ["", "step", "kind", "runs", "arguments", "replies", "after", "settings", "errors"]
    told = [index for index in range(len(columns)) if index < 6 or any(row[index] for row in rows)]
    show_text("")
    show_table("Steps", [columns[index] for index in told], [[row[index] for index in told] for row in rows])


def _rows(number: str, step: StepSpec, name: str) -> Iterator[list[Any]]:
    """Yield what is shown of a step, and of its members."""
    after = [each or "input" for each in step.after] if step.after is not None else []
    settings = msgspec.to_builtins(step.settings) if step.settings else {}
    shown = [number, name, step.kind, step.use, step.arguments, step.respond, after, settings]
    yield [*shown, _handler(step.on_error) if step.on_error else ""]
    for position, member in enumerate(step.members, start=1):
        yield from _rows(f"{number}.{position}", member, f"{name}.{member.name}")


def _handler(handler: HandlerSpec) -> str:
    return " → ".join(each for each in (handler.use, handler.continue_at) if each)


@graphs.command("test")
@click.argument("name")
@click.option("--body", default=None, metavar="JSON", help="What is sent; @FILE reads a file, @- the standard input.")
@click.option("--bodies", default=None, metavar="FILE", help="Instead: a file with a body on each line.")
@click.option("--record", default=None, metavar="FILE", help="Add requests and replies to this file, for --replay.")
@click.option("--replay", default=None, metavar="FILE", help="Send what was recorded again, and compare the replies.")
@click.option(
    "--tolerance", default=0.0, metavar="FLOAT", help="By how much numbers in replies may differ.  [default: 0]"
)
@click.option("--ignore", multiple=True, metavar="PATH", help="A place in replies that does not matter: $.rows[*].id")
@project_options
def test_graph(
    name: str,
    body: str | None,
    bodies: str | None,
    record: str | None,
    replay: str | None,
    tolerance: float,
    ignore: tuple[str, ...],
    project: str,
    environment: str,
    json: bool,
) -> None:
    """Send a body, several, or what was recorded through a graph, in this process, and show what comes back."""
    if sum(each is not None for each in (body, bodies, replay)) > 1:
        raise click.UsageError("--body, --bodies and --replay exclude each other.")
    opened = open_project(project)
    graph = load_graph(opened, name)
    resources = project_resources(project, environment) if graph.models else None
    with ExitStack() as stack:
        log = stack.enter_context(_log(record)) if record is not None else None
        if replay is not None:
            found = replayed(graph, replay, tolerance=tolerance, ignore=ignore, resources=resources, log=log)
            if not json:
                show_text(str(found))
            found.check()
            if json:
                write_json({"total": found.total, "different": []})
        elif bodies is None and log is None:
            _show(graph.test(None if body is None else _body(body), resources=resources), json=json)
        else:
            given = [None if body is None else _body(body)] if bodies is None else _lines(bodies)
            _send(graph, given, resources, log, json=json)


def _show(reply: Any, *, json: bool) -> None:
    """Show a reply; where it has a status of its own, that too: beside the body, or with it as JSON."""
    if not isinstance(reply, Response):
        write_json(reply)
    elif json:
        write_json({"status": reply.status, "headers": reply.headers, "body": reply.body})
    else:
        write_json(reply.body)
        click.echo(f"status {reply.status}", err=True)


@graphs.command("import")
@click.argument("file")
@click.option("--module", default="", metavar="MODULE", help="Where names without a module are, as a dotted path.")
@click.option("--name", default="", metavar="TEXT", help="The graph's name.  [default: the function's]")
@json_option
def import_graph(file: str, module: str, name: str, json: bool) -> None:
    """Turn a graph that MLRun stored (YAML or JSON) into one of ours, and show it as YAML."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # the classes that the graph names are in the current folder
    graph = graph_from_mlrun(read_text(file, "FILE"), name=name, module=module)
    if json:
        write_json(graph.to_spec())
    else:
        show_text(write_text(msgspec.to_builtins(graph.to_spec())))


def _send(graph: Graph, bodies: list[Any], resources: Resources | None, log: ExchangeLog | None, *, json: bool) -> None:
    """Send bodies one after the other, and show each reply or error on a line."""
    with graph.open(resources) as plan:
        for number, body in enumerate(bodies, start=1):
            found = exchange(plan, Event(body))
            if log is not None:
                log.write(found)
            if json:
                show_text(msgspec.json.encode(found).decode())
            else:
                told = found.message if found.error else msgspec.json.encode(found.reply).decode()
                show_text(f"#{number} {found.status} {told}")


def _log(path: str) -> ExchangeLog:
    try:
        return ExchangeLog(path)
    except OSError as error:
        raise FileUnwritable("--record", path, error.strerror or str(error)) from error


def _lines(path: str) -> list[Any]:
    found = []
    for number, line in enumerate(read_text(path, "--bodies").splitlines(), start=1):
        if line.strip():
            try:
                found.append(msgspec.json.decode(line))
            except msgspec.DecodeError as error:
                raise FileUnreadable("--bodies", path, f"has no JSON on line {number}: {error}") from error
    return found


def _body(text: str) -> Any:
    source = read_text(text[1:], "--body") if text.startswith("@") else text
    try:
        return msgspec.json.decode(source)
    except msgspec.DecodeError as error:
        raise FlagInvalid("--body", f"JSON ({error})", source) from error
