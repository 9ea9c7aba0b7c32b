"""The stamp of a project: what exactly ran, as far as git and the files can tell."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from modelyard.projects.credentials import last_line, without_credentials
from modelyard.projects.document import FILE_NAME
from modelyard.projects.errors import ContentUnreadable, GitFailed
from modelyard.projects.tree import content_hash, hashed_entry, is_skipped, walked

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
    """Asks git about the folder of a project, whatever a surrounding git hook has set, and changes nothing."""

    def __init__(self, root: Path, written: Sequence[Path]) -> None:
        import git

        repository = git.Repo(root, search_parent_directories=True)
        if repository.working_tree_dir is None:
            raise git.InvalidGitRepositoryError(root)
        self.written = [path.relative_to(root).as_posix() for path in written if path.is_relative_to(root)]
        self._command = git.Git(root)
        self._surroundings = {
            "GIT_DIR": str(repository.git_dir),
            "GIT_WORK_TREE": str(repository.working_tree_dir),
            "GIT_INDEX_FILE": str(Path(repository.git_dir, "index")),
            "GIT_OPTIONAL_LOCKS": "0",
        }
        repository.close()

    def ask(self, *arguments: str) -> str:
        # fsmonitor would start a hook or a daemon of the repository's choice.
        command = ["git", "-c", "core.fsmonitor=false", *arguments]
        found: Any = self._command.execute(command, env=self._surroundings, strip_newline_in_stdout=False)
        return str(found)

    def commit(self) -> str:
        try:
            return self.ask("rev-parse", "--verify", "--quiet", "HEAD").strip()
        except _git_error():
            return ""

    def origin(self) -> str:
        try:
            return without_credentials(self.ask("config", "--get", "remote.origin.url").strip())
        except _git_error():
            return ""

    def files(self) -> list[str]:
        listed = self.ask("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".").split("\0")
        return sorted({path for path in listed if path and self.counts(path)})

    def is_dirty(self) -> bool:
        changed = self.ask("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".")
        top = Path(self._surroundings["GIT_WORK_TREE"])
        root = Path(os.path.relpath(Path(str(self._command.working_dir)).resolve(), top.resolve()))
        inside = (os.path.relpath(line[3:].rstrip("/"), root) for line in changed.split("\0") if line)
        return any(self.counts(path) for path in inside)

    def counts(self, path: str) -> bool:
        return not is_skipped(path) and not any(path == each or path.startswith(f"{each}/") for each in self.written)


def _git_error() -> type[Exception]:
    import git

    return git.GitCommandError


def git_facts(root: Path, written: Sequence[Path] = ()) -> GitFacts | None:
    """Return what git knows of a project; None without git, outside a repository, or where git ignores the project.

    Raises
    ------
    GitFailed
        The repository is broken.
    """
    try:
        import git
    except ImportError:
        return None
    try:
        tree = _Tree(root, written)
        files = tree.files()
        if FILE_NAME not in files:
            return None
        commit = tree.commit()
        return GitFacts(commit, not commit or tree.is_dirty(), tree.origin(), tuple(files))
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return None
    except git.GitCommandError as error:
        raise GitFailed(root, last_line(str(error.stderr))) from error


def content_paths(root: Path, facts: GitFacts | None, written: Sequence[Path] = ()) -> Iterator[str]:
    """Yield the relative paths that make up the project: what git does not ignore, or everything outside git."""
    if facts is None:
        inside = [path.relative_to(root).as_posix() for path in written if path.is_relative_to(root)]
        for path in walked(root):
            if not any(path == each or path.startswith(f"{each}/") for each in inside):
                yield path
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
