"""The parts of a plan: nodes with resolved callables, edges between them, handlers; nothing here changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["CycleLimit", "Edge", "PlanHandler", "PlanNode"]


class Edge(NamedTuple):
    """A way from one node to the next.

    Parameters
    ----------
    to
        The node's index.
    inlet
        Which inlet of a merge it is; 0 elsewhere.
    cycle
        Which cycle it closes; -1 if none.
    """

    to: int
    inlet: int = 0
    cycle: int = -1


class CycleLimit(NamedTuple):
    """How often an event may take a way back."""

    name: str
    bound: int


@dataclass(frozen=True, slots=True)
class PlanHandler:
    """An error handler that is ready to run."""

    name: str
    call: Callable[[Any], Any] | None
    is_async: bool
    continue_at: int


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A step that is ready to run.

    Parameters
    ----------
    call
        Takes the body, or the event if `full_event`.
    edges
        Where its results go, in the order of declaration.
    outlets
        Of a choice: outlet → edges.
    handlers
        The nearest first.
    inlets
        Of a merge: the names of its branches.
    collects
        Of what makes several events of one: the batches that gather all of them.
    region
        The merge at which all its branches meet, if they may run concurrently; -1 otherwise.
    batch
        What takes many bodies at once, if there is such a thing.
    direct
        Of a router or ensemble that can do without an event: takes the body, and the event if there is one.
    single
        Of what has `batch`: takes one body, without an event; None if it waits for something.
    """

    index: int
    name: str
    kind: str
    call: Callable[[Any], Any]
    is_async: bool = False
    full_event: bool = False
    yields: bool = False
    respond: bool = False
    edges: tuple[Edge, ...] = ()
    outlets: Mapping[str, tuple[Edge, ...]] = field(default_factory=dict)
    handlers: tuple[PlanHandler, ...] = ()
    inlets: tuple[str, ...] = ()
    collects: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    region: int = -1
    batch: Callable[[Any], Any] | None = None
    wrapped: bool = False
    direct: Callable[[Any, Any], Any] | None = None
    single: Callable[[Any], Any] | None = None
