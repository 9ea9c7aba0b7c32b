"""Where this machine keeps what can be made again (the cache) and what cannot (the home of git projects)."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

__all__ = ["absolute", "cache_folder", "home_folder", "is_uri", "local_path"]

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:/|://")


def cache_folder() -> Path:
    """Return the folder of clones and virtual environments: ``MODELYARD_CACHE``, else ``~/.cache/modelyard``."""
    return _folder("MODELYARD_CACHE", "XDG_CACHE_HOME", ".cache")


def home_folder() -> Path:
    """Return where git references keep their state: ``MODELYARD_HOME``, else ``~/.local/state/modelyard``."""
    return _folder("MODELYARD_HOME", "XDG_STATE_HOME", ".local/state")


def _folder(own: str, common: str, fallback: str) -> Path:
    if os.environ.get(own):
        return Path(os.environ[own]).absolute()
    parent = Path(os.environ.get(common) or Path.home() / fallback)
    return parent.absolute() / "modelyard"


def is_uri(text: str) -> bool:
    """Return whether a text is a URI rather than a path.

    Examples
    --------
    >>> is_uri("s3://bucket/x"), is_uri("models:/delays/1"), is_uri("data/12:30.csv")
    (True, True, False)
    """
    return _SCHEME.search(text) is not None


def absolute(text: str, root: Path) -> Path:
    """Return a path made absolute under `root`; ``~`` is the user's home.

    Examples
    --------
    >>> absolute("data/../x.csv", Path("/srv/project"))
    PosixPath('/srv/project/x.csv')
    """
    return Path(os.path.normpath(root / Path(text).expanduser()))


def local_path(text: str, root: Path) -> Path | None:
    """Return the folder or file that a path or ``file:`` URI names, or None for another URI.

    Examples
    --------
    >>> local_path("file:///srv/my%20x", Path("/")), local_path("s3://b/x", Path("/"))
    (PosixPath('/srv/my x'), None)
    """
    if text.startswith("file:/"):
        return Path(os.path.normpath("/" + unquote(text.removeprefix("file:")).lstrip("/")))
    return None if is_uri(text) else absolute(text, root)
