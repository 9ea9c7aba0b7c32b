"""Lines of the project that messages name, for remarks beside the source."""

import re
from pathlib import Path

from modelyard.projects import Project

__all__ = ["place_of"]

_PLACE = re.compile(r"([\w./-]+\.py):(\d+)")


def place_of(project: Project, text: str) -> tuple[str, int]:
    """Return the file, relative to the repository, and the line that a message names first; empty and 0 without one.

    Parameters
    ----------
    project
        The project that the message is about.
    text
        The message.
    """
    from modelyard.projects.git_command import GitCommand

    found = _PLACE.search(text)
    if not found or not (project.source / found[1]).is_file():
        return "", 0
    top = GitCommand(project.source, {}).try_asking("rev-parse", "--show-toplevel")
    path = (project.source / found[1]).resolve()
    inside = path.relative_to(Path(top).resolve()) if top else path.relative_to(project.source.resolve())
    return inside.as_posix(), int(found[2])
