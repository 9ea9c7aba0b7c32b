"""What a graph consists of before it is compiled: nodes, the edges into them, handlers and cycles."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import msgspec

from modelyard.errors import near_name
from modelyard.graphs.calls import check_step
from modelyard.graphs.endpoints import Chat, Endpoint
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.options import checked_options
from modelyard.graphs.settings import Cache, CircuitBreaker, Fallback, Retry, StepSettings, nearest_field

__all__ = ["Cycle", "Definition", "Handler", "Kind", "Node", "settings_of"]

Kind = Literal[
    "call", "model", "filter", "flat_map", "choice", "merge", "batch", "unbatch", "queue", "graph", "router", "ensemble"
]
KINDS: tuple[str, ...] = get_args(Kind)
CODE = ("call", "filter", "flat_map", "choice", "router", "ensemble")
"""Kinds whose `use` is a step, or decides about steps."""


@dataclass(frozen=True, slots=True)
class Handler:
    """Who looks at an error.

    Parameters
    ----------
    use
        A step; it gets the event, with ``error`` and ``origin``. Nothing means that the event simply goes on.
    name
        How errors call it.
    continue_at
        The step that goes on with its result; empty makes the result the reply.
    arguments
        What it gets besides the event.
    """

    use: Any
    name: str
    continue_at: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cycle:
    """A way back, and how often an event may take it; 0 leaves the bound to the graph."""

    to: str
    bound: int = 0
    outlet: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a definition.

    Parameters
    ----------
    name
        Unique in the graph.
    kind
        What it does with an event.
    use
        A step, a model's reference, a field or predicate, or a graph, depending on the kind.
    after
        Where its events come from: names of steps, ``choice:outlet``, or empty text for the graph's input.
    arguments
        What the step is built or called with.
    options
        What the kind can be told: of a merge, for example, what is missing.
    inlets
        Of a merge in a flat graph: how the branches are called, whatever graphs their steps come from.
    members
        Of a router or ensemble: name → what it routes to or combines, in order.
    """

    name: str
    kind: Kind
    use: Any = None
    after: tuple[str, ...] = ("",)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    full_event: bool = False
    respond: bool = False
    settings: StepSettings = field(default_factory=StepSettings)
    on_error: Handler | None = None
    cycles: tuple[Cycle, ...] = ()
    members: Mapping[str, "Node"] = field(default_factory=dict)
    inlets: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Definition:
    """A graph as it grows; see `modelyard.graphs.Graph` for what the parts mean."""

    name: str
    cycle_bound: int = 0
    nodes: dict[str, Node] = field(default_factory=dict)
    handler: Handler | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Callable[[], Any]] = field(default_factory=dict)
    changes: int = 0
    endpoints: tuple[Endpoint, ...] = ()
    chat: Chat | None = None

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def add(self, node: Node) -> None:
        """Take a node in.

        Raises
        ------
        GraphInvalid
            Its name is missing, wrong or taken, it follows what is not there, or an option has a wrong value.
        """
        if not node.name or node.name == "<lambda>":
            raise GraphInvalid(self.name, "a step without a name of its own needs one", mend="Say name='…'.")
        if not isinstance(node.name, str) or not node.name.isprintable() or node.name != node.name.strip():
            raise GraphInvalid(self.name, f"a step's name is text on one line, without spaces around: {node.name!r}")
        if ":" in node.name:
            raise GraphInvalid(self.name, "a step's name has no colon", step=node.name)
        if node.name in self.nodes:
            raise GraphInvalid(self.name, "there is a step of this name already", step=node.name, mend="Say name='…'.")
        for source in node.after:
            origin = source.partition(":")[0]
            if origin and origin not in self.nodes:
                raise GraphInvalid(
                    self.name,
                    f"it comes after {origin!r}, which is not there",
                    step=node.name,
                    mend=near_name(origin, list(self.nodes)),
                )
        if node.kind in CODE and not (node.kind == "choice" and isinstance(node.use, str)):
            check_step(self.name, node.name, node.use)
        options = checked_options(self.name, node.name, node.kind, node.options)
        self.nodes[node.name] = replace(node, options=options)
        self.changes += 1

    def change(self, name: str, **changes: Any) -> None:
        """Put other values into a node."""
        self.nodes[name] = replace(self.nodes[name], **changes)
        self.changes += 1

    def move_before(self, name: str, other: str) -> None:
        """Let a node be declared before another one."""
        order = [each for each in self.nodes if each != name]
        order.insert(order.index(other), name)
        self.nodes = {each: self.nodes[each] for each in order}

    def copied(self) -> "Definition":
        """Return another definition with the same nodes."""
        other = Definition(self.name, self.cycle_bound, dict(self.nodes), self.handler)
        other.parameters, other.resources = dict(self.parameters), dict(self.resources)
        other.endpoints, other.chat = self.endpoints, self.chat
        return other


_SETTINGS = {each.name: each.type for each in msgspec.structs.fields(StepSettings)}
_STRUCTS: dict[str, Any] = {"retries": Retry, "circuit_breaker": CircuitBreaker, "cache": Cache}


def settings_of(graph: str, name: str, options: Mapping[str, Any]) -> tuple[StepSettings, dict[str, Any]]:
    """Return the settings among `options`, and the rest: the step's arguments.

    Raises
    ------
    GraphInvalid
        A setting has a value that it cannot have.

    Examples
    --------
    >>> settings, arguments = settings_of("g", "s", {"timeout": 2, "retries": 4, "factor": 3})
    >>> settings.timeout, settings.retries.attempts, arguments
    (2, 4, {'factor': 3})
    """
    given = {key: value for key, value in options.items() if key in _SETTINGS and value is not None}
    rest = {key: value for key, value in options.items() if key not in _SETTINGS}
    for key, value in given.items():
        try:
            given[key] = _setting(key, value)
        except (ValueError, TypeError) as error:
            kind = f"Say {key}={_STRUCTS[key].__name__}(…)." if key in _STRUCTS else ""
            mend = nearest_field(str(error)) or kind
            given_as = f", not {value!r}" if str(error).startswith("Expected") else ""
            raise GraphInvalid(graph, f"the setting {key}: {error}{given_as}", step=name, mend=mend) from None
    try:
        return StepSettings(**given), rest
    except ValueError as error:
        raise GraphInvalid(graph, str(error), step=name) from None


def _setting(key: str, value: Any) -> Any:
    """Return the value of a setting as `StepSettings` takes it; raises what msgspec and the setting's class raise."""
    if key == "retries" and isinstance(value, int) and not isinstance(value, bool):
        return Retry(attempts=value)
    if key == "cache" and value is True:
        return Cache()
    if key == "fallback" and not isinstance(value, Fallback):
        return Fallback(use=value) if callable(value) else Fallback(value)
    if key in _STRUCTS:
        return value if isinstance(value, _STRUCTS[key]) else msgspec.convert(value, _STRUCTS[key])
    if key not in ("condition", "fallback", "concurrency"):
        msgspec.convert(value, _SETTINGS[key])
    return value
