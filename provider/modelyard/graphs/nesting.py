"""Lays graphs in graphs open: their steps take the place of the one that they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from modelyard.errors import near_name
from modelyard.graphs.checks import Shape
from modelyard.graphs.definition import Definition, Handler, Node
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.settings import StepSettings

__all__ = ["Flat", "Scope", "laid_open"]


class Scope(NamedTuple):
    """What a step can ask its context for.

    Parameters
    ----------
    parameters
        Those of its graph, and of the graphs around it.
    resources
        The name that the step uses → the name in the whole.
    """

    parameters: Mapping[str, Any] = {}
    resources: Mapping[str, str] = {}


@dataclass(slots=True)
class Flat:
    """A graph without graphs in it.

    Parameters
    ----------
    nodes
        By name; those of a graph inside as ``inner.step``.
    handlers
        Of each node, the nearest first, each with what it can ask its context for.
    scopes
        What each node can ask its context for.
    resources
        What makes each resource, by its name in the whole.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    handlers: dict[str, list[tuple[Handler, Scope]]] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    resources: dict[str, Callable[[], Any]] = field(default_factory=dict)

    def scope_of(self, name: str) -> Scope:
        """Return the scope of a node, or of the node whose member is called ``node.member``."""
        return self.scopes.get(name) or self.scopes.get(name.rpartition(".")[0]) or Scope()


def laid_open(definition: Definition) -> tuple[Shape, Flat]:
    """Return the shape of a definition with everything in it laid open.

    Raises
    ------
    GraphInvalid
        A graph inside has not one end, or is told something that only a step can be told.
    """
    flat = _flat(definition, "", Scope(), ())
    return Shape(definition.name, flat.nodes, definition.cycle_bound), flat


def _flat(definition: Definition, prefix: str, outer: Scope, around: tuple[Definition, ...]) -> Flat:
    if definition in around:
        raise GraphInvalid(around[0].name, f"the graph {definition.name!r} is a part of itself")
    resources = {name: f"{prefix}{name}" for name in definition.resources}
    scope = Scope({**outer.parameters, **definition.parameters}, {**outer.resources, **resources})
    found = Flat(resources={f"{prefix}{name}": make for name, make in definition.resources.items()})
    exits: dict[str, str] = {}
    for node in definition:
        after = tuple(_moved(source, exits, prefix) for source in node.after)
        if node.kind == "graph":
            exits[node.name] = _take_graph(found, node, definition, prefix, after, scope, (*around, definition))
        else:
            _take(found, node, definition, prefix, after, scope)
        for member in node.members.values():
            if member.kind == "graph":  # it becomes a plan of its own; what is wrong with it shows here already
                _flat(member.use.definition, "", Scope(), (*around, definition))
    return found


def _take(found: Flat, node: Node, definition: Definition, prefix: str, after: tuple[str, ...], scope: Scope) -> None:
    name, handler = f"{prefix}{node.name}", _prefixed(node.on_error, definition, prefix)
    cycles = _cycles(node, definition, prefix)
    found.nodes[name] = replace(node, name=name, after=after, cycles=cycles, on_error=handler, inlets=node.after)
    found.handlers[name] = [
        (each, scope) for each in (handler, _prefixed(definition.handler, definition, prefix)) if each is not None
    ]
    found.scopes[name] = scope


def _take_graph(
    found: Flat,
    node: Node,
    definition: Definition,
    prefix: str,
    after: tuple[str, ...],
    scope: Scope,
    around: tuple[Definition, ...],
) -> str:
    """Take the nodes of a graph inside over; return the one that gives its result."""
    _refuse_settings(definition.name, node)
    inner = _flat(node.use.definition, f"{prefix}{node.name}.", scope, around)
    shape = Shape(definition.name, inner.nodes, definition.cycle_bound)
    if len(shape.responders) != 1:
        raise shape.refuse("a graph in a graph has one end, or a step that responds", node.name)
    end = shape.responders[0]
    outer = [_prefixed(each, definition, prefix) for each in (node.on_error, definition.handler)]
    more = [(each, scope) for each in outer if each is not None]
    for name, each in inner.nodes.items():
        entered = tuple(place for source in each.after for place in ((source,) if source else after))
        cycles = (*each.cycles, *_cycles(node, definition, prefix)) if name == end else each.cycles
        found.nodes[name] = replace(each, after=entered, respond=node.respond and name == end, cycles=cycles)
        found.handlers[name] = [*inner.handlers[name], *more]
    found.scopes |= inner.scopes
    found.resources |= inner.resources
    return end


def _refuse_settings(graph: str, node: Node) -> None:
    told = [
        each.name
        for each in msgspec.structs.fields(StepSettings)
        if getattr(node.settings, each.name) != getattr(StepSettings(), each.name)
    ]
    told += [name for name in ("arguments", "full_event") if getattr(node, name)]
    if told:
        rule = f"a graph in a graph has no {' or '.join(told)}"
        raise GraphInvalid(graph, rule, step=node.name, mend="Say it of a step in it.")


def _cycles(node: Node, definition: Definition, prefix: str) -> tuple[Any, ...]:
    return tuple(
        replace(each, to=_target(each.to, definition, prefix), bound=each.bound or definition.cycle_bound)
        for each in node.cycles
    )


def _target(name: str, definition: Definition, prefix: str) -> str:
    """Return the flat name of what a cycle or handler leads to; of a graph, it is the step that it begins with."""
    node = definition.nodes.get(name)
    if node is None or node.kind != "graph":
        return f"{prefix}{name}"
    inner = node.use.definition
    firsts = [each.name for each in inner if "" in each.after]
    if len(firsts) != 1:
        rule = f"the graph {name!r} begins with {len(firsts)} steps: nothing can lead back or continue there"
        raise GraphInvalid(definition.name, rule, mend=near_name("", firsts))
    return _target(firsts[0], inner, f"{prefix}{name}.")


def _moved(source: str, exits: Mapping[str, str], prefix: str) -> str:
    if not source:
        return ""
    return exits.get(source) or f"{prefix}{source}"


def _prefixed(handler: Handler | None, definition: Definition, prefix: str) -> Handler | None:
    if handler is None or not handler.continue_at:
        return handler
    return replace(handler, continue_at=_target(handler.continue_at, definition, prefix))
