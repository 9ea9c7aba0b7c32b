"""Decides how many workers an endpoint has."""

import math

from modelyard.deploy.local.settings import Scale

__all__ = ["Scaler"]

PATIENCE = 0.4
"""Seconds of too much work before a worker is added: a burst is over before a new one has loaded its models."""


class Scaler:
    """Follows the load of one revision's workers.

    Parameters
    ----------
    scale
        The bounds and what decides.
    now
        The time, in seconds.

    Examples
    --------
    >>> scaler = Scaler(Scale(min=0, max=4, in_flight=2, idle=10), now=0.0)
    >>> scaler.wanted(1, in_flight=7, requests=7, now=1.0), scaler.wanted(1, in_flight=7, requests=9, now=2.0)
    (1, 4)
    >>> scaler.wanted(4, in_flight=0, requests=9, now=3.0), scaler.wanted(4, in_flight=0, requests=9, now=14.0)
    (4, 3)
    """

    def __init__(self, scale: Scale, now: float) -> None:
        self._scale = scale
        self._busy_since = self._calm_since = math.inf
        self._requests = 0
        self._last_request = now

    def wanted(self, size: int, *, in_flight: int, requests: int, now: float) -> int:
        """Return how many workers there should be.

        Parameters
        ----------
        size
            How many there are.
        in_flight
            The requests under way.
        requests
            The requests so far.
        now
            The time, in seconds.
        """
        scale = self._scale
        if requests != self._requests or in_flight:
            self._requests, self._last_request = requests, now
        needed = min(max(math.ceil(in_flight / scale.in_flight), 1), scale.max)
        self._busy_since = min(self._busy_since, now) if needed > size else math.inf
        self._calm_since = min(self._calm_since, now) if needed < size else math.inf
        if needed > size and (now - self._busy_since >= PATIENCE or not size):
            self._busy_since = math.inf
            return needed
        if now - self._calm_since >= scale.idle and size > max(scale.min, 1):
            self._calm_since = now
            return size - 1
        if size == 1 and not scale.min and now - self._last_request >= scale.idle:
            return 0
        return min(max(size, scale.min), scale.max)
