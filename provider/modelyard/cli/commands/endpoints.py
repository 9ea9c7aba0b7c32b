"""``modelyard endpoints``: what answers where."""

import os
import time
from pathlib import Path
from typing import TextIO

import click
import msgspec

from modelyard.cli.documents import write_json
from modelyard.cli.moments import when
from modelyard.cli.options import project_options
from modelyard.cli.output import show_mapping, show_table, show_text
from modelyard.cli.tree import CommandGroup
from modelyard.deploy import list_endpoints, read_endpoint, tail_log
from modelyard.deploy.targets import Target, find_target, user_name
from modelyard.projects import open_project

__all__ = ["endpoints"]

_FOLLOW_SECONDS = 0.5


@click.group(cls=CommandGroup)
def endpoints() -> None:
    """Endpoints: list, show, logs, scale, promote."""


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
    workers, history, rollout = facts.pop("workers"), facts.pop("history"), facts.pop("rollout")
    show_mapping(name, {**facts, "since": when(found.since)})
    if rollout:
        show_text("")
        moments = {each: when(rollout[each]) for each in ("since", "until")}
        show_mapping(f"Rollout of {rollout['revision']}", {**rollout, **moments})
    if workers:
        show_text("")
        show_table("Workers", list(workers[0]), [list(worker.values()) for worker in workers])
    if history:
        show_text("")
        columns = ["revision", "since", "action", "by", "commit", "models"]
        rows = [[when(past[each]) if each == "since" else past[each] for each in columns] for past in history]
        show_table("Revisions", columns, rows)


@endpoints.command("logs")
@click.argument("name")
@click.option("--lines", default=50, show_default=True, metavar="INTEGER", help="How many of the last lines.")
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@project_options
def show_logs(name: str, lines: int, follow: bool, project: str, environment: str, json: bool) -> None:
    """Show the last lines of an endpoint's log."""
    state = _state(project, environment)
    log = Path(read_endpoint(state, name).log)
    end = log.stat().st_size if log.exists() else 0
    last = tail_log(state, name, lines)
    if json:
        write_json({"endpoint": name, "lines": last})
        return
    for line in last:
        show_text(line)
    if follow:
        _follow(log, end)


@endpoints.command("scale")
@click.argument("name")
@click.option("--workers", type=int, metavar="INTEGER", help="How many: the same as --min and --max.")
@click.option("--min", "least", type=int, metavar="INTEGER", help="The fewest; 0 ends the last one when nobody asks.")
@click.option("--max", "most", type=int, metavar="INTEGER", help="The most.")
@project_options
def scale_endpoint(
    name: str, workers: int | None, least: int | None, most: int | None, project: str, environment: str, json: bool
) -> None:
    """Change how many workers an endpoint has, until the next deployment."""
    given = {"min": workers if least is None else least, "max": workers if most is None else most}
    bounds = {bound: value for bound, value in given.items() if value is not None}
    if not bounds:
        raise click.UsageError("--workers, --min or --max is missing")
    place, state = _place(project, environment)
    changed = place.scale(name, state, bounds)
    scale = read_endpoint(state, name).scale
    if json:
        write_json({"endpoint": name, "changed": changed, "scale": scale})
    else:
        show_text(f"{name} has from {scale.min} to {scale.max} workers{'' if changed else ', as before'}")


@endpoints.command("promote")
@click.argument("name")
@project_options
def promote_endpoint(name: str, project: str, environment: str, json: bool) -> None:
    """Give all traffic to the revision that is tried on a part of it.

    modelyard rollback ends the trial instead.
    """
    place, state = _place(project, environment)
    changed = place.promote(name, state, user_name())
    found = read_endpoint(state, name)
    if json:
        write_json({"endpoint": name, "changed": changed, "revision": found.revision})
    else:
        show_text(f"{found.revision} answers at {found.url}" if changed else f"no revision of {name} is being tried")


def _follow(log: Path, end: int) -> None:
    """Write what is added to a log after its `end`, also once it is there, and after it was rotated away."""
    while not log.exists():
        time.sleep(_FOLLOW_SECONDS)
    while True:
        with log.open(encoding="utf-8", errors="replace") as file:
            file.seek(end)
            _tell(log, file)
        end = 0


def _tell(log: Path, file: TextIO) -> None:
    """Write what is added to an open log until another file has its name."""
    is_over = False
    while True:
        while text := file.read():
            click.echo(text, nl=False)
        if is_over:
            return
        time.sleep(_FOLLOW_SECONDS)
        # what was written just before the rotation is still to be read
        is_over = log.exists() and log.stat().st_ino != os.fstat(file.fileno()).st_ino


def _place(project: str, environment: str) -> tuple[Target, Path]:
    chosen = open_project(project).environment(environment)
    return find_target(str(chosen.deploy.get("target") or "local")), chosen.state


def _state(project: str, environment: str) -> Path:
    return open_project(project).environment(environment).state
