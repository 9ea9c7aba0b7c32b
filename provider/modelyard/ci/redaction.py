"""Keeps secrets out of whatever leaves the job."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

__all__ = ["Redaction"]

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|(?:^|_)PASS$|_PWD$|CREDENTIAL|_DSN$"
    r"|(?:^|_)(?:API|ACCESS|PRIVATE|SIGNING|ENCRYPTION|FERNET|DEPLOY)_?KEY"
    # MODELYARD_KEY names a piece of work.
    r"|(?<!^MODELYARD)(?<!PUBLIC)(?<!CACHE)_KEY$",
    re.I,
)
_SHORTEST = 6
"""A shorter value, such as ``test``, would be struck out of ordinary words."""
# Up to the last @ before a slash, as git and HTTP clients read it; a user alone may be a token, but for that of ssh.
_USER_PART = re.compile(r"(?<=://)[^/\s:@]*:[^/\s]+@|(?<=https://)[^/\s?#]+@|(?<=http://)[^/\s?#]+@")
_HIDDEN = "***"

RecordT = TypeVar("RecordT", bound=msgspec.Struct)


class Redaction:
    """Replaces secrets in text.

    Parameters
    ----------
    secrets
        The values that must not be seen.

    Examples
    --------
    >>> Redaction(["hunter22"])("cannot log in with hunter22 at https://ada:pw@db.example.com")
    'cannot log in with *** at https://***@db.example.com'
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        lines = {line.strip() for secret in secrets for line in [secret, *secret.splitlines()]}
        # As programs write them: within JSON, as Python's own text, in an address.
        lines |= {form for each in lines for form in (json.dumps(each)[1:-1], repr(each)[1:-1], quote(each, safe=""))}
        # The longest first: one secret may hold another.
        known = sorted((each for each in lines if len(each) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known))) if known else None

    @classmethod
    def of(cls, variables: Mapping[str, str], names: Iterable[str] = ()) -> "Redaction":
        """Return the redaction of a process.

        Parameters
        ----------
        variables
            Its environment variables; those whose names speak of tokens, secrets or passwords are secret.
        names
            More names of secret variables.
        """
        wanted = set(names)
        return cls(value for name, value in variables.items() if name in wanted or _SECRET_NAME.search(name))

    def __call__(self, text: str) -> str:
        """Return the text without secrets, and without user and password in addresses."""
        if self._pattern:
            text = self._pattern.sub(_HIDDEN, text)
        return _USER_PART.sub(f"{_HIDDEN}@", text)

    def record(self, value: RecordT) -> RecordT:
        """Return a record with every text in it redacted: before it is escaped, which would hide a secret from us."""
        return msgspec.convert(self.values(msgspec.to_builtins(value)), type(value))

    def values(self, value: Any) -> Any:
        """Return JSON with every text in it redacted, names included."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self(name): self.values(each) for name, each in value.items()}
        return [self.values(each) for each in value] if isinstance(value, (list, tuple)) else value
