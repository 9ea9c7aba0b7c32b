"""Finds the reference under which a pod gets a project exactly as it is here."""

from pathlib import Path

from modelyard.operators.kfp.errors import ProjectNotReproducible
from modelyard.projects import open_project
from modelyard.projects.git_command import GitCommand

__all__ = ["reproducible_project"]


def reproducible_project(path: str | Path = ".") -> str:
    """Return ``git+URL@commit#subfolder`` for a project in a working tree.

    Parameters
    ----------
    path
        The project's folder.

    Raises
    ------
    ProjectNotFound
        There is no project.
    ProjectNotReproducible
        It is in no git repository, has changes, or its commit is on no branch of the remote repository.
    """
    project = open_project(path)
    stamp = project.stamp
    where = str(project.root)
    if not stamp.commit or not stamp.origin:
        reason = "the project is in no git repository with a remote named origin"
        raise ProjectNotReproducible(where, reason, "Push it to one, or put it into the image and name its path there.")
    if stamp.dirty:
        raise ProjectNotReproducible(where, "the project has changes that are in no commit", "Commit and push them.")
    git = GitCommand(project.root, {})
    if not git.try_asking("branch", "--remotes", "--contains", stamp.commit).strip():
        reason = f"the commit {stamp.commit[:12]} is on no branch of {stamp.origin}"
        raise ProjectNotReproducible(where, reason, "Push it.")
    top = Path(git.try_asking("rev-parse", "--show-toplevel").strip())
    subfolder = project.root.resolve().relative_to(top.resolve()).as_posix()
    origin = stamp.origin if "://" in stamp.origin else _as_url(stamp.origin)
    return f"git+{origin}@{stamp.commit}{'' if subfolder == '.' else f'#{subfolder}'}"


def _as_url(origin: str) -> str:
    """Return an address in git's short form, such as ``git@host:path``, as a URL; a path as a file's.

    Examples
    --------
    >>> _as_url("git@github.com:ml/flights.git"), _as_url("/srv/flights.git")
    ('ssh://git@github.com/ml/flights.git', 'file:///srv/flights.git')
    """
    if origin.startswith("/"):
        return f"file://{origin}"
    host, _, path = origin.partition(":")
    return f"ssh://{host}/{path}"
