"""The entry point of the command line."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from modelyard.cli.errors import Interrupted
from modelyard.cli.failures import report, wishes_in
from modelyard.cli.tree import CommandTree
from modelyard.operations.thread_policy import apply_thread_policy

__all__ = ["cli", "main", "run_command_line"]

INTERRUPTED, TERMINATED, PIPE_CLOSED = 130, 143, 141
"""Exit codes of a process that a signal ended, as shells have them: 128 and the signal's number."""

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"modelyard {version('modelyard')}")
        context.exit()


cli = CommandTree(
    name="modelyard",
    help="Machine learning in production, from the tools that you have.\n\n"
    "Every operation runs the same from here, from Airflow and from CI. Try: modelyard OPERATION --help",
    context_settings=_CONTEXT,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        )
    ],
)
"""The whole command tree."""


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command line in this process and return its exit code.

    Parameters
    ----------
    arguments
        The words after ``modelyard``.
    """
    wishes = wishes_in(arguments)
    try:
        with cli.make_context("modelyard", list(arguments)) as context:
            cli.invoke(context)
        sys.stdout.flush()
        return 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, click.Abort):
        report(Interrupted("SIGINT"), wishes)
        return INTERRUPTED
    except SystemExit as end:
        if end.code != TERMINATED:
            # Of somebody's code, which has left its work undone: its code of success would be taken at its word.
            return report(end, wishes)
        # Terminated, from whoever listens for SIGTERM at the moment: this command, or a tracked run inside it.
        report(Interrupted("SIGTERM"), wishes)
        return TERMINATED
    except BrokenPipeError:
        # The reader went away, as in `modelyard runs list | head`: keep the interpreter from complaining at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a line and an exit code
        return report(error, wishes)


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    apply_thread_policy(os.environ)
    if "_MODELYARD_COMPLETE" in os.environ:
        cli.main(prog_name="modelyard")
    sys.exit(run_command_line(sys.argv[1:]))
