"""One thread that runs work when its time has come: what no event waits for."""

import logging
from collections.abc import Callable
from heapq import heappop, heappush
from threading import Condition, Thread
from time import monotonic

__all__ = ["Timer"]

_LOG = logging.getLogger("modelyard.graphs")


class Timer:
    """Runs work at given times, one after the other, in a thread that starts with the first.

    Parameters
    ----------
    name
        How the thread is called.

    Examples
    --------
    >>> done = []
    >>> timer = Timer("example")
    >>> timer.at(0.0, lambda: done.append("due at once"))
    >>> timer.join()
    >>> done
    ['due at once']
    >>> timer.close()
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._busy = False
        self._closed = False
        self._changed = Condition()
        self._thread: Thread | None = None

    def at(self, when: float, work: Callable[[], None]) -> None:
        """Run `work` at `when`, on the clock of ``time.monotonic()``; what lies in the past runs at once."""
        with self._changed:
            if self._closed:
                return
            self._number += 1
            heappush(self._due, (when, self._number, work))
            if self._thread is None:
                self._thread = Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until everything that is due by now has run."""
        now = monotonic()
        with self._changed:
            self._changed.wait_for(lambda: not self._busy and not (self._due and self._due[0][0] <= now))

    def close(self) -> None:
        """Run what is due, forget the rest, and end the thread."""
        if self._thread is not None:
            self.join()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 (the thread outlives what it runs)
                _LOG.exception("%s: %s", self._name, error)

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            while not self._closed:
                wait = self._due[0][0] - monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    self._busy = True
                    return heappop(self._due)[2]
                self._changed.wait(wait)
            return None
