"""``modelyard endpoints``: what answers where."""

import os
import time
from pathlib import Path

import click
import msgspec

from modelyard.cli.documents import write_json
from modelyard.cli.moments import when
from modelyard.cli.options import project_options
from modelyard.cli.output import show_mapping, show_table, show_text
from modelyard.cli.tree import CommandGroup
from modelyard.deploy import list_endpoints, read_endpoint, tail_log
from modelyard.projects import open_project

__all__ = ["endpoints"]

_FOLLOW_SECONDS = 0.5


@click.group(cls=CommandGroup)
def endpoints() -> None:
    """Show deployed endpoints: list, show, logs."""


@endpoints.command("list")
@project_options
def show_endpoints(project: str, environment: str, json: bool) -> None:
    """List the endpoints of the environment."""
    found = list_endpoints(_state(project, environment))
    if json:
        write_json(found)
        return
    rows = [[each.name, each.state, each.url, each.revision, each.models, when(each.since)] for each in found]
    columns = ["endpoint", "state", "url", "revision", "models", "since"]
    show_table("Endpoints", columns, rows, empty="Nothing is deployed: modelyard deploy --help.")


@endpoints.command("show")
@click.argument("name")
@project_options
def show_endpoint(name: str, project: str, environment: str, json: bool) -> None:
    """Show one endpoint: its state, revision, models and processes."""
    found = read_endpoint(_state(project, environment), name)
    if json:
        write_json(found)
        return
    facts = msgspec.to_builtins(found)
    workers, history = facts.pop("workers"), facts.pop("history")
    show_mapping(name, {**facts, "since": when(found.since)})
    if workers:
        show_text("")
        show_table("Workers", list(workers[0]), [list(worker.values()) for worker in workers])
    if history:
        show_text("")
        show_table("Revisions", ["revision", "since"], [[past["revision"], when(past["since"])] for past in history])


@endpoints.command("logs")
@click.argument("name")
@click.option("--lines", default=50, show_default=True, metavar="INTEGER", help="How many of the last lines.")
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@project_options
def show_logs(name: str, lines: int, follow: bool, project: str, environment: str, json: bool) -> None:
    """Show the last lines of an endpoint's log."""
    state = _state(project, environment)
    last = tail_log(state, name, lines)
    if json:
        write_json({"endpoint": name, "lines": last})
        return
    for line in last:
        show_text(line)
    if follow:
        _follow(Path(read_endpoint(state, name).log))


def _follow(log: Path) -> None:
    """Write what is added to a log from now on, also after it was rotated away."""
    file = log.open(encoding="utf-8", errors="replace")
    file.seek(0, 2)
    while True:
        text = file.read()
        if text:
            click.echo(text, nl=False)
            continue
        time.sleep(_FOLLOW_SECONDS)
        if log.exists() and log.stat().st_ino != os.fstat(file.fileno()).st_ino:
            file.close()
            file = log.open(encoding="utf-8", errors="replace")


def _state(project: str, environment: str) -> Path:
    return open_project(project).environment(environment).state
