"""How many requests a server has, for whoever decides by it whether to wait for others."""

from collections.abc import Callable

from modelyard.graphs.batching import Batching

__all__ = ["Traffic"]


class Traffic:
    """Knows the requests of one server, once there is one; the graph opens before it.

    Attributes
    ----------
    count
        Tells how many requests there are.
    gathered
        How many of them bring several rows, each of which is an event of its own: none of these is alone.

    Examples
    --------
    >>> traffic = Traffic()
    >>> traffic.alone()
    False
    >>> traffic.count = lambda: 1
    >>> traffic.alone()
    True
    """

    __slots__ = ("count", "gathered")

    def __init__(self) -> None:
        self.count: Callable[[], int] = _unknown
        self.gathered = 0

    def alone(self) -> bool:
        """Whether the server has no other request than the one that asks."""
        return not self.gathered and self.count() == 1

    def batching(self, limit: int = 32) -> Batching:
        """Return how a graph behind this server gathers rows."""
        return Batching(limit=limit, alone=self.alone)


def _unknown() -> int:
    return 0
