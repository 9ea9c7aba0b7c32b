"""The traceback of a project's function, for a job's log: the journal, which has it, ends with the machine."""

import traceback

from modelyard.ci.redaction import Redaction
from modelyard.ci.reporting.escaping import loggable
from modelyard.projects.errors import UserFunctionFailed

__all__ = ["trace_of"]

_MOST_LINES = 60


def trace_of(error: BaseException | None, redaction: Redaction) -> list[str]:
    """Return the lines of the traceback of what a function of the project raised; none where that is not the cause.

    Parameters
    ----------
    error
        What came of the work; its causes are followed.
    redaction
        What must not be seen.
    """
    while error is not None and not isinstance(error, UserFunctionFailed):
        error = error.__cause__
    if error is None or error.__cause__ is None:
        return []
    text = redaction("".join(traceback.format_exception(error.__cause__)))
    # A line keeps its indentation, and is no command to the host.
    lines = [f"{line[: len(line) - len(line.lstrip())]}{loggable(line)}" for line in text.splitlines() if line.strip()]
    return lines[-_MOST_LINES:]
