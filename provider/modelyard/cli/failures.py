"""The one boundary where an error becomes a line, a record and an exit code."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from modelyard.cli.errors import UsageInvalid
from modelyard.errors import ErrorKind, ErrorRecord, ForeignError, ModelyardError, outcome_of

__all__ = ["Wishes", "as_known", "report", "wishes_in"]


class Wishes(NamedTuple):
    """What a command line asks about errors, found even where the command line cannot be read otherwise."""

    json: bool
    debug: bool
    result_file: str


def wishes_in(arguments: Sequence[str]) -> Wishes:
    """Return what the raw arguments ask about errors.

    Examples
    --------
    >>> wishes = wishes_in(["train", "--json", "--result-file=out.json"])
    >>> wishes.json, wishes.debug, wishes.result_file
    (True, False, 'out.json')
    """
    result_file = ""
    for index, argument in enumerate(arguments):
        if argument == "--result-file" and index + 1 < len(arguments):
            result_file = arguments[index + 1]
        elif argument.startswith("--result-file="):
            result_file = argument.partition("=")[2]
    return Wishes(json="--json" in arguments, debug="--debug" in arguments, result_file=result_file)


def as_known(error: BaseException) -> ModelyardError | None:
    """Return the error as one of ours, or None for one that was not raised on purpose."""
    if isinstance(error, ModelyardError):
        return error
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        return UsageInvalid(" ".join(error.format_message().split()), context.command_path if context else "modelyard")
    return None


def report(error: BaseException, wishes: Wishes) -> int:
    """Tell people and programs about an error; return the exit code of its kind."""
    known = as_known(error)
    record = known.record() if known else _unexpected(error)
    if wishes.debug:
        import traceback

        sys.stderr.write("".join(traceback.format_exception(error)))
    _say(known or ForeignError(record))
    if wishes.result_file:
        _write_result(wishes.result_file, record)
    if wishes.json:
        from modelyard.cli.documents import write_json

        write_json({"error": record})
    return outcome_of(record.kind).exit_code


def _unexpected(error: BaseException) -> ErrorRecord:
    from modelyard.operations.execution import record_of

    record = record_of(error)
    mend = record.mend or "--debug shows where it happened."
    return msgspec.structs.replace(record, mend=mend)


def _say(message: object) -> None:
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stderr.isatty()
    label = "error:" if plain else click.style("error:", fg="red", bold=True)
    # Neither a terminal nor a log obeys what others have written: colours, folded sections, hidden letters.
    line = " ".join("".join(each for each in str(message) if each.isprintable() or each.isspace()).split())
    # CI hosts read commands from logs, this one anywhere in a line; an error may tell what others have written.
    sys.stderr.write(f"{label} {line.replace('##[', '# #[')}\n")


def _write_result(path: str, record: ErrorRecord) -> None:
    from modelyard.operations.results import write_result

    state = "cancelled" if record.kind is ErrorKind.CANCELLED else "failed"
    try:
        write_result(Path(path), state, error=record)
    except OSError as error:
        _say(f"the result file {path} cannot be written: {error.strerror}")
