"""What is installed where a revision will be served."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

from modelyard.deploy.errors import ServingEnvironmentInvalid

__all__ = ["locked_requirements", "serving_python"]

TIMEOUT = 60.0
_DROPPED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
_ASK = """
import importlib.util, json, sys
from importlib.metadata import distributions
needed = ("modelyard.serving", "uvicorn", "orjson", "numpy")
def missing(name):
    try:
        return importlib.util.find_spec(name) is None
    except ModuleNotFoundError:
        return True
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "missing": [name for name in needed if missing(name)],
    "installed": [(each.metadata["Name"], each.version) for each in distributions()],
}))
"""


def serving_python(name: str, root: Path) -> str:
    """Return the absolute path of the interpreter that a setting names.

    Parameters
    ----------
    name
        A path (relative to `root`), a command on the search path, or nothing for the running interpreter.
    root
        The project's folder.

    Raises
    ------
    ServingEnvironmentInvalid
        There is no such interpreter.
    """
    if not name:
        return sys.executable
    found = str(root / Path(name).expanduser()) if os.sep in name else shutil.which(name)
    if not found or not os.access(found, os.X_OK) or Path(found).is_dir():
        raise ServingEnvironmentInvalid(name, "there is no such interpreter", "Give its path, or leave it out.")
    return found


def locked_requirements(python: str) -> tuple[str, ...]:
    """Return everything installed in the environment of `python`, as sorted ``name==version``.

    Raises
    ------
    ServingEnvironmentInvalid
        It does not run, is too old, or lacks what a server needs.
    """
    if python == sys.executable:
        return _lines((each.metadata["Name"], each.version) for each in distributions())
    variables = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    try:
        asked = subprocess.run(  # noqa: S603 (the project names the interpreter)
            [python, "-c", _ASK], capture_output=True, text=True, check=True, timeout=TIMEOUT, env=variables, cwd="/"
        )
        told = json.loads(asked.stdout)
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().rpartition("\n")[2]
        raise ServingEnvironmentInvalid(python, f"it does not run: {last or error.returncode}") from error
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ServingEnvironmentInvalid(python, f"it is no usable Python: {error}") from error
    if tuple(told["version"]) < (3, 11):
        version = ".".join(map(str, told["version"]))
        raise ServingEnvironmentInvalid(python, f"it is Python {version}", "Use Python 3.11 or newer.")
    if told["missing"]:
        names = ", ".join(told["missing"])
        mend = 'Install it there: pip install "modelyard[serving]".'
        raise ServingEnvironmentInvalid(python, f"it lacks {names}", mend)
    return _lines((name, version) for name, version in told["installed"])


def _lines(installed: Iterable[tuple[str | None, str]]) -> tuple[str, ...]:
    return tuple(sorted({f"{name.lower().replace('_', '-')}=={version}" for name, version in installed if name}))
