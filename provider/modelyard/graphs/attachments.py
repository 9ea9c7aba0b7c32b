"""What is attached to the steps of a definition: their names, their outlets, handlers of errors, and ways back."""

from collections.abc import Mapping
from typing import Any

from modelyard.graphs.definition import Cycle, Definition, Handler
from modelyard.graphs.errors import GraphInvalid

__all__ = ["add_cycle", "handler_of", "outlet_name", "own_name"]


def outlet_name(said: Any) -> str:
    """Return the outlet that a choice's value means."""
    if said is True:
        return "yes"
    return "no" if said is False else str(said)


def handler_of(
    definition: Definition, handler: Any, name: str, continue_at: str, arguments: Mapping[str, Any]
) -> Handler:
    """Return the handler, checked."""
    if handler is None and not continue_at:
        raise GraphInvalid(definition.name, "an error handler is a step, or says where to continue_at")
    return Handler(handler, name or (own_name(handler) if handler is not None else "continue"), continue_at, arguments)


def add_cycle(definition: Definition, source: str, to: str, bound: int) -> None:
    """Add a way back from `source`, which may be an outlet."""
    name, _, outlet = source.partition(":")
    node = definition.nodes[name]
    definition.change(name, cycles=(*node.cycles, Cycle(to, bound, outlet)))


def own_name(step: Any) -> str:
    """Return how a step is called if nobody says."""
    if isinstance(step, str):
        return step.replace(":", ".").rpartition(".")[2]
    if getattr(step, "is_graph", False):
        return str(step.name)
    return str(getattr(step, "__name__", type(step).__name__))
