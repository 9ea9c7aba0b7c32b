"""Opens a project from a reference: a path, a snapshot, or a commit of a git repository."""

from pathlib import Path

from modelyard.projects.document import FILE_NAME
from modelyard.projects.errors import ProjectNotFound, ProjectReferenceInvalid
from modelyard.projects.folders import local_path
from modelyard.projects.project import Project
from modelyard.projects.snapshot import read_origin
from modelyard.projects.validation import read_project_file

__all__ = ["open_project"]


def open_project(reference: str | Path = ".") -> Project:
    """Open the project that a reference leads to.

    Parameters
    ----------
    reference
        A path: the folder of modelyard.yaml, the file itself, or any folder below, for it is searched upwards as git
        does. Or a snapshot. Or ``git+URL@ref#subfolder``: the commit that the branch or tag points to now, fetched
        into the cache; without ref the repository's default branch.

    Raises
    ------
    ProjectNotFound
        There is no modelyard.yaml; the error says where it was looked for.
    ProjectReferenceInvalid
        The reference has another form.
    ProjectInvalid
        The modelyard.yaml breaks a rule.
    GitMissing, RepositoryUnreachable, RefNotFound
        The git reference cannot be fetched.
    """
    text = str(reference)
    if text.startswith("git+"):
        from modelyard.projects.checkout import checked_out

        return _opened(checked_out(text))
    path = local_path(text, Path.cwd())
    if path is None or not text:
        mend = f"Write git+{text} for a git repository." if text.startswith(("http", "ssh")) else ""
        raise ProjectReferenceInvalid(text or "(empty)", "is neither a path nor a git reference", mend)
    return _opened(_found(text, path))


def _found(reference: str, path: Path) -> Path:
    if path.name == FILE_NAME and path.is_file():
        return path.parent
    if not path.exists():
        raise ProjectNotFound(reference, [])
    folder = path if path.is_dir() else path.parent
    looked = [folder, *folder.parents]
    for each in looked:
        if (each / FILE_NAME).is_file():
            return each
    raise ProjectNotFound(reference, looked)


def _opened(source: Path) -> Project:
    file = read_project_file(source / FILE_NAME)
    origin = read_origin(source)
    if origin is None:
        return Project(source, source, file)
    return Project(Path(origin.root), source, file, origin.stamp)
