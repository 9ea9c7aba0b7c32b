"""What a step may ask about its surroundings: the `context` parameter."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from modelyard.errors import near_name
from modelyard.graphs.errors import GraphInvalid, ResourceMissing
from modelyard.graphs.ports import Resources

__all__ = ["Context", "Response"]


class Response(NamedTuple):
    """A reply with a status and headers of its own; made by `Context.response` or by hand."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = {}


class Context:
    """Handed to a step that has a parameter called ``context``, when the graph opens.

    Attributes
    ----------
    graph, step
        The names.
    logger
        The step's own.
    parameters
        What the graph was told: ``graph.parameters``.

    Examples
    --------
    >>> context = Context("delays", "answer", {"limit": 0.5}, None, {})
    >>> context.parameters["limit"], context.response({"late": None}, status=202).status
    (0.5, 202)
    """

    __slots__ = ("_opened", "_ports", "graph", "logger", "parameters", "step")

    def __init__(
        self,
        graph: str,
        step: str,
        parameters: Mapping[str, Any],
        ports: Resources | None,
        opened: Mapping[str, Callable[[], Any]],
    ) -> None:
        self.graph = graph
        self.step = step
        self.logger = logging.getLogger(f"modelyard.graphs.{graph}.{step}")
        self.parameters = parameters
        self._ports = ports
        self._opened = opened

    def secret(self, name: str) -> str:
        """Return a secret's value.

        Raises
        ------
        ResourceMissing
            The graph was opened without secrets.
        """
        if self._ports is None or self._ports.secrets is None:
            raise ResourceMissing(self.graph, self.step, "secrets")
        return self._ports.secrets.secret(name)

    def response(self, body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Return what a responder or error handler returns to reply with a status and headers."""
        return Response(body, status, headers or {})

    def metric(self, name: str, value: float, **labels: str) -> None:
        """Emit a measured value; nothing happens where nobody listens."""
        if self._ports is not None and self._ports.metrics is not None:
            self._ports.metrics.emit(name, value, {"graph": self.graph, "step": self.step, **labels})

    def resource(self, name: str) -> Any:
        """Return what was opened when the graph started, as `Graph.resource` declared it.

        Raises
        ------
        GraphInvalid
            There is no such resource.
        """
        if name not in self._opened:
            raise GraphInvalid(
                self.graph, f"there is no resource {name!r}", step=self.step, mend=near_name(name, list(self._opened))
            )
        return self._opened[name]()

    def part(self, name: str) -> "Context":
        """Return the surroundings of a part of this step; it is called ``step.name``."""
        return Context(self.graph, f"{self.step}.{name}", self.parameters, self._ports, self._opened)

    @property
    def ports(self) -> Resources:
        """What the graph got from the outside."""
        return self._ports or Resources()
