"""``modelyard ci detect``: what runs this job."""

import click
import msgspec

from modelyard.ci.forges import completed, open_forge
from modelyard.ci.hosts import CiContext, detect
from modelyard.ci.outputs import write_outputs
from modelyard.ci.reporting.escaping import loggable
from modelyard.cli.documents import write_json
from modelyard.cli.options import json_option
from modelyard.cli.output import show_mapping

__all__ = ["detect_job"]


@click.command("detect")
@click.option("--ask", is_flag=True, help="Ask the forge for what the host does not tell, such as a comment's commit.")
@json_option
def detect_job(ask: bool, json: bool) -> None:
    """Show what runs this job, why, and for which change.

    Nothing that is secret is shown. The same values go to the host's file of outputs.
    """
    context = detect()
    if ask:
        forge = open_forge(context)
        context = completed(context, forge)
        if forge:
            forge.close()
    write_outputs(context, _outputs(context))
    if json:
        write_json(context)
        return
    facts = msgspec.to_builtins(context)
    show_mapping("ci", {name: _shown(value) for name, value in facts.items() if value not in ("", 0, False)})


def _outputs(context: CiContext) -> dict[str, str]:
    return {
        "host": context.host,
        "event": context.event,
        "request": str(context.request or ""),
        "head-commit": context.head_commit,
        "base-commit": context.base_commit,
        "fork": str(context.fork).lower(),
        "may-command": str(context.may_command).lower(),
        "may-write": str(context.token.ability == "write").lower(),
    }


def _shown(value: object) -> object:
    if isinstance(value, dict):
        return {name: _shown(each) for name, each in value.items() if each}
    return loggable(value) if isinstance(value, str) else value
