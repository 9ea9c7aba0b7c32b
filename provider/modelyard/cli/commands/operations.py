"""``modelyard operations``: the catalogue."""

import click
import msgspec

from modelyard.cli.documents import write_json
from modelyard.cli.flags import flag_name, plain
from modelyard.cli.options import json_option
from modelyard.cli.output import show_mapping, show_table, show_text
from modelyard.cli.tree import CommandGroup, summary_of
from modelyard.operations import OperationSpec
from modelyard.operations.catalogue import load_catalogue

__all__ = ["operations"]


@click.group(cls=CommandGroup)
def operations() -> None:
    """Show what operations there are, and what they take and return."""


@operations.command("list")
@json_option
def list_operations(json: bool) -> None:
    """List the operations of all installed distributions."""
    found = [(name, summary_of(name)) for name in load_catalogue()]
    if json:
        write_json([{"name": name, "summary": summary} for name, summary in found])
        return
    show_table("Operations", ["operation", "what it does"], found, empty="No operation is installed.")


@operations.command("show")
@click.argument("name")
@json_option
def show_operation(name: str, json: bool) -> None:
    """Show the parameters and the result of one operation; with --json also their JSON Schemas."""
    spec = load_catalogue().spec(name)
    if json:
        schemas = {"parameter_schema": spec.parameter_schema(), "result_schema": spec.result_schema()}
        write_json({**msgspec.to_builtins(spec), **schemas})
        return
    _show(spec)


def _show(spec: OperationSpec) -> None:
    show_mapping(
        spec.name,
        {"does": spec.summary, "implementation": spec.implementation, "side effects": spec.side_effects},
    )
    parameters = [
        [flag_name(each.name), each.type.annotation(), "required" if each.required else each.default, plain(each.doc)]
        for each in spec.parameters
    ]
    show_text("")
    show_table("Parameters", ["parameter", "type", "default", "meaning"], parameters, empty="It takes no parameters.")
    results = [[each.name, each.type.annotation(), plain(each.doc)] for each in spec.results]
    show_text("")
    show_table("Result", ["field", "type", "meaning"], results)
