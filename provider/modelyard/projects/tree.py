"""The files that make up a project's content, and their hash."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["MARKER", "ProjectEntry", "content_hash", "copied_entry", "hashed_entry", "is_skipped", "walked"]

MARKER = ".modelyard-snapshot.json"
"""The file in a snapshot that says what it is a snapshot of."""

_SKIPPED_FOLDERS = frozenset(
    (
        *(".git", ".hg", ".svn", ".modelyard", ".cache", "__pycache__", ".ipynb_checkpoints", "node_modules"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".pytype", ".eggs"),
        *(".venv", ".venvs", ".tox", ".nox"),
    )
)
_SKIPPED_FILES = frozenset((MARKER, ".DS_Store"))
_SKIPPED_ENDINGS = (".pyc", ".pyo", ".egg-info")
_CHUNK = 1 << 20


class ProjectEntry(NamedTuple):
    """One file or symbolic link of a project's content."""

    path: str
    """Relative to the project, with ``/``."""
    mode: str
    """``file``, ``executable`` or ``link``."""
    digest: str
    """SHA-256 of the bytes, or of a link's target."""


def is_skipped(path: str) -> bool:
    """Return whether a relative path is in no project's content: version control, caches, our own state.

    Examples
    --------
    >>> is_skipped("src/__pycache__/x.pyc"), is_skipped("src/x.py")
    (True, False)
    """
    parts = path.split("/")
    return (
        any(part in _SKIPPED_FOLDERS or part.endswith(".egg-info") for part in parts)
        or parts[-1] in _SKIPPED_FILES
        or parts[-1].endswith(_SKIPPED_ENDINGS)
    )


def walked(root: Path, below: str = "") -> Iterator[str]:
    """Yield the relative paths of all files and links below a folder.

    Left out is what is skipped by name, virtual environments, and snapshots.
    """
    for folder, folders, files in os.walk(root / below):
        relative = Path(folder).relative_to(root).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*files, *links):
            if not is_skipped(prefix + name):
                yield prefix + name
        folders[:] = [
            name
            for name in folders
            if name not in links and not is_skipped(prefix + name) and not _is_made(Path(folder, name))
        ]


def _is_made(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").is_file() or (folder / MARKER).is_file()


def hashed_entry(root: Path, path: str) -> ProjectEntry | None:
    """Return a file with its hash; None when it is gone or no file (a socket, a pipe)."""
    return _entry(root, path, None)


def copied_entry(root: Path, path: str, to: Path) -> ProjectEntry | None:
    """Copy a file or link to the same place below `to`; return what was copied, None when there is nothing to copy."""
    return _entry(root, path, to / path)


def _entry(root: Path, path: str, target: Path | None) -> ProjectEntry | None:
    source = root / path
    try:
        status = source.lstat()
        if stat.S_ISLNK(status.st_mode):
            return _link(root, source, path, target)
        if not stat.S_ISREG(status.st_mode):
            return None
        return _file(source, path, target)
    except FileNotFoundError:
        if source.exists():
            raise
        return None


def _link(root: Path, source: Path, path: str, target: Path | None) -> ProjectEntry | None:
    destination = source.readlink()
    real = source.resolve()
    stays = not destination.is_absolute() and real.is_relative_to(root.resolve())
    if not stays and real.is_file():
        return _file(source, path, target)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(destination if stays else real)
    return ProjectEntry(path, "link", hashlib.sha256(os.fsencode(destination)).hexdigest())


def _file(source: Path, path: str, target: Path | None) -> ProjectEntry:
    digest = hashlib.sha256()
    with source.open("rb") as reader:
        executable = bool(os.fstat(reader.fileno()).st_mode & stat.S_IXUSR)
        if target is None:
            for chunk in iter(lambda: reader.read(_CHUNK), b""):
                digest.update(chunk)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as writer:
                for chunk in iter(lambda: reader.read(_CHUNK), b""):
                    digest.update(chunk)
                    writer.write(chunk)
            target.chmod(0o755 if executable else 0o644)
    return ProjectEntry(path, "executable" if executable else "file", digest.hexdigest())


def content_hash(entries: Iterable[ProjectEntry]) -> str:
    """Return the hash of a project's content: the same files give the same hash on every machine.

    Examples
    --------
    >>> content_hash([ProjectEntry("b", "file", "0"), ProjectEntry("a", "link", "1")]) == content_hash(
    ...     [ProjectEntry("a", "link", "1"), ProjectEntry("b", "file", "0")]
    ... )
    True
    """
    digest = hashlib.sha256()
    for entry in sorted(entries):
        digest.update(f"{entry.path}\0{entry.mode}\0{entry.digest}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
