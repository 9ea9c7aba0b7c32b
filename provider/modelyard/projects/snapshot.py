"""A frozen copy of a project: what runs cannot change under it."""

import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from modelyard.projects.errors import SnapshotConflict, SnapshotDiskFull, SnapshotFailed
from modelyard.projects.stamp import Stamp, content_paths, git_facts
from modelyard.projects.tree import MARKER, content_hash, copied_entry

__all__ = ["Origin", "read_origin", "take_snapshot", "write_origin"]

_LARGE = 500_000_000
_log = logging.getLogger("modelyard.projects")


class Origin(msgspec.Struct, frozen=True):
    """What a snapshot is a snapshot of."""

    root: str
    """The folder where the project's relative paths resolve."""
    stamp: Stamp


def read_origin(folder: Path) -> Origin | None:
    """Return what `folder` is a snapshot of, or None when it is none.

    Raises
    ------
    SnapshotFailed
        The marker is there, but is not readable.
    """
    try:
        return msgspec.json.decode((folder / MARKER).read_bytes(), type=Origin)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise SnapshotFailed(folder, f"{MARKER} cannot be read: {error}", "Take the snapshot again.") from error


def write_origin(folder: Path, origin: Origin) -> None:
    """Mark `folder` as a snapshot, atomically."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=MARKER)
    with os.fdopen(handle, "wb") as writer:
        writer.write(msgspec.json.encode(origin))
    Path(name).replace(folder / MARKER)


def take_snapshot(source: Path, root: Path, folder: Path, stamp: Stamp | None, written: Sequence[Path] = ()) -> Path:
    """Copy a project to `folder`, which appears complete or not at all.

    Parameters
    ----------
    source
        What to copy.
    root
        Where the project's relative paths resolve.
    folder
        Where to; a snapshot that is already there is kept when it is of the same project.
    stamp
        The stamp of a source that cannot change; None takes the stamp of what is copied.
    written
        Places below `source` that runs write to; they are not copied.

    Raises
    ------
    SnapshotConflict
        `folder` holds something else.
    SnapshotDiskFull, SnapshotFailed
        It cannot be copied; nothing is left behind.
    """
    if folder.exists():
        return _kept(folder, root)
    temporary: Path | None = None
    try:
        facts = None if stamp else git_facts(source, written)
        paths = list(content_paths(source, facts, written))
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        content = _copied(source, paths, temporary)
        if facts is not None:
            # A tree that somebody changed meanwhile was copied in parts: no commit stands for it.
            changed = git_facts(source, (*written, temporary)) != facts
            stamp = Stamp(content, facts.commit, facts.dirty or changed, facts.origin)
        write_origin(temporary, Origin(str(root), stamp or Stamp(content)))
        temporary.chmod(0o755)
        return _published(temporary, folder, root)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SnapshotDiskFull(folder) from error
        reason = error.strerror or str(error)
        raise SnapshotFailed(folder, f"{reason}: {error.filename}" if error.filename else reason) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _copied(source: Path, paths: Sequence[str], to: Path) -> str:
    entries = [entry for path in paths if (entry := copied_entry(source, path, to)) is not None]
    for entry in entries:
        copy, original = to / entry.path, source / entry.path
        if entry.mode == "link" and not copy.exists() and original.exists():
            copy.unlink()  # it leads to something that is no content, such as ignored data
            copy.symlink_to(original.resolve())
    size = sum((to / entry.path).lstat().st_size for entry in entries)
    if size > _LARGE:
        mend = "name large data in .gitignore, or keep it elsewhere"
        _log.warning("the snapshot of %s copies %.1f GB; %s", source, size / 1e9, mend)
    return content_hash(entries)


def _published(temporary: Path, folder: Path, root: Path) -> Path:
    try:
        temporary.rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return _kept(folder, root)  # another process was first
        raise
    return folder


def _kept(folder: Path, root: Path) -> Path:
    origin = read_origin(folder) if folder.is_dir() else None
    if origin is None:
        raise SnapshotConflict(folder, "something else than a snapshot")
    if Path(origin.root) != root:
        raise SnapshotConflict(folder, f"a snapshot of {origin.root}")
    return folder
