"""Runs a project's own code, and turns what it raises into one line that points into the project."""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.operations.switches import is_stop
from modelyard.projects.errors import UserFunctionFailed

__all__ = ["calling"]


@contextmanager
def calling(name: str, source: Path) -> Iterator[None]:
    """Run the body, a call of the project's function `name`, and report what it raises as the project's.

    Parameters
    ----------
    name
        What the project calls the function.
    source
        The folder with the project's code; the error names the deepest line below it.

    Raises
    ------
    UserFunctionFailed
        The body raised anything but an error of modelyard's own, or one that says that memory or disk are full.
        ``sys.exit()`` is such an error, too: what called the function has not got what it needs.
    """
    try:
        yield
    except (ModelyardError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if is_stop(error) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
            raise
        raise UserFunctionFailed(name, error, _place(error, source)) from error


def _place(error: BaseException, source: Path) -> str:
    root = source.resolve()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith("<"):
            continue  # <frozen os>, <string>: no file, and no path below the present folder either
        file = Path(frame.filename).resolve()
        if file.is_relative_to(root) and "site-packages" not in file.parts:
            return f"{file.relative_to(root)}:{frame.lineno}"
    return ""
