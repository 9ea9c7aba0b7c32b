"""The router by path: the request says which member it wants."""

from typing import Any

from modelyard.graphs.bodies import part_of
from modelyard.graphs.event import Event
from modelyard.graphs.failures import PathMissing
from modelyard.graphs.group_errors import RouteMissing
from modelyard.graphs.groups import RouterStrategy
from modelyard.graphs.request_paths import path_name
from modelyard.graphs.routers.routes import checked_route, route_text

__all__ = ["ByPath"]

_MOST_KEPT = 4096


class ByPath(RouterStrategy):
    """Takes the route from the path: ``/v2/models/<route>[/versions/<version>][/<operation>]``.

    A path with a version looks for the route ``<route>:<version>`` first. A path that is not behind the prefix names no
    route; then the body's field decides, if there is one, and the default after it.

    Parameters
    ----------
    prefix
        What comes before the route; empty takes the first part of the path.
    field
        The body's field (dotted) that names the route where the path does not; empty looks at no field.
    default
        The route of events that name none; empty refuses them.
    unknown
        The route of events that name one that is not there; empty refuses them.

    Raises
    ------
    ValueError
        `default` or `unknown` is no route, or the prefix is no path.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("models")
    >>> routes = {"late": lambda body: "late?", "early": lambda body: "early?"}
    >>> step = graph.router(ByPath, routes=routes, default="late")
    >>> graph.test({}, path="/v2/models/early/infer"), graph.test({})
    ('early?', 'late?')
    """

    def __init__(
        self,
        prefix: str = "/v2/models",
        field: str = "",
        default: str = "",
        unknown: str = "",
        *,
        members: tuple[str, ...] = (),
    ) -> None:
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ValueError(f"prefix begins with a slash and ends without one, it is {prefix!r}")
        self.prefix = prefix
        self.field = field
        self.default = checked_route("default", default, members)
        self.unknown = checked_route("unknown", unknown, members)
        self._routes = frozenset(members)
        self._members = members
        self._found: dict[str, str] = {}

    def select(self, event: Event) -> Any:
        """Return the route.

        Raises
        ------
        RouteMissing
            Nothing names one, and there is no default.
        """
        route = self._found.get(event.path)
        return route if route is not None else self._looked_up(event)

    def _looked_up(self, event: Event) -> Any:
        name, version = path_name(event.path, self.prefix)
        if name:
            both = f"{name}:{version}"
            route = both if version and both in self._routes else name
            if route not in self._routes:
                return self.unknown or route
            if len(self._found) < _MOST_KEPT:  # paths come from outside: what is kept has a bound
                self._found[event.path] = route
            return route
        if self.field:
            try:
                route = part_of(event.body, self.field)
            except PathMissing:
                route = ""
            if route is not None and route != "":
                route = route_text(route)
                return route if route in self._routes else self.unknown or route
        if not self.default:
            where = f"in the path {event.path!r} behind {self.prefix or '/'}"
            raise RouteMissing(f"{where}{f', or in the field {self.field!r}' if self.field else ''}", self._members)
        return self.default
