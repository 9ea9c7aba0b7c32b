"""The circuit breaker: stops calling what keeps failing, and tries again after a while."""

from collections import deque
from threading import Lock
from time import monotonic

from modelyard.graphs.failures import CircuitOpen
from modelyard.graphs.settings import CircuitBreaker

__all__ = ["Breaker"]


class Breaker:
    """The state of one step's circuit: closed, open, or half open while one call tries.

    Parameters
    ----------
    settings
        When it opens, and for how long.
    """

    def __init__(self, settings: CircuitBreaker) -> None:
        self._settings = settings
        self._row = 0
        self._recent: deque[bool] = deque(maxlen=settings.window)
        self._until: float | None = None
        self._trying = False
        self._cause = ""
        self._lock = Lock()

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half open``."""
        if self._until is None:
            return "closed"
        return "half open" if self._trying or monotonic() >= self._until else "open"

    def enter(self) -> None:
        """Ask whether a call may be made.

        Raises
        ------
        CircuitOpen
            It may not.
        """
        if self._until is None:
            return
        with self._lock:
            left = self._until - monotonic() if self._until is not None else 0.0
            if left > 0 or self._trying:
                raise CircuitOpen(max(left, 0.0), self._cause)
            self._trying = self._until is not None

    def succeeded(self) -> None:
        """Take a success down."""
        with self._lock:
            self._row, self._trying, self._until = 0, False, None
            self._recent.append(True)

    def failed(self, error: BaseException) -> None:
        """Take a failure down."""
        with self._lock:
            self._row += 1
            self._recent.append(False)
            full = len(self._recent) == self._settings.window
            rate = self._recent.count(False) / len(self._recent)
            too_many = self._settings.rate > 0 and full and rate >= self._settings.rate
            if self._trying or self._row >= self._settings.failures or too_many:
                self._until = monotonic() + self._settings.seconds
                self._cause = f"{type(error).__name__}: {error}"
            self._trying = False

    def given_up(self) -> None:
        """Take down that a call was cancelled: it says nothing about the step."""
        with self._lock:
            self._trying = False
