"""The previews that last: kept in the environment's state, so that another job can end them."""

import re
import time
from pathlib import Path

import msgspec

from modelyard.operations.atomic import write_atomically

__all__ = ["LastingPreview", "PreviewRegister"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class LastingPreview(msgspec.Struct, frozen=True):
    """One preview that lasts.

    Parameters
    ----------
    endpoint
        Its endpoint.
    graph, target
        What is deployed, and where.
    request, branch
        Whose it is: the number of a request (0 if there is none), and its branch.
    expires
        When it may be cleared away, in seconds since 1970; 0 for never.
    """

    endpoint: str
    graph: str
    target: str
    request: int
    branch: str
    expires: float


class PreviewRegister:
    """The previews of one environment.

    Parameters
    ----------
    state
        The environment's state folder.
    """

    def __init__(self, state: Path) -> None:
        self._folder = state / "previews"

    def keep(self, preview: LastingPreview) -> None:
        """Write a preview down, before it is deployed: what is not there is no harm, what is forgotten is."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._folder / f"{preview.endpoint}.json", msgspec.json.encode(preview))

    def forget(self, endpoint: str) -> None:
        """Strike a preview out."""
        if _NAME.fullmatch(endpoint):
            (self._folder / f"{endpoint}.json").unlink(missing_ok=True)

    def all(self) -> list[LastingPreview]:
        """Return every preview, by endpoint; a damaged entry is none."""
        found = []
        for path in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ():
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=LastingPreview))
            except (OSError, msgspec.DecodeError):
                continue
        return found

    def expired(self, now: float | None = None) -> list[LastingPreview]:
        """Return the previews whose time is over."""
        moment = time.time() if now is None else now
        return [each for each in self.all() if each.expires and each.expires <= moment]

    def of_request(self, request: int, branch: str) -> list[LastingPreview]:
        """Return the previews of a request, or of a branch without one."""
        return [
            each for each in self.all() if (each.request == request if request else branch and each.branch == branch)
        ]
