"""Runs git through GitPython: never asks, never logs a credential, never listens to a surrounding git hook."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.projects.credentials import without_credentials

__all__ = ["GitCommand", "GitCommandFailed", "is_git_installed"]

_SILENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
_VAGUE = "Could not read from remote repository."


class GitCommandFailed(Exception):
    """Raised inside this package when git ends with an error; its text is git's reason, in one line."""


class GitCommand:
    """The git command in one folder.

    Parameters
    ----------
    folder
        Where it runs.
    surroundings
        Variables for git, over those of this process.
    """

    def __init__(self, folder: Path, surroundings: Mapping[str, str]) -> None:
        import git

        self._git = git.Git(folder)
        self._surroundings = {**_SILENT, **surroundings}

    def ask(self, *arguments: str, timeout: float | None = None) -> str:
        """Run git and return what it prints.

        Raises
        ------
        GitCommandFailed
            It ended with an error, or ran for longer than `timeout` seconds.
        """
        import git

        # fsmonitor would start a hook or a daemon of the repository's choice, maintenance a process that outlives us.
        command = ["git", "-c", "core.fsmonitor=false", "-c", "maintenance.auto=false", "-c", "gc.auto=0", *arguments]
        try:
            found: Any = self._git.execute(
                command, env=self._surroundings, strip_newline_in_stdout=False, kill_after_timeout=timeout
            )
        except git.GitCommandError as error:
            raise GitCommandFailed(_reason(str(error.stderr))) from None  # its text would hold the command line
        return str(found)

    def try_asking(self, *arguments: str) -> str:
        """Run git and return the line that it prints, or nothing when it ends with an error."""
        try:
            return self.ask(*arguments).strip()
        except GitCommandFailed:
            return ""


def _reason(said: str) -> str:
    text = said.strip().removeprefix("stderr: '").removesuffix("'")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [index for index, line in enumerate(lines) if line.startswith(("fatal:", "error:"))]
    if not lines:
        return "git said nothing"
    line = lines[fatal[0] if fatal else -1]
    if line.endswith(_VAGUE) and fatal and fatal[0] > 0:
        line = lines[fatal[0] - 1]  # what ssh said
    return without_credentials(line.removeprefix("fatal: ").removeprefix("error: ").rstrip("."))


def is_git_installed() -> bool:
    """Return whether the git command can be run."""
    return shutil.which(os.environ.get("GIT_PYTHON_GIT_EXECUTABLE") or "git") is not None
