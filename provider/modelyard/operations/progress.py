"""Progress of long work, told to whoever looks: a terminal, a log, nobody."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["NoProgress", "Progress", "Track"]


class Track(Protocol):
    """One piece of work under way."""

    def advance(self, amount: float = 1) -> None:
        """Say that `amount` more units are done."""
        ...


class Progress(Protocol):
    """Where an operation tells how far it is."""

    def track(self, what: str, total: float | None = None, unit: str = "") -> AbstractContextManager[Track]:
        """Open a piece of work of `total` units (None: unknown); leaving the context ends it."""
        ...


class NoProgress:
    """Tells nobody."""

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Track]:
        """Open a piece of work that nobody watches."""
        del what, total, unit
        yield _Silent()


class _Silent:
    def advance(self, amount: float = 1) -> None:
        del amount
