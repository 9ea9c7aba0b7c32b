"""What is attached to the steps of a definition: their names, their outlets, handlers of errors, and ways back."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.graphs.definition import Cycle, Definition, Handler, Kind, Node, settings_of
from modelyard.graphs.errors import GraphInvalid

__all__ = ["add_cycle", "added", "as_handler", "bound_of", "handler_of", "outlet_name", "own_name", "sources_of"]


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


def added(
    definition: Definition,
    source: str,
    kind: Kind,
    use: Any,
    name: str,
    options: Mapping[str, Any],
    *,
    full_event: bool,
) -> str:
    """Add a step with its settings, arguments and handler, and return its name."""
    if "after" in options or "before" in options:
        raise GraphInvalid(definition.name, "say after and before with add_step", step=name)
    rest = dict(options)
    handler, more = rest.pop("on_error", None), rest.pop("arguments", {})
    if not isinstance(more, Mapping):
        raise GraphInvalid(definition.name, f"arguments are a mapping of names to values, not {more!r}", step=name)
    settings, arguments = settings_of(definition.name, name, rest)
    given = {**arguments, **more}
    node = Node(
        name, kind, use, (source,), given, full_event=full_event, settings=settings, on_error=as_handler(handler)
    )
    definition.add(node)
    return name


def as_handler(said: Any) -> Handler | None:
    """Return the handler that ``on_error=`` of a step means."""
    return said if isinstance(said, Handler) or said is None else Handler(said, own_name(said))


def sources_of(definition: Definition, name: str, places: Sequence[tuple[Definition, str]]) -> tuple[str, ...]:
    """Return the names of the places that a merge joins; the graph's input is none of them.

    Raises
    ------
    GraphInvalid
        One is of another graph, or there are fewer than two.
    """
    for other, source in places:
        if other is not definition:
            rule = f"{source!r} is a place of another graph, {other.name}"
            raise GraphInvalid(definition.name, rule, step=name, mend="Add that graph as a step: .to(graph).")
    sources = tuple(source for _, source in places if source)
    if len(sources) < 2:
        raise GraphInvalid(definition.name, "a merge joins at least two branches", step=name)
    return sources


def bound_of(graph: str, name: str, bound: Any) -> int:
    """Return the bound of a way back, which is called `name`; 0 says none.

    Raises
    ------
    GraphInvalid
        It is no whole number, or a negative one.
    """
    if isinstance(bound, bool) or not isinstance(bound, int) or bound < 0:
        raise GraphInvalid(graph, f"{name} is a whole number, at least 0, not {bound!r}")
    return bound


def add_cycle(definition: Definition, source: str, to: str, bound: int) -> None:
    """Add a way back from `source`, which may be an outlet."""
    name, _, outlet = source.partition(":")
    node = definition.nodes[name]
    definition.change(name, cycles=(*node.cycles, Cycle(to, bound_of(definition.name, "bound", bound), outlet)))


def own_name(step: Any) -> str:
    """Return how a step is called if nobody says."""
    if isinstance(step, str):
        return step.replace(":", ".").rpartition(".")[2]
    if getattr(step, "is_graph", False):
        return str(step.name)
    return str(getattr(step, "__name__", type(step).__name__))
