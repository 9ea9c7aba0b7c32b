"""``modelyard project``: modelyard.yaml as modelyard reads it."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import click
import msgspec

from modelyard.cli.documents import write_json
from modelyard.cli.errors import ProjectHasErrors
from modelyard.cli.options import json_option, project_options
from modelyard.cli.output import show_mapping, show_table, show_text
from modelyard.cli.tree import CommandGroup
from modelyard.errors import ModelyardError
from modelyard.projects import Environment, Project, open_project
from modelyard.projects.schema import project_schema

__all__ = ["project"]


@click.group(cls=CommandGroup)
def project() -> None:
    """Show and check a project's modelyard.yaml."""


@project.command("show")
@project_options
def show_project(project: str, environment: str, json: bool) -> None:
    """Show the project and the environment in use, as they are read."""
    opened = open_project(project)
    facts = _facts(opened, opened.environment(environment))
    if json:
        write_json(facts)
        return
    show_mapping(
        opened.name, {name: facts[name] for name in ("name", "root", "source", "stamp", "environments", "environment")}
    )
    for kind in ("functions", "graphs", "workflows"):
        rows = [[name, handler] for name, handler in facts[kind].items()]
        if rows:
            show_text("")
            show_table(kind.capitalize(), [kind[:-1], "defined in"], rows)


def _facts(opened: Project, environment: Environment) -> dict[str, Any]:
    definition = opened.definition
    return {
        "name": opened.name,
        "root": str(opened.root),
        "source": str(opened.source),
        "stamp": msgspec.structs.asdict(opened.stamp),
        "functions": {name: each.handler for name, each in definition.functions.items()},
        "features": definition.features,
        "graphs": definition.graphs,
        "workflows": definition.workflows,
        "environments": list(definition.environments) or [environment.name],
        "environment": {
            "name": environment.name,
            "tracking": environment.tracking,
            "artifacts": environment.artifacts,
            "state": environment.state_uri,
            "deploy": environment.deploy,
            "python": environment.python,
            "secrets": list(environment.secrets),
        },
    }


class _Check(NamedTuple):
    """One thing of the project that was tried."""

    what: str
    error: ModelyardError | None


@project.command("validate")
@project_options
def validate_project(project: str, environment: str, json: bool) -> None:
    """Check modelyard.yaml, the environment, and that every function, graph and workflow it names can be imported."""
    opened = open_project(project)
    checks = [_check(f"environment {environment or 'in use'}", partial(_check_environment, opened, environment))]
    loaders: tuple[tuple[str, Any, Callable[[str], Any]], ...] = (
        ("function", opened.definition.functions, opened.load_function),
        ("graph", opened.definition.graphs, opened.load_graph),
        ("workflow", opened.definition.workflows, opened.load_workflow),
    )
    for kind, names, load in loaders:
        checks += [_check(f"{kind} {name}", partial(load, name)) for name in names]
    found = {check.what: check.error.record() if check.error else None for check in checks}
    failed = [check.what for check in checks if check.error]
    if json and not failed:
        write_json({"project": opened.name, "checked": found})
    elif not json:
        rows = [[check.what, str(check.error) if check.error else "good"] for check in checks]
        show_table(opened.name, ["checked", "found"], rows)
    if failed:
        raise ProjectHasErrors(str(opened.root), failed, found)


def _check_environment(opened: Project, name: str) -> None:
    from modelyard.deploy.errors import located
    from modelyard.deploy.targets import find_target

    environment = opened.environment(name)
    with located(environment.places):
        find_target(str(environment.deploy.get("target") or "local")).check(environment.deploy, opened.root)


def _check(what: str, attempt: Callable[[], Any]) -> _Check:
    try:
        attempt()
    except ModelyardError as error:
        return _Check(what, error)
    return _Check(what, None)


@project.command("schema")
@json_option
def show_schema(json: bool) -> None:
    """Write the JSON Schema of modelyard.yaml, for editors."""
    del json
    write_json(project_schema())
