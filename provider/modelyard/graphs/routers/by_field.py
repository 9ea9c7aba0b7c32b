"""The router by field: the body says which member it wants."""

from collections.abc import Mapping
from typing import Any

from modelyard.graphs.bodies import part_of
from modelyard.graphs.failures import PathMissing
from modelyard.graphs.group_errors import RouteMissing
from modelyard.graphs.groups import RouterStrategy
from modelyard.graphs.routers.routes import checked_route, route_text

__all__ = ["ByField"]


class ByField(RouterStrategy):
    """Takes the route from a field of the body.

    Parameters
    ----------
    field
        The field (dotted).
    values
        Value → route, where the field does not hold the route itself; values that are no text are written as JSON
        has them: ``true``, ``3``.
    default
        The route of bodies without the field; empty refuses them.
    unknown
        The route of bodies whose field names none that is there; empty refuses them.

    Raises
    ------
    ValueError
        `field` is empty, or a route is none.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("models")
    >>> routes = {"europe": lambda body: "EUR", "world": lambda body: "USD"}
    >>> step = graph.router(ByField, routes=routes, field="from.continent", values={"EU": "europe"}, unknown="world")
    >>> graph.test({"from": {"continent": "EU"}}), graph.test({"from": {"continent": "AS"}})
    ('EUR', 'USD')
    """

    def __init__(
        self,
        field: str,
        values: Mapping[str, str] | None = None,
        default: str = "",
        unknown: str = "",
        *,
        members: tuple[str, ...] = (),
    ) -> None:
        if not isinstance(field, str) or not field:
            raise ValueError(f"field names a field of the body, it is {field!r}")
        self.field = field
        self.default = checked_route("default", default, members)
        self.unknown = checked_route("unknown", unknown, members)
        self._table = {name: name for name in members}
        if values is not None and not isinstance(values, Mapping):
            raise TypeError(f"values maps values to routes, it is {type(values).__name__}")
        for value, route in (values or {}).items():
            self._table[route_text(value)] = checked_route(f"values[{value!r}]", route, members)
        self._members = members
        self._plain = "." not in field

    def select_body(self, body: Any) -> Any:
        """Return the route.

        Raises
        ------
        RouteMissing
            The body has no such field, and there is no default.
        """
        try:
            value = body[self.field] if self._plain and body.__class__ is dict else part_of(body, self.field)
        except (KeyError, PathMissing):
            if self.default:
                return self.default
            raise RouteMissing(f"it has no field {self.field!r}", self._members) from None
        if value.__class__ is not str:
            value = route_text(value)
        return self._table.get(value) or self.unknown or value
