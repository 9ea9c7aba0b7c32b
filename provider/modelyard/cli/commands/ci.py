"""``modelyard ci``: what a CI job does for a change, the same on every host."""

from importlib import import_module

import click

from modelyard.cli.tree import CommandGroup

__all__ = ["ci"]

_COMMANDS = {
    "detect": ("modelyard.cli.commands.ci_detect:detect_job", "Show what runs this job, why, and for which change."),
    "plan": ("modelyard.cli.commands.ci_plan:plan_job", "Show which functions, graphs and workflows a change touches."),
    "run": ("modelyard.cli.commands.ci_run:run_job", "Train and measure what the change needs, beside the champion."),
    "preview": (
        "modelyard.cli.commands.ci_preview:preview_job",
        "Deploy the change's graphs, ask them beside the champion.",
    ),
    "gate": (
        "modelyard.cli.commands.ci_gate:gate_job",
        "End with the exit code of a failed gate if one does not hold.",
    ),
    "report": (
        "modelyard.cli.commands.ci_report:report_job",
        "Write what the job found on the request and its commit.",
    ),
    "promote": (
        "modelyard.cli.commands.ci_promote:promote_job",
        "Promote exactly the model version that a report names.",
    ),
    "smoke": (
        "modelyard.cli.commands.ci_smoke:smoke_job",
        "Ask what was deployed, and go back if it does not answer.",
    ),
    "operation": (
        "modelyard.cli.commands.ci_operation:operate_job",
        "Run one operation on what the job's variables say.",
    ),
}
"""Command → the place of its implementation, and its line of help, in the order of a job."""


class _CiGroup(CommandGroup):
    """Imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a job runs them."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, imported now."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, importing none of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_CiGroup)
def ci() -> None:
    """Do in CI what a change needs: plan, train and compare, judge, report, preview, promote."""
