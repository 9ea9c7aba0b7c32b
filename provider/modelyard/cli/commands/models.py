"""``modelyard models``: the registered models of an environment."""

import click

from modelyard.cli.documents import write_json
from modelyard.cli.moments import when
from modelyard.cli.options import project_options
from modelyard.cli.output import show_mapping, show_table
from modelyard.cli.tree import CommandGroup
from modelyard.projects import open_project
from modelyard.tracking import ModelVersion, Tracking, open_tracking

__all__ = ["models"]


@click.group(cls=CommandGroup)
def models() -> None:
    """Show registered models, their versions and aliases."""


@models.command("list")
@project_options
def list_models(project: str, environment: str, json: bool) -> None:
    """List the registered models."""
    found = _tracking(project, environment).registry.models()
    if json:
        write_json(found)
        return
    rows = [[each.name, each.versions, each.aliases, when(each.updated / 1000), each.description] for each in found]
    columns = ["model", "versions", "aliases", "changed", "description"]
    show_table("Models", columns, rows, empty="No model is registered yet: modelyard register --help.")


@models.command("show")
@click.argument("name")
@project_options
def show_model(name: str, project: str, environment: str, json: bool) -> None:
    """Show the versions of one model; NAME may be a reference such as models:/delays@champion."""
    tracking = _tracking(project, environment)
    if ":" in name:
        resolved = tracking.resolve(name)
        versions = [each for each in tracking.registry.versions(resolved.name) if each.version == resolved.version]
    else:
        versions = tracking.registry.versions(name)
    if json:
        write_json(versions)
        return
    if len(versions) == 1:
        _show_version(versions[0])
        return
    rows = [[each.version, each.aliases, when(each.created / 1000), each.metrics, each.run_id] for each in versions]
    show_table(name, ["version", "aliases", "registered", "metrics", "run"], rows, empty="It has no version.")


def _show_version(version: ModelVersion) -> None:
    show_mapping(
        version.uri,
        {
            "aliases": version.aliases,
            "description": version.description,
            "registered": when(version.created / 1000),
            "run": version.run_id,
            "digest": version.digest,
            "metrics": version.metrics,
            "tags": version.tags,
        },
    )


def _tracking(project: str, environment: str) -> Tracking:
    opened = open_project(project)
    return open_tracking(opened.environment(environment), opened.name)
