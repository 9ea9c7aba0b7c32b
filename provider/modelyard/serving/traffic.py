"""How many requests a server has, for whoever decides by it whether to wait for others."""

from collections.abc import Callable

from modelyard.graphs.batching import Batching

__all__ = ["Traffic"]


class Traffic:
    """Knows the requests of one server, once there is one; the graph opens before it.

    Examples
    --------
    >>> traffic = Traffic()
    >>> traffic.alone()
    False
    >>> traffic.count = lambda: 1
    >>> traffic.alone()
    True
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count: Callable[[], int] = _unknown

    def alone(self) -> bool:
        """Whether the server has no other request than the one that asks."""
        return self.count() == 1

    def batching(self, limit: int = 32) -> Batching:
        """Return how a graph behind this server gathers rows."""
        return Batching(limit=limit, alone=self.alone)


def _unknown() -> int:
    return 0
