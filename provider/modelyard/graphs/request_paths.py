"""Reads which model a request's path names: ``/v2/models/<name>[/versions/<version>][/<operation>]``."""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["PathName", "RequestPaths", "path_name"]

_MOST_KEPT = 4096


class PathName(NamedTuple):
    """What a path names; empty texts if it names nothing."""

    name: str
    version: str = ""


def path_name(path: str, prefix: str) -> PathName:
    """Return the name and version behind the prefix.

    Examples
    --------
    >>> path_name("/v2/models/late/versions/3/infer", "/v2/models")
    PathName(name='late', version='3')
    >>> path_name("/late/infer", ""), path_name("/other/late", "/v2/models")
    (PathName(name='late', version=''), PathName(name='', version=''))
    """
    inside = path.removeprefix(prefix)
    if not path.startswith(prefix) or not inside.startswith("/"):
        return PathName("")
    parts = [unquote(part) for part in inside.partition("?")[0].split("/")[1:]]
    version = parts[2] if len(parts) > 2 and parts[1] == "versions" else ""
    return PathName(parts[0], version)


class RequestPaths:
    """Finds the member that a path asks for, with and without the prefix.

    Parameters
    ----------
    names
        The members.
    prefix
        What comes before a name.

    Examples
    --------
    >>> paths = RequestPaths(["late", "early"], "/v2/models")
    >>> paths.find("/v2/models/late/infer"), paths.find("/early/infer"), paths.find("/infer")
    ('late', 'early', None)
    """

    def __init__(self, names: Iterable[str], prefix: str) -> None:
        self._names = frozenset(names)
        self._prefix = prefix
        self._found: dict[str, str | None] = {}

    def find(self, path: str) -> str | None:
        """Return the member's name; None if the path names no member."""
        try:
            return self._found[path]
        except KeyError:
            pass
        for prefix in (self._prefix, ""):
            name = path_name(path, prefix).name
            if name in self._names:
                break
        else:
            name = ""
        if len(self._found) < _MOST_KEPT:  # paths come from outside: what is kept has a bound
            self._found[path] = name or None
        return name or None
