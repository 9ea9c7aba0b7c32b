"""Finds the endpoint that a request is for: of those that fit, the most literal one."""

from collections.abc import Iterable
from typing import NamedTuple

from modelyard.graphs import Endpoint
from modelyard.graphs.endpoints import template_parts
from modelyard.serving.api.errors import EndpointForbidden, EndpointNotFound
from modelyard.serving.errors import MethodNotAllowed

__all__ = ["Match", "Routes"]

_RANK = {"literal": 0, "name": 1, "rest": 2}


class Match(NamedTuple):
    """An endpoint, and the texts that a request's path has for its names."""

    endpoint: Endpoint
    texts: dict[str, str]


class _Route(NamedTuple):
    rank: tuple[int, ...]
    parts: tuple[tuple[str, str], ...]
    endpoint: Endpoint


class Routes:
    """The endpoints of one graph.

    Parameters
    ----------
    endpoints
        As declared.

    Examples
    --------
    >>> routes = Routes([Endpoint("/flights/{id}", "GET"), Endpoint("/flights/all", "GET")])
    >>> routes.find("GET", "/flights/12").texts, routes.find("GET", "/flights/all").texts
    ({'id': '12'}, {})
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        routes = []
        for each in endpoints:
            parts = template_parts(each.path)
            routes.append(_Route(tuple(_RANK[kind] for kind, _ in parts), parts, each))
        self._routes = sorted(routes, key=lambda route: route.rank)

    def find(self, method: str, path: str) -> Match:
        """Return the endpoint for a request; one for GET answers HEAD, too, and a WebSocket's method is ``WEBSOCKET``.

        Raises
        ------
        EndpointNotFound, MethodNotAllowed, EndpointForbidden
            Nothing is declared there, another method is, or it is forbidden.
        """
        texts = path.split("/")[1:] if path != "/" else []
        fitting = [(route, found) for route in self._routes if (found := _fit(route.parts, texts)) is not None]
        if not fitting and path != "/":  # which tells what is served
            raise EndpointNotFound(path, [route.endpoint.path for route in self._routes])
        asked = "GET" if method == "HEAD" else method
        for route, found in fitting:
            endpoint = route.endpoint
            if endpoint.method in (asked, "*"):
                if endpoint.action == "forbid":
                    raise EndpointForbidden(method, path, f"{endpoint.method} {endpoint.path}")
                return Match(endpoint, found)
        allowed = {route.endpoint.method for route, _ in fitting if route.endpoint.action == "allow"} - {"WEBSOCKET"}
        allowed |= {"GET", "HEAD"} if path == "/" or "GET" in allowed else set()
        raise MethodNotAllowed(method, path, ", ".join(sorted(allowed)))


def _fit(parts: tuple[tuple[str, str], ...], texts: list[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for index, (kind, text) in enumerate(parts):
        if kind == "rest":
            return found if len(texts) > index and texts[index] else None
        if index >= len(texts) or (kind == "literal" and text != texts[index]) or not texts[index]:
            return None
        if kind == "name":
            found[text] = texts[index]
    return found if len(texts) == len(parts) else None
