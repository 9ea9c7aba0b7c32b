"""The command tree: operations from the catalogue, others from a table; nothing is imported before it is used."""

from importlib import import_module

import click

from modelyard.errors import near_name
from modelyard.operations.catalogue import load_catalogue

__all__ = ["COMMANDS", "CommandGroup", "CommandTree", "summary_of"]

COMMANDS: dict[str, tuple[str, str]] = {
    "project": ("modelyard.cli.commands.project:project", "Show and check a project's modelyard.yaml."),
    "operations": ("modelyard.cli.commands.operations:operations", "What operations there are, and what they take."),
    "workflows": ("modelyard.cli.commands.workflows:workflows", "A project's workflows: list, show, draw, compile."),
    "graphs": ("modelyard.cli.commands.graphs:graphs", "A project's serving graphs: list, show, test, import."),
    "serve": ("modelyard.cli.commands.serve:serve", "Serve a graph on a port of this machine until Ctrl-C."),
    "endpoints": ("modelyard.cli.commands.endpoints:endpoints", "Endpoints: list, show, logs, scale, promote."),
    "models": ("modelyard.cli.commands.models:models", "Registered models, their versions and aliases."),
    "runs": ("modelyard.cli.commands.runs:runs", "What ran and what runs: list, show, cancel."),
    "ci": ("modelyard.cli.commands.ci:ci", "In CI: detect, plan, run, gate, report, preview, promote."),
    "generate": ("modelyard.cli.commands.generate:generate", "Write the files that are made from the operations."),
}
"""Command → the place of its implementation, and its line of help."""


class CommandGroup(click.Group):
    """A group that suggests the near name for an unknown one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            hint = near_name(name, self.list_commands(ctx))
            ctx.fail(f"there is no command {name!r}. {hint}")
        return super().resolve_command(ctx, args)


class CommandTree(CommandGroup):
    """The root: one command for each operation, and those of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names: the operations first."""
        del ctx
        return [*load_catalogue(), *COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, made or imported now."""
        del ctx
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        if cmd_name in load_catalogue():
            from modelyard.cli.operation import operation_command

            return operation_command(load_catalogue()[cmd_name])
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the operations and the other commands as two sections, importing none of them."""
        del ctx
        sections: dict[str, list[tuple[str, str]]] = {
            "Operations": [(name, summary_of(name)) for name in load_catalogue()],
            "Commands": [(name, line) for name, (_, line) in COMMANDS.items()],
        }
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def summary_of(name: str) -> str:
    """Return what an operation does; one of another distribution that cannot be loaded must not hide the others."""
    try:
        return load_catalogue()[name].summary
    except Exception as error:  # noqa: BLE001 - whatever their module raises
        return f"cannot be loaded: {error}"
