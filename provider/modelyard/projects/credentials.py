"""Keeps credentials out of logs, errors and records."""

import re

__all__ = ["last_line", "without_credentials"]

_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/@:'\"]*)(?P<secret>:[^\s/@'\"]*)?@")


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


def last_line(output: str) -> str:
    """Return the last line of a command's output that says something, without credentials.

    Examples
    --------
    >>> last_line("  stderr: 'warning: x\\nfatal: no such thing'\\n".replace("\\\\n", chr(10)))
    'no such thing'
    """
    lines = [line.strip(" '\t") for line in output.splitlines()]
    said = [line for line in lines if line]
    fatal = [line for line in said if line.startswith(("fatal:", "error:"))]
    line = (fatal or said or ["it said nothing"])[-1]
    return without_credentials(line.removeprefix("fatal: ").removeprefix("error: "))
