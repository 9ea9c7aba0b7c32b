"""The shadow router: copies of events go to members that nobody waits for."""

from collections.abc import Sequence
from typing import Any

from modelyard.graphs.event import Event
from modelyard.graphs.groups import RouterStrategy
from modelyard.graphs.routers.routes import checked_route, whole_number
from modelyard.graphs.routers.shares import share_of

__all__ = ["Shadow"]


class Shadow(RouterStrategy):
    """Answers with the champion, and sends copies of the events to all other members.

    The reply never waits for a shadow, and never changes because of one. What the champion and the shadows say goes to
    the graph's recorder, with the role in the event's metadata; a shadow's error is counted, and in the log. Events for
    which there is no room are not shadowed: the plan's ``groups[name].shadows.dropped`` counts them, and so does the
    metric ``shadow_dropped``.

    Parameters
    ----------
    champion
        The route that answers.
    share
        The share of the events that are shadowed, by a hash of the event's id, between 0 and 1.
    queue_size
        How many events may wait for shadows in each worker.

    Raises
    ------
    ValueError
        `champion` is no route, or the only one; the share is not between 0 and 1; or the size is below 1.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("trial")
    >>> seen = []
    >>> routes = {"current": lambda body: body["x"], "next": lambda body: seen.append(body) or 1 / 0}
    >>> step = graph.router(Shadow, name="pick", routes=routes, champion="current")
    >>> graph.test({"x": 3}), seen
    (3, [{'x': 3}])
    """

    def __init__(
        self, champion: str, share: float = 1.0, queue_size: int = 1024, *, members: tuple[str, ...] = ()
    ) -> None:
        if not checked_route("champion", champion, members):
            raise ValueError(f"champion is a route: {', '.join(members)}")
        if len(members) < 2:
            raise ValueError("a shadow router has routes besides the champion")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(f"share is between 0 and 1, not {share!r}")
        self.champion = champion
        self.share = share
        self.queue_size = whole_number("queue_size", queue_size, 1)
        self._shadows = tuple(name for name in members if name != champion)
        self.roles = {champion: "champion"} | dict.fromkeys(self._shadows, "shadow")

    def select(self, event: Event) -> Any:
        """Return the champion."""
        return self.champion

    def shadows(self, event: Event) -> Sequence[str]:
        """Return the other members, for the share of the events that are shadowed."""
        if self.share < 1 and share_of(event.id, "shadow") >= self.share:
            return ()
        return self._shadows
