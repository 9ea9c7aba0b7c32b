"""Secrets by name: declared in modelyard.yaml, read from the process's surroundings, stored nowhere."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from modelyard.projects.errors import SecretNotFound

__all__ = ["Secrets"]


class Secrets(Mapping[str, str]):
    """The secrets of an environment; a value is read at the moment it is asked for.

    The secret ``TOKEN`` comes from the variable ``TOKEN``, else from the file that the variable ``TOKEN_FILE`` names
    (what container platforms mount); the newline at the end of a file is dropped.

    Parameters
    ----------
    names
        What the environment declares.
    environment
        The environment's name, for errors.
    variables
        Where to look; the process's own variables unless given.

    Examples
    --------
    >>> secrets = Secrets(["TOKEN"], "prod", {"TOKEN": "s3cret"})
    >>> secrets["TOKEN"] == "s3cret", secrets
    (True, Secrets('prod', names=['TOKEN']))
    """

    def __init__(
        self, names: list[str] | tuple[str, ...], environment: str, variables: Mapping[str, str] | None = None
    ) -> None:
        self._names = tuple(names)
        self._environment = environment
        self._variables = os.environ if variables is None else variables

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            raise SecretNotFound(name, self._environment, known=self._names)
        if name in self._variables:
            return self._variables[name]
        file = self._variables.get(f"{name}_FILE", "")
        looked = f"the variable {name}"
        if not file:
            raise SecretNotFound(name, self._environment, looked=f"{looked} and the variable {name}_FILE")
        try:
            return Path(file).read_text().removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            looked = f"{looked} and the file {file} ({reason})"
            raise SecretNotFound(name, self._environment, looked=looked) from error

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Secrets({self._environment!r}, names={list(self._names)})"
