"""Keeps credentials out of logs, errors and records."""

import re

__all__ = ["without_credentials"]

# Up to the last @ before a slash, as git and HTTP clients read it: people do not always write %40 in a password.
_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/@:'\"]*)(?P<secret>[:@][^\s/'\"]*)?@")


def without_credentials(text: str) -> str:
    """Return text in which no URL carries a user name or password; the plain user of ssh stays.

    Examples
    --------
    >>> without_credentials("fetching https://me:secret@example.com/x.git")
    'fetching https://example.com/x.git'
    >>> without_credentials("ssh://git@example.com/x.git")
    'ssh://git@example.com/x.git'
    """
    return _USER_INFO.sub(_cleaned, text)


def _cleaned(match: re.Match[str]) -> str:
    scheme = match["scheme"]
    return f"{scheme}{match['user']}@" if "ssh" in scheme and match["user"] else scheme
