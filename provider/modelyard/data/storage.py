"""Writing to any storage so that a file appears whole or not at all."""

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from modelyard.data.locations import Location, storage_errors

__all__ = ["put", "remove", "remove_empty_folders", "size_of", "temporary_name", "writing"]

_RENAMING = ("sftp", "ssh", "smb", "hdfs", "arrow_hdfs")
"""File systems on which a file under construction can be seen, and which can rename it."""


def temporary_name(name: str) -> str:
    """Return a hidden name for a file that shall be called `name` when it is whole."""
    return f".{name}.{uuid.uuid4().hex[:12]}.tmp"


@contextmanager
def writing(place: Location) -> Iterator[Any]:
    """Open a file for writing; it appears at `place` when the block ends well, and never if it does not.

    On a disk it is written under a hidden name, forced to the disk and renamed. On an object store the upload is
    completed at the end, or given up.

    Raises
    ------
    StorageFull, StorageDenied, StorageUnavailable
        The storage does not take it.
    """
    with storage_errors(place.uri, writing=True):
        if place.local is not None:
            opened = _on_disk(place.local)
        elif _protocol(place) in _RENAMING:
            opened = _renamed(place)
        else:
            opened = _uploaded(place)
        with opened as stream:
            yield stream


def put(place: Location, content: bytes) -> None:
    """Write a small file at once, in place of the one that may be there.

    Raises
    ------
    StorageFull, StorageDenied, StorageUnavailable
        The storage does not take it.
    """
    if place.local is None and _protocol(place) not in _RENAMING:
        with storage_errors(place.uri, writing=True):
            place.fs.pipe_file(place.path, content)
        return
    with writing(place) as stream:
        stream.write(content)


def size_of(place: Location) -> int:
    """Return the size of a file in bytes."""
    with storage_errors(place.uri):
        place.fs.invalidate_cache()
        return int(place.fs.info(place.path)["size"])


def remove(folder: Location, names: Iterable[str]) -> None:
    """Remove files of a folder, as far as they are there, and the folders inside that become empty."""
    parents = set()
    for name in names:
        with storage_errors(folder.uri), suppress(FileNotFoundError):
            folder.fs.rm_file(folder.child(name).path)
        if "/" in name:
            parents.add(name.rpartition("/")[0])
    if folder.local is not None:
        for parent in parents:
            with suppress(OSError):
                (folder.local / parent).rmdir()


def remove_empty_folders(folder: Path, above: Path) -> None:
    """Remove `folder`, and those around it as long as they are empty and below `above`."""
    with suppress(OSError):
        while folder != above:
            folder.rmdir()
            folder = folder.parent


def _protocol(place: Location) -> str:
    protocol = place.fs.protocol
    return protocol if isinstance(protocol, str) else str(protocol[0])


@contextmanager
def _on_disk(path: Path) -> Iterator[Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(temporary_name(path.name))
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _settle(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _settle(folder: Path) -> None:
    """Force the folder's new name to the disk, too; not every file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _renamed(place: Location) -> Iterator[Any]:
    parent, _, name = place.path.rpartition("/")
    temporary = f"{parent}/{temporary_name(name)}"
    place.fs.makedirs(parent, exist_ok=True)
    try:
        with place.fs.open(temporary, "wb") as stream:
            yield stream
        place.fs.mv(temporary, place.path)
    except BaseException:
        with suppress(Exception):
            place.fs.rm_file(temporary)
        raise


@contextmanager
def _uploaded(place: Location) -> Iterator[Any]:
    stream = place.fs.open(place.path, "wb")
    try:
        yield stream
        stream.close()
    except BaseException:
        with suppress(Exception):
            stream.discard()
        with suppress(Exception):
            stream.closed = True  # closing it would complete the upload
        with suppress(Exception):
            place.fs.rm_file(place.path)
        raise
