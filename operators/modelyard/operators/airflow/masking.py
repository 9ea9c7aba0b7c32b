"""Keeps the secrets of a project out of Airflow's logs and its database."""

from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk.log import mask_secret

from modelyard.errors import ModelyardError

__all__ = ["Mask", "mask_of"]

_SHORTEST = 5
"""Shorter values are in too many words that are no secrets; Airflow's own masking has the same limit."""


class Mask:
    """Puts ``***`` in the place of secrets.

    Parameters
    ----------
    secrets
        The values to hide.

    Examples
    --------
    >>> Mask(["open-sesame"]).hide({"door": ["say open-sesame", 3]})
    {'door': ['say ***', 3]}
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted((each for each in secrets if len(each) >= _SHORTEST), key=len, reverse=True)

    def hide(self, value: Any) -> Any:
        """Return JSON without the secrets in any text of it."""
        if not self._secrets:
            return value
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, "***")
            return value
        if isinstance(value, dict):
            return {self.hide(key): self.hide(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.hide(each) for each in value]
        return value


def mask_of(*sources: Mapping[str, str]) -> Mask:
    """Return the mask of a project's and a connection's secrets, and tell them to Airflow.

    In workers Airflow masks by itself what the task's process prints, but neither in ``dag.test()`` nor in XCom. A
    secret without a value on this worker is no matter here: the operation itself says so where it needs it.

    Parameters
    ----------
    *sources
        Secrets by name.
    """
    found = []
    for secrets in sources:
        for name in secrets:
            try:
                found.append(secrets[name])
            except ModelyardError:
                continue
            mask_secret(found[-1], name)
    return Mask(found)
