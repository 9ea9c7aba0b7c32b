"""Routers that split the traffic: by weights, and between a champion and a challenger."""

from bisect import bisect_right
from collections.abc import Mapping
from random import Random
from typing import Any, Literal

from modelyard.graphs.context import Context
from modelyard.graphs.ensembles.weights import member_weights
from modelyard.graphs.event import Event
from modelyard.graphs.groups import RouterStrategy, rows_of
from modelyard.graphs.routers.routes import checked_route
from modelyard.graphs.routers.shares import KeySource, cut_points, share_of

__all__ = ["ChampionChallenger", "WeightedSplit"]


class WeightedSplit(RouterStrategy):
    """Sends each route its share of the events; with a key, all events of one key take one route.

    The share of a key is a hash: the same in every worker, process and run. With a key, growing the share of the last
    route only moves events towards it.

    Parameters
    ----------
    weights
        Route → weight from 0; they need not add up to 1. By default all weigh alike.
    key
        What keeps its route: the body's field (dotted), ``header:<name>``, ``event.key`` or ``event.id``; empty
        chooses at random.
    missing
        What an event without the key gets: an ``error``, or a ``random`` route.
    salt
        Tells experiments with the same keys apart; by default the step's name.
    seed
        For random routes that can be repeated.

    Raises
    ------
    ValueError
        A weight is missing, negative, no number, or of no route; or `key` or `missing` is wrong.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("experiment")
    >>> routes = {"a": lambda body: "a", "b": lambda body: "b"}
    >>> step = graph.router(WeightedSplit, routes=routes, weights={"a": 9, "b": 1}, key="user")
    >>> answers = [graph.test({"user": str(number)}) for number in range(1000)]
    >>> answers.count("b"), answers == [graph.test({"user": str(number)}) for number in range(1000)]
    (95, True)
    """

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        key: str = "",
        missing: Literal["error", "random"] = "error",
        salt: str = "",
        seed: int | None = None,
        *,
        members: tuple[str, ...] = (),
        context: Context | None = None,
    ) -> None:
        self.weights = member_weights(weights, members)
        self.salt = salt or (context.step if context is not None else "")
        self.deterministic = bool(key) and missing == "error"
        self._members = members
        self._ends = cut_points(self.weights, members)
        self._source = KeySource(key, missing) if key else None
        self._random = Random(seed)  # noqa: S311 (no secret)

    def select(self, event: Event) -> str:
        """Return the route.

        Raises
        ------
        RouteMissing
            The event has no key.
        """
        return self._route(None if self._source is None else self._source.of_event(event))

    def select_batch(self, bodies: Any) -> list[str]:
        """Return the routes of many bodies."""
        source = self._source
        if source is not None and not source.in_body:
            return [self.select(Event(body)) for body in rows_of(bodies)]
        return [self._route(None if source is None else source.of_body(body)) for body in rows_of(bodies)]

    def _route(self, key: str | None) -> str:
        share = self._random.random() if key is None else share_of(key, self.salt)
        return self._members[bisect_right(self._ends, share)]


class ChampionChallenger(WeightedSplit):
    """Sends a share of the events to the challenger, and the others to the champion.

    The event's metadata tells route and role. With a key, raising the share only moves keys from the champion to the
    challenger, never back.

    Parameters
    ----------
    champion, challenger
        Their routes.
    share
        Of the challenger, between 0 and 1.
    key, missing, salt, seed
        As for `WeightedSplit`.

    Raises
    ------
    ValueError
        A route is none, both are one, or the share is not between 0 and 1.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("experiment")
    >>> routes = {"current": lambda body: "current", "next": lambda body: "next"}
    >>> step = graph.router(
    ...     ChampionChallenger, routes=routes, champion="current", challenger="next", share=0.1, key="user"
    ... )
    >>> [graph.test({"user": user}) for user in ("ada", "bob", "eve")].count("next") <= 3
    True
    """

    def __init__(
        self,
        champion: str,
        challenger: str,
        share: float = 0.1,
        key: str = "",
        missing: Literal["error", "random"] = "error",
        salt: str = "",
        seed: int | None = None,
        *,
        members: tuple[str, ...] = (),
        context: Context | None = None,
    ) -> None:
        for argument, route in (("champion", champion), ("challenger", challenger)):
            if not checked_route(argument, route, members):
                raise ValueError(f"{argument} is a route: {', '.join(members)}")
        if champion == challenger:
            raise ValueError(f"champion and challenger are two routes, both are {champion!r}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(f"share is between 0 and 1, not {share!r}")
        others = [name for name in members if name not in (champion, challenger)]
        if others:
            raise ValueError(f"a champion and a challenger are all, there are routes besides: {', '.join(others)}")
        weights = {challenger: share, champion: 1 - share}
        super().__init__(weights, key, missing, salt, seed, members=(challenger, champion), context=context)
        self.roles = {champion: "champion", challenger: "challenger"}
