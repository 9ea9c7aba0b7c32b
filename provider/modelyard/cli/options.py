"""The flags that every operation has, and those that other commands share."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

__all__ = ["OPERATION_FLAGS", "Flag", "Settings", "environment_options", "json_option", "project_options"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Flag(NamedTuple):
    """One flag, to be made into an option of any command.

    Parameters
    ----------
    name
        With its dashes.
    help
        For people.
    metavar
        What stands for the value in help; empty for a switch.
    choices
        The allowed values, if only some are.
    variable
        The environment variable that is read where the flag is left out.
    default
        The value where both are left out.
    """

    name: str
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    variable: str = ""
    default: str = ""

    def option(self) -> click.Option:
        """Return a new option."""
        if not self.metavar:
            return click.Option([self.name], is_flag=True, help=self.help)
        return click.Option(
            [self.name],
            metavar=self.metavar,
            type=click.Choice(self.choices) if self.choices else click.STRING,
            default=None if self.choices else self.default,
            envvar=self.variable or None,
            help=self.help,
        )


PROJECT = Flag(
    "--project",
    "The project: a folder with modelyard.yaml, or git+URL@ref#subfolder.  "
    "[default: the current folder; or MODELYARD_PROJECT]",
    metavar="PROJECT",
    variable="MODELYARD_PROJECT",
    default=".",
)
ENVIRONMENT = Flag(
    "--environment",
    "The environment of modelyard.yaml.  [default: MODELYARD_ENVIRONMENT, or the first of the file]",
    metavar="NAME",
)
JSON = Flag("--json", "Write JSON alone to the standard output.")
DEBUG = Flag("--debug", "Log more, and show the traceback of an error.")

OPERATION_FLAGS = (
    PROJECT,
    ENVIRONMENT,
    Flag(
        "--key",
        "Names this piece of work: the same key attaches to it while it runs, and continues it after a failure.  "
        "[default: a new one]",
        metavar="KEY",
    ),
    Flag(
        "--launcher",
        "Where the work runs: in this process, or in one of its own on a snapshot of the project.  "
        "[default: inline; process with --python]",
        metavar="inline|process",
        choices=("inline", "process"),
    ),
    Flag(
        "--python",
        "The interpreter of the process.  [default: that of the function, of MODELYARD_PYTHON, of the environment; "
        "else this one]",
        metavar="PATH",
    ),
    Flag(
        "--parameters-file",
        "Parameters as JSON or YAML, - for the standard input; flags go before it.",
        metavar="FILE",
    ),
    Flag(
        "--result-file", "Write the result here as JSON, whole or not at all; of a failure, the error.", metavar="FILE"
    ),
    JSON,
    DEBUG,
    Flag("--quiet", "No log lines and no progress, only the result."),
)
"""The flags that every operation has."""


class Settings(NamedTuple):
    """How an operation is to be run and shown: the values of `OPERATION_FLAGS`."""

    project: str
    environment: str
    key: str
    launcher: str
    python: str
    parameters_file: str
    result_file: str
    json: bool
    debug: bool
    quiet: bool

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Settings":
        """Return the settings among the values that click has read."""
        settings = cls(**{name: given[name] for name in cls._fields})
        return settings._replace(launcher=settings.launcher or ("process" if settings.python else "inline"))


def project_options(function: FunctionT) -> FunctionT:
    """Add ``--project``, ``--environment``, ``--json`` and ``--debug`` to a command."""
    return _with(function, PROJECT, ENVIRONMENT, JSON, DEBUG)


def environment_options(function: FunctionT) -> FunctionT:
    """Add ``--project``, ``--environment`` and ``--debug`` to a command that has no result to show."""
    return _with(function, PROJECT, ENVIRONMENT, DEBUG)


def json_option(function: FunctionT) -> FunctionT:
    """Add ``--json`` and ``--debug`` to a command."""
    return _with(function, JSON, DEBUG)


def _with(function: FunctionT, *flags: Flag) -> FunctionT:
    """Add options as click's own decorators do; errors look for ``--debug`` by themselves (`cli.failures`)."""
    options = [flag.option() for flag in flags]
    for option in options:
        option.expose_value = option.name != "debug"
    collected: list[click.Parameter] = getattr(function, "__click_params__", [])
    vars(function)["__click_params__"] = [*collected, *reversed(options)]
    return function
