"""Runs a project's own code, and turns what it raises into one line that points at the project's file."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.training.errors import UserFunctionFailed

__all__ = ["calling"]


@contextmanager
def calling(name: str, source: Path, log: logging.Logger | None = None) -> Iterator[None]:
    """Run the body, a call of the project's function `name`, and report what it raises as the project's.

    The traceback goes to the log; the error names the deepest line of the project's own code.

    Parameters
    ----------
    name
        What the project calls the function.
    source
        The folder with the project's code.
    log
        Where the traceback goes.

    Raises
    ------
    UserFunctionFailed
        The body raised anything but an error of modelyard's own.
    """
    try:
        yield
    except ModelyardError:
        raise
    except Exception as error:
        (log or logging.getLogger("modelyard")).debug("%s", traceback.format_exc())
        raise UserFunctionFailed(name, error, _place(error, source)) from error


def _place(error: BaseException, source: Path) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    root = source.resolve()
    own = [frame for frame in frames if Path(frame.filename).resolve().is_relative_to(root)]
    own = [frame for frame in own if "site-packages" not in frame.filename] or frames[-1:]
    if not own:
        return ""
    file = Path(own[-1].filename).resolve()
    shown = file.relative_to(root) if file.is_relative_to(root) else file
    return f"{shown}:{own[-1].lineno}"
