"""Addresses of data: a path or any fsspec URI, and the one border where a storage's errors become ours."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from modelyard.data.errors import (
    DatasetNotFound,
    DatasetUnreadable,
    LibraryMissing,
    StorageDenied,
    StorageFull,
    StorageNotFound,
    StorageUnavailable,
)
from modelyard.errors import ModelyardError

__all__ = ["Location", "locate", "shown", "storage_errors"]

# up to the last @ before a slash: people do not always write %40 in a password
_USER = re.compile(r"(?<=//)[^/\s]*@")
_SECRET = re.compile(r"(?i)((?:password|token|secret|signature|sig|key)[^=&\s]*=)[^&\s]+")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


def shown(uri: str) -> str:
    """Return an address as people may see it: without user names, passwords and tokens.

    Examples
    --------
    >>> shown("sftp://ann:pw@host/data.csv"), shown("https://host/x.parquet?sig=abc")
    ('sftp://host/data.csv', 'https://host/x.parquet?sig=…')
    """
    return _SECRET.sub(r"\1…", _USER.sub("", uri))


@dataclass(frozen=True)
class Location:
    """A file or folder on some file system.

    Parameters
    ----------
    fs
        The fsspec file system.
    path
        The path on it, without a trailing slash.
    uri
        The address as errors show it.
    """

    fs: Any
    path: str
    uri: str

    @cached_property
    def local(self) -> Path | None:
        """The path on this machine's own disk; None on any other file system."""
        from fsspec.implementations.local import LocalFileSystem

        return Path(self.path) if isinstance(self.fs, LocalFileSystem) else None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    def child(self, name: str) -> "Location":
        """Return the place `name` (with forward slashes) below this one."""
        return Location(self.fs, f"{self.path.rstrip('/')}/{name}", f"{self.uri.rstrip('/')}/{name}")

    def overlaps(self, other: "Location") -> bool:
        """Whether one lies in the other, or they are the same."""
        if type(self.fs) is not type(other.fs):
            return False
        left, right = f"{self.path.rstrip('/')}/", f"{other.path.rstrip('/')}/"
        return left.startswith(right) or right.startswith(left)

    def exists(self) -> bool:
        """Whether there is a file or folder."""
        with storage_errors(self.uri):
            self.fs.invalidate_cache()
            return bool(self.fs.exists(self.path))

    def is_folder(self) -> bool:
        """Whether it is a folder, or on an object store: whether anything lies below it."""
        with storage_errors(self.uri):
            self.fs.invalidate_cache()
            return bool(self.fs.isdir(self.path))

    def files(self) -> dict[str, dict[str, Any]]:
        """Return what the storage knows of each file below this folder, by its relative name, sorted by name."""
        with storage_errors(self.uri):
            self.fs.invalidate_cache()
            found = self.fs.find(self.path, detail=True)
        start = len(self.path.rstrip("/")) + 1
        return {path[start:]: found[path] for path in sorted(found)}

    def read(self) -> bytes:
        """Return the content of the file."""
        with storage_errors(self.uri):
            return bytes(self.fs.cat_file(self.path))


def locate(uri: str) -> Location:
    """Return the place that a path or fsspec URI means; nothing is read.

    Parameters
    ----------
    uri
        A path (relative to the working directory), or a URI such as ``s3://bucket/folder`` or ``memory://x.csv``.

    Raises
    ------
    DatasetUnreadable
        The address has a scheme that nobody knows.
    LibraryMissing
        The scheme needs a library that is not installed.

    Examples
    --------
    >>> locate("memory://flights/2013.csv").path
    '/flights/2013.csv'
    """
    import fsspec

    address = shown(uri)
    try:
        with storage_errors(address):
            fs, path = fsspec.core.url_to_fs(uri)
    except ValueError as error:
        raise DatasetUnreadable(address, _sentence(error), "Give a path or a URI that fsspec knows.") from error
    except ImportError as error:
        # fsspec puts a sentence over the error that names the module.
        library = getattr(error.__cause__, "name", None) or error.name or str(error)
        raise LibraryMissing(library, f"the address {address}", extra="") from error
    return Location(fs, path.rstrip("/") or path, address)


@contextmanager
def storage_errors(uri: str, *, writing: bool = False) -> Iterator[None]:
    """Turn what file systems and Arrow raise inside into named errors that show `uri`.

    Parameters
    ----------
    uri
        The address, without credentials.
    writing
        Whether what is missing is the place of an output and not a dataset.
    """
    try:
        yield
    except ModelyardError:
        raise
    except FileNotFoundError as error:
        if writing:
            raise StorageNotFound(uri, _sentence(error)) from error
        raise DatasetNotFound(uri) from error
    except OSError as error:
        raise _named(uri, error) from error
    except Exception as error:
        named = _foreign(uri, error)
        if named is None:
            raise
        raise named from error


def _named(uri: str, error: OSError) -> ModelyardError:
    reason = error.strerror or _sentence(error)
    if error.errno in _FULL:
        return StorageFull(uri, reason)
    if isinstance(error, PermissionError) or error.errno in _DENIED:
        return StorageDenied(uri, reason)
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
        return DatasetUnreadable(uri, f"the path cannot be used ({reason})")
    # Arrow has no errno for damaged content: a Parquet file that was cut short is an OSError without one.
    damaged = error.errno is None and type(error) is OSError
    return DatasetUnreadable(uri, reason) if damaged else StorageUnavailable(uri, reason)


def _foreign(uri: str, error: Exception) -> ModelyardError | None:
    module = type(error).__module__.partition(".")[0]
    if module == "pyarrow":
        return DatasetUnreadable(uri, _sentence(error))
    if module in ("botocore", "aiobotocore", "aiohttp", "google", "gcsfs", "azure", "requests", "paramiko"):
        name = type(error).__name__
        kind = StorageDenied if "Credential" in name or "Auth" in name else StorageUnavailable
        return kind(uri, f"{name}: {_sentence(error)}")
    return None


def _sentence(error: BaseException) -> str:
    text = " ".join(shown(str(error)).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:199]}…"
