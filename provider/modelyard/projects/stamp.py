"""The stamp of a project: what exactly ran, as far as git and the files can tell."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from modelyard.projects.credentials import without_credentials
from modelyard.projects.document import FILE_NAME
from modelyard.projects.errors import ContentUnreadable, GitFailed
from modelyard.projects.git_command import GitCommand, GitCommandFailed, is_git_installed
from modelyard.projects.tree import MARKER, content_hash, hashed_entry, is_skipped, walked

__all__ = ["GitFacts", "Stamp", "content_paths", "git_facts", "stamp_of"]


class Stamp(msgspec.Struct, frozen=True, omit_defaults=True):
    """What ran: recorded on every run, model, dataset and deployment.

    Parameters
    ----------
    content
        SHA-256 over the paths, modes and bytes of the project's files.
    commit
        The commit of the working tree; empty outside git.
    dirty
        Whether any file of the project differs from the commit, or is not in it.
    origin
        The repository's address, without credentials; empty when there is none.
    """

    content: str
    commit: str = ""
    dirty: bool = False
    origin: str = ""


class GitFacts(NamedTuple):
    """What git knows of a working tree."""

    commit: str
    dirty: bool
    origin: str
    files: tuple[str, ...]


class _Tree:
    """Asks git about the folder of a project, and changes nothing."""

    def __init__(self, root: Path, written: Sequence[Path]) -> None:
        import git

        with git.Repo(root, search_parent_directories=True) as repository:
            top, folder = repository.working_tree_dir, Path(repository.git_dir)
        if top is None:
            raise git.InvalidGitRepositoryError(root)
        # Named outright, they win over those that a hook hands down, and git reads repositories of other owners too:
        # what it would protect from is code of theirs, which the project's own code is anyway.
        surroundings = {"GIT_DIR": str(folder), "GIT_WORK_TREE": str(top), "GIT_INDEX_FILE": str(folder / "index")}
        self._command = GitCommand(root, surroundings)
        self._inside = Path(os.path.relpath(root.resolve(), Path(top).resolve()))
        self._written = _relative(written, root)

    def facts(self) -> GitFacts | None:
        listed = self._command.ask("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
        paths = [path for path in listed.split("\0") if path]
        markers = [path for path in paths if path.endswith(f"/{MARKER}")]
        self._written += [path.removesuffix(f"/{MARKER}") for path in markers]
        files = sorted({path for path in paths if self._counts(path)})
        if FILE_NAME not in files:
            return None
        commit = self._command.try_asking("rev-parse", "--verify", "--quiet", "HEAD")
        origin = without_credentials(self._command.try_asking("config", "--get", "remote.origin.url"))
        return GitFacts(commit, not commit or self._is_dirty(), origin, tuple(files))

    def _is_dirty(self) -> bool:
        options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all")
        changed = self._command.ask("status", *options, "--", ".")
        paths = (os.path.relpath(line[3:].rstrip("/"), self._inside) for line in changed.split("\0") if line)
        return any(self._counts(path) for path in paths)

    def _counts(self, path: str) -> bool:
        return not is_skipped(path) and not _is_below(path, self._written)


def _relative(written: Sequence[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in written if path.is_relative_to(root)]


def _is_below(path: str, places: Sequence[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def git_facts(root: Path, written: Sequence[Path] = ()) -> GitFacts | None:
    """Return what git knows of a project; None without git, outside a repository, or where git ignores the project.

    Raises
    ------
    GitFailed
        The repository is broken.
    """
    if not is_git_installed():
        return None
    import git

    try:
        return _Tree(root, written).facts()
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return None
    except GitCommandFailed as error:
        raise GitFailed(root, str(error)) from error


def content_paths(root: Path, facts: GitFacts | None, written: Sequence[Path] = ()) -> Iterator[str]:
    """Yield the relative paths that make up the project: what git does not ignore, or everything outside git."""
    if facts is None:
        places = _relative(written, root)
        yield from (path for path in walked(root) if not _is_below(path, places))
        return
    for path in facts.files:
        if (root / path).is_dir() and not (root / path).is_symlink():
            yield from walked(root, path.rstrip("/"))  # a submodule, or a repository that nobody added
        else:
            yield path


def stamp_of(root: Path, written: Sequence[Path] = ()) -> Stamp:
    """Return the stamp of a working tree.

    Parameters
    ----------
    root
        The folder that holds modelyard.yaml.
    written
        Places below it that runs write to; they are not content.

    Raises
    ------
    ContentUnreadable
        A file cannot be read.
    GitFailed
        The repository is broken.
    """
    facts = git_facts(root, written)
    try:
        entries = [hashed_entry(root, path) for path in content_paths(root, facts, written)]
    except OSError as error:
        raise ContentUnreadable(Path(error.filename or root), error.strerror or str(error)) from error
    content = content_hash(entry for entry in entries if entry is not None)
    if facts is None:
        return Stamp(content)
    return Stamp(content, facts.commit, facts.dirty, facts.origin)
