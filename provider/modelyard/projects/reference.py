"""Takes a git reference apart: ``git+URL@ref#subfolder``."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from modelyard.projects.credentials import without_credentials
from modelyard.projects.errors import ProjectReferenceInvalid

__all__ = ["GitReference", "parse_git_reference"]

_SCHEMES = ("https", "http", "ssh", "git", "file")
_REF = re.compile(r"^[\w][\w./+-]*$")
_EXACT = re.compile(r"^[0-9a-f]{40}$")


@dataclass(frozen=True)
class GitReference:
    """A place in a repository.

    Parameters
    ----------
    url
        The repository's address, without credentials.
    ref
        A branch, a tag or a commit; empty is the repository's default branch.
    subfolder
        Where the project lies in it; empty is its top.
    secret_url
        The address as given.
    """

    url: str
    ref: str
    subfolder: str
    secret_url: str = field(repr=False)

    @property
    def is_exact(self) -> bool:
        """Whether the ref is a whole commit id, which always means the same."""
        return _EXACT.match(self.ref) is not None

    def slug(self, more: str = "") -> str:
        """Return a folder name that belongs to the repository alone, and to `more`."""
        stem = re.sub(r"[^a-z0-9]+", "-", PurePosixPath(urlsplit(self.url).path).stem.lower()).strip("-")
        return f"{stem or 'repository'}-{hashlib.sha256(f'{self.url}#{more}'.encode()).hexdigest()[:16]}"


def parse_git_reference(text: str) -> GitReference:
    """Return the parts of ``git+URL@ref#subfolder``.

    Raises
    ------
    ProjectReferenceInvalid
        It has another form.

    Examples
    --------
    >>> reference = parse_git_reference("git+https://me:secret@example.com/ml/flights.git@v1.2#examples/flights")
    >>> reference.url, reference.ref, reference.subfolder
    ('https://example.com/ml/flights.git', 'v1.2', 'examples/flights')
    """
    shown = without_credentials(text)
    address, _, subfolder = text.removeprefix("git+").partition("#")
    parts = urlsplit(address)
    if parts.scheme not in _SCHEMES:
        mend = "Write git+ssh://git@HOST/PATH." if ":" in address and not parts.scheme.isalpha() else ""
        rule = f"the repository's address must begin with {', '.join(_SCHEMES[:-1])} or {_SCHEMES[-1]}://"
        raise ProjectReferenceInvalid(shown, rule, mend)
    path, at, ref = parts.path.rpartition("@") if "@" in parts.path else (parts.path, "", "")
    if at and not (_REF.match(ref) and ".." not in ref and not ref.endswith((".", "/", ".lock"))):
        raise ProjectReferenceInvalid(shown, f"{ref!r} is not the name of a branch, tag or commit")
    if not path.strip("/") or (parts.scheme != "file" and not parts.hostname):
        raise ProjectReferenceInvalid(shown, "the repository's address has no host or no path")
    folder = PurePosixPath(subfolder)
    if folder.is_absolute() or ".." in folder.parts:
        raise ProjectReferenceInvalid(shown, f"the subfolder must lie in the repository, got {subfolder!r}")
    secret = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
    return GitReference(without_credentials(secret), ref, "" if subfolder in ("", ".") else str(folder), secret)
