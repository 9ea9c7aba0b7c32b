"""The interpreter that a function runs in: a given one, or a virtual environment made once for its requirements."""

import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from modelyard.projects.credentials import without_credentials
from modelyard.projects.definition import FunctionDefinition
from modelyard.projects.distribution import editable_root, own_requirement, split_requirements
from modelyard.projects.errors import InterpreterInvalid, RequirementsInvalid, RequirementsUnavailable
from modelyard.projects.folders import absolute, cache_folder
from modelyard.projects.locks import locked

__all__ = ["Interpreter", "environment_for", "function_interpreter", "inspect_interpreter"]

_OLDEST = (3, 11)
_PATIENCE = 1800.0
_ASK = """
import importlib.util, json, platform, sys
print(json.dumps([sys.executable, platform.python_version(), platform.python_implementation(), platform.machine(),
                  importlib.util.find_spec("modelyard") is not None, sys.version_info[:2]]))
"""
_IMPOSSIBLE = (
    *("no solution found", "no matching distribution", "not found in the package registry"),
    *("failed to parse", "invalid requirement", "conflicting dependencies"),
)
# pip says that nothing matches when it could not ask, too.
_UNREACHABLE = ("connection", "timed out", "name resolution", "failed to fetch", "dns error")
_log = logging.getLogger("modelyard.projects")


class Interpreter(NamedTuple):
    """A Python that runs."""

    executable: str
    version: str
    implementation: str
    machine: str
    has_modelyard: bool


def function_interpreter(
    definition: FunctionDefinition, python: str | None, root: Path, *, extras: Sequence[str] = ()
) -> str:
    """Return the interpreter to run a function in; its virtual environment is made if it is not there yet.

    The function's own ``python`` comes first; else, when it has requirements, a virtual environment that holds them and
    the modelyard that runs here; else the environment's ``python``; else the running interpreter. An image matters to
    cluster launchers alone.

    Parameters
    ----------
    definition
        What modelyard.yaml says of the function.
    python
        The environment's interpreter.
    root
        Where a relative path to an interpreter resolves.
    extras
        The extras of modelyard that the work needs.

    Raises
    ------
    InterpreterInvalid
        The interpreter does not run, is too old or has no modelyard.
    RequirementsInvalid, RequirementsUnavailable
        The requirements cannot be installed.
    LockTimeout
        Another process is busy making the same environment for too long.
    """
    if definition.python:
        return _usable(definition.python, root, f"python of {definition.handler}")
    if definition.requirements:
        base = inspect_interpreter(python, root, "python of the environment") if python else None
        return str(environment_for(definition.requirements, base or _running(), extras=extras))
    return _usable(python, root, "python of the environment") if python else sys.executable


def _usable(python: str, root: Path, field: str) -> str:
    found = inspect_interpreter(python, root, field)
    if not found.has_modelyard:
        raise InterpreterInvalid(python, field, "modelyard is not installed in it", "Install modelyard there.")
    return found.executable


def _running() -> Interpreter:
    return inspect_interpreter(sys.executable, Path("/"), "the running interpreter")


def inspect_interpreter(python: str, root: Path, field: str) -> Interpreter:
    """Start an interpreter and return what it says of itself.

    Raises
    ------
    InterpreterInvalid
        It does not run, or is too old.
    """
    path = str(absolute(python, root)) if "/" in python else shutil.which(python)
    if path is None:
        raise InterpreterInvalid(python, field, "there is no such command on the path")
    try:
        ran = _ran([path, "-c", _ASK], 60)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "it does not answer"
        raise InterpreterInvalid(python, field, reason or str(error)) from error
    try:
        *facts, numbers = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise InterpreterInvalid(python, field, _last(ran.stderr) or f"it ended with {ran.returncode}") from error
    found = Interpreter(*facts)
    if tuple(numbers) < _OLDEST:
        raise InterpreterInvalid(python, field, f"it is Python {found.version}, which is too old")
    return found


def environment_for(
    requirements: Sequence[str], base: Interpreter, *, extras: Sequence[str] = (), own: Sequence[str] | None = None
) -> Path:
    """Return the interpreter of a virtual environment that holds the requirements and modelyard; make it if need be.

    It is made once per machine and cache, under a lock, in a folder of its own that becomes known by renaming a small
    record into place: what a killed try leaves behind is never used, and is removed by the next.

    Parameters
    ----------
    requirements
        What to install, as pip writes it.
    base
        The interpreter to make it with.
    extras
        The extras of modelyard to install.
    own
        What installs modelyard itself; worked out from the running one unless given.

    Raises
    ------
    RequirementsInvalid, RequirementsUnavailable
        The requirements cannot be installed.
    LockTimeout
        Another process is busy making the same environment for too long.
    """
    others, more = split_requirements(requirements)
    installs = [*others, *(own_requirement([*extras, *more]) if own is None else own)]
    key = _key(installs, base)
    place = cache_folder() / "environments"
    record = place / f"{key}.json"
    python = _recorded(record)
    if python is not None:
        return python
    with locked(place / f"{key}.lock", "installing the requirements", timeout=_PATIENCE):
        python = _recorded(record)
        if python is None:
            for leftover in place.glob(f"{key}-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            python = _made(place, key, base, installs)
            _publish(record, python, installs, base)
    return python


def _key(installs: Sequence[str], base: Interpreter) -> str:
    checkout = editable_root()
    project = checkout / "pyproject.toml" if checkout else None
    facts = {
        "installs": sorted(installs),
        "modelyard": version("modelyard"),
        "dependencies": project.read_text() if project and project.is_file() else "",
        "python": [base.version, base.implementation, base.machine],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]


def _recorded(record: Path) -> Path | None:
    try:
        python = record.parent / json.loads(record.read_bytes())["folder"] / "bin" / "python"
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return python if python.exists() else None  # its base interpreter may be gone


def _publish(record: Path, python: Path, installs: Sequence[str], base: Interpreter) -> None:
    facts = {
        "folder": python.parent.parent.name,
        "installs": list(map(without_credentials, installs)),
        **base._asdict(),
    }
    temporary = record.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(facts, indent=1))
    temporary.replace(record)


def _made(place: Path, key: str, base: Interpreter, installs: Sequence[str]) -> Path:
    folder = Path(tempfile.mkdtemp(dir=place, prefix=f"{key}-"))
    python = folder / "bin" / "python"
    _log.info("making an environment with %s", without_credentials(", ".join(installs) or "nothing"))
    uv = _uv()
    if uv:
        make = [uv, "venv", "--quiet", "--allow-existing", "--python", base.executable, str(folder)]
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        make = [base.executable, "-m", "venv", str(folder)]
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    try:
        _run(make, installs)
        if installs:
            _run([*install, *installs], installs)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return python


def _run(command: Sequence[str], installs: Sequence[str]) -> None:
    shown = [without_credentials(each) for each in installs if each != "--editable"]
    try:
        ran = _ran(command, _PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RequirementsUnavailable(shown, str(error)) from error
    if ran.returncode == 0:
        return
    reason = _install_reason(ran.stderr or ran.stdout)
    said = (ran.stderr + ran.stdout).lower()
    impossible = any(mark in said for mark in _IMPOSSIBLE) and not any(mark in said for mark in _UNREACHABLE)
    raise (RequirementsInvalid if impossible else RequirementsUnavailable)(shown, reason)


def _install_reason(said: str) -> str:
    """Return an installer's complaint as one line: pip's last ERROR, or the whole of uv's short tree."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    complaints = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
    text = complaints[-1] if complaints is not lines else " ".join(complaints)
    text = without_credentials(re.sub(r"[\s\u2500-\u25ff\u00d7]+", " ", text)).strip(" .")
    return (text if len(text) <= 400 else f"{text[:399]}…") or "the installer said nothing"


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _uv() -> str:
    """Return a uv that runs: beside the running interpreter, or on the path."""
    for candidate in (str(Path(sys.executable).with_name("uv")), shutil.which("uv") or ""):
        if candidate and Path(candidate).is_file():
            try:
                if _ran([candidate, "--version"], 20).returncode == 0:
                    return candidate
            except (OSError, subprocess.TimeoutExpired):
                continue
    return ""


def _ran(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the project names what it wants to run, and it is its user who starts it
        command, capture_output=True, text=True, timeout=seconds, check=False, cwd="/", env=_surroundings()
    )


def _surroundings() -> dict[str, str]:
    """Return the variables of an installer or a foreign interpreter: none of the running one's, pip's index for uv."""
    drop = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")
    variables = {name: value for name, value in os.environ.items() if name not in drop}
    for pip, uv in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_FIND_LINKS", "UV_FIND_LINKS")):
        if pip in variables and uv not in variables and "UV_INDEX_URL" not in variables:
            variables[uv] = variables[pip]
    return variables
