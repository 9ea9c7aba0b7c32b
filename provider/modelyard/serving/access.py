"""Who may ask for what: bearer tokens with the roles ``infer`` and ``admin``."""

import hmac
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from re import fullmatch

import msgspec

from modelyard.serving.errors import RoleMissing, TokenMissing, TokensInvalid, TokenUnknown
from modelyard.serving.field_types import check_types

__all__ = ["ADMIN", "INFER", "Access", "AccessRules", "role_of"]

INFER, ADMIN = "infer", "admin"
_HASHED = "sha256:"
_SCHEME = "bearer "
_LEAST = 16


class AccessRules(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where tokens are; never what they are, so that the rules may be written down.

    Without any rule everybody who reaches the server may ask for everything.

    Parameters
    ----------
    infer
        Where the tokens are that may ask the graph: names of secrets, read from the variable of that name or the file
        that the variable ``<name>_FILE`` names; or paths of files, with a ``/``.
    admin
        The same for those that may also load models and read metrics.

    A source holds one token a line; lines that begin with ``#`` are remarks. Instead of a token a line may hold its
    hash, ``sha256:`` and 64 hexadecimal digits.
    """

    infer: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)


class Access:
    """Knows the hashes of tokens, and refuses who has none.

    Parameters
    ----------
    tokens
        Role → what the sources of its tokens hold.

    Raises
    ------
    TokensInvalid
        A token is too short to be a secret, or there is none.

    Examples
    --------
    >>> access = Access({"infer": ["correct-horse-battery"], "admin": ["staple-correct-horse"]})
    >>> access.check("infer", "Bearer correct-horse-battery")
    >>> access.check("admin", "Bearer correct-horse-battery")
    Traceback (most recent call last):
    modelyard.serving.errors.RoleMissing: the token has the role infer; this takes admin.
    """

    def __init__(self, tokens: Mapping[str, Sequence[str]]) -> None:
        self._roles = [(_hash_of(line), role) for role, texts in tokens.items() for line in _lines(texts, role)]

    @classmethod
    def of(cls, rules: AccessRules, variables: Mapping[str, str] | None = None) -> "Access | None":
        """Return what the rules say; None if they say nothing.

        Parameters
        ----------
        rules
            Where the tokens are.
        variables
            Where secrets are looked up; the process's own variables unless given.

        Raises
        ------
        TokensInvalid
            A source is not there, or holds no token.
        """
        if not rules.infer and not rules.admin:
            return None
        surroundings = os.environ if variables is None else variables
        sources = {INFER: rules.infer, ADMIN: rules.admin}
        return cls({role: [_read(name, surroundings) for name in names] for role, names in sources.items() if names})

    def check(self, role: str, authorization: str) -> None:
        """Let the request pass, or raise.

        Parameters
        ----------
        role
            What it takes; empty if nothing.
        authorization
            The header that came.

        Raises
        ------
        TokenMissing, TokenUnknown
            Nobody knows who asks.
        RoleMissing
            Whoever asks may not.
        """
        if not role:
            return
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise TokenMissing(role)
        given = sha256(authorization[len(_SCHEME) :].strip().encode()).digest()
        # every hash is compared, in constant time: how long it takes says nothing about any of them
        roles = [known for digest, known in self._roles if hmac.compare_digest(digest, given)]
        if not roles:
            raise TokenUnknown(role)
        if role == ADMIN and ADMIN not in roles:
            raise RoleMissing(roles[0], role)


def role_of(method: str, path: str) -> str:
    """Return the role that a request takes; empty for probes, which anybody may send.

    Examples
    --------
    >>> role_of("POST", "/v2/models/delays/infer"), role_of("GET", "/metrics"), role_of("GET", "/v2/health/ready")
    ('infer', 'admin', '')
    >>> role_of("POST", "/v2/repository/models/delays/load"), role_of("POST", "/v2/health/ready")
    ('admin', 'infer')
    """
    if path.startswith("/v2/health/") and method in ("GET", "HEAD"):
        return ""
    # as the fronts take paths apart: empty parts do not count
    parts = [part for part in path.split("/") if part]
    if parts in (["metrics"], ["v2", "statistics"]) or parts[:3] == ["v2", "repository", "models"]:
        return ADMIN
    return INFER


def _read(name: str, variables: Mapping[str, str]) -> str:
    if "/" not in name and name in variables:
        return variables[name]
    path = name if "/" in name else variables.get(f"{name}_FILE", "")
    if not path:
        raise TokensInvalid(name, f"neither the variable {name} nor {name}_FILE is set")
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise TokensInvalid(name, f"the file {path} cannot be read: {reason}") from None


def _lines(texts: Sequence[str], role: str) -> list[str]:
    lines = [line.strip() for text in texts for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise TokensInvalid(role, "there is no token")
    return found


def _hash_of(line: str) -> bytes:
    if line.startswith(_HASHED):
        if not fullmatch("[0-9a-f]{64}", line[len(_HASHED) :]):
            raise TokensInvalid("tokens", "a hash is sha256: and 64 hexadecimal digits in lower case")
        return bytes.fromhex(line[len(_HASHED) :])
    if len(line) < _LEAST:
        raise TokensInvalid("tokens", f"a token has at least {_LEAST} characters, not {len(line)}")
    return sha256(line.encode()).digest()
