"""Digests of files and folders, with the standard library alone: servers compute them, too."""

import errno
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["digest_of", "digest_of_digests", "digest_of_files", "file_digest"]


def digest_of(folder: Path) -> str:
    """Return the digest of all files in `folder`, hidden ones included, at any depth.

    Equal digests mean equal names and equal bytes; times, owners and empty folders do not count.

    Parameters
    ----------
    folder
        A local folder.

    Returns
    -------
    str
        64 hexadecimal digits: SHA-256 over the sorted names relative to `folder`, each with the SHA-256 of its bytes.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        There is no such folder.
    OSError
        A file cannot be read, or a link leads to a folder, whose content nobody could vouch for.
    """
    if not folder.is_dir():
        missing = NotADirectoryError if folder.exists() else FileNotFoundError
        raise missing(errno.ENOENT, "there is no such folder", str(folder))
    return digest_of_files(_files_in(folder))


def _files_in(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}

    def fail(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=fail):
        for name in folders:
            if (Path(place) / name).is_symlink():
                raise OSError(errno.ELOOP, "a link to a folder cannot be digested", str(Path(place) / name))
        for name in names:
            path = Path(place) / name
            found[path.relative_to(folder).as_posix()] = path
    return found


def digest_of_files(files: Mapping[str, Path]) -> str:
    """Return the digest of some files under the names by which they are to be known.

    Parameters
    ----------
    files
        The path of each file by its name; a name is relative and has forward slashes.

    Returns
    -------
    str
        The same as `digest_of` gives for a folder with exactly these files.
    """
    return digest_of_digests({name: file_digest(path) for name, path in files.items()})


def digest_of_digests(digests: Mapping[str, str]) -> str:
    """Return the digest of files whose own digests are known, by name.

    Examples
    --------
    >>> digest_of_digests({"a": "1" * 64, "b": "2" * 64}) == digest_of_digests({"b": "2" * 64, "a": "1" * 64})
    True
    """
    whole = hashlib.sha256()
    for name in sorted(digests):
        whole.update(f"{len(name.encode())}:{name}\0{digests[name]}\n".encode())
    return whole.hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
