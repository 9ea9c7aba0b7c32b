"""Hands values to later steps and jobs, in the host's own file."""

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from modelyard.ci.errors import FolderUnwritable
from modelyard.ci.hosts import CiContext
from modelyard.ci.reporting.escaping import one_line

__all__ = ["write_outputs"]

_VARIABLE = re.compile(r"[^A-Z0-9_]")
_MOST = 1_000


def write_outputs(context: CiContext, values: Mapping[str, str]) -> None:
    """Add values to the host's file: ``GITHUB_OUTPUT``, or a file of variables such as GitLab's dotenv report.

    Parameters
    ----------
    context
        The job; where it has no such file, nothing is written. Elsewhere than on GitHub ``MODELYARD_OUTPUTS`` names it.
    values
        Name, such as ``model-uri``, to value. As a variable it is called ``MODEL_URI`` and has one line; one of more
        than 1,000 characters is left out, as GitLab takes files of 5 KB at most.

    Raises
    ------
    FolderUnwritable
        The file cannot be written.
    """
    path = context.files.outputs
    if not path or not values:
        return
    if context.host == "github":
        text = "".join(_delimited(name, value) for name, value in values.items())
    else:
        short = {name: value for name, value in values.items() if len(value) <= _MOST}
        named = ((_VARIABLE.sub("_", name.upper()), one_line(value, _MOST)) for name, value in short.items())
        text = "".join(f"{name}={value}\n" for name, value in named)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        variable = "GITHUB_OUTPUT" if context.host == "github" else "MODELYARD_OUTPUTS"
        raise FolderUnwritable(path, error.strerror or str(error), f"{variable} names it.") from error


def _delimited(name: str, value: str) -> str:
    """Return a value between two lines that nobody can guess, so that it cannot end itself and begin another."""
    line = f"modelyard-{secrets.token_hex(16)}"
    return f"{name}<<{line}\n{value}\n{line}\n"
