"""What the contract suite is told about a block: how it is used, and what it should say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from modelyard.errors import ErrorKind
from modelyard.graphs import Graph, Resources

__all__ = ["BlockCase", "graph_of", "same"]


def same(body: Any) -> Any:
    """Return the body: the step that outlets of a choice meet at."""
    return body


@dataclass(frozen=True, kw_only=True)
class BlockCase:
    """One way to use a block, with events to try it on.

    Parameters
    ----------
    use
        The class or function, as `Graph.to` takes it.
    arguments
        What it is built with, and settings.
    bodies
        Bodies that it takes, in this order: a block with a state sees them one after the other.
    replies
        What it should answer; None for an event that is filtered out. Without it only the agreement of all ways to
        run is checked.
    refused
        Bodies that it must refuse, each with the kind of the error.
    wrong_arguments
        Arguments with which the graph must not open.
    kind
        How it is used: ``to``, ``filter``, ``flat_map`` or ``choice``.
    outlets
        Of a choice: the names of its outlets.
    add
        Instead of `use`: a function that adds the block to a graph, and returns the last step. For routers, ensembles
        and models.
    changes_body
        Whether it may change the body that it is given.
    deterministic
        Whether equal events have equal replies; by default what the class says of itself.
    resources
        What the graph is opened with.
    """

    use: Any = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    bodies: Sequence[Any] = ()
    replies: Sequence[Any] | None = None
    refused: Sequence[tuple[Any, ErrorKind]] = ()
    wrong_arguments: Sequence[Mapping[str, Any]] = ()
    kind: Literal["to", "filter", "flat_map", "choice"] = "to"
    outlets: Sequence[str] = ()
    add: Callable[[Graph], Any] | None = None
    changes_body: bool = False
    deterministic: bool | None = None
    resources: Resources | None = None

    def __post_init__(self) -> None:
        if (self.use is None) == (self.add is None):
            raise ValueError("a case has a use, or add instead of it")
        if self.kind == "choice" and not self.outlets:
            raise ValueError("a case of a choice names its outlets")
        if not self.bodies and not self.refused:
            raise ValueError("a case has bodies to try the block on")
        if self.replies is not None and len(self.replies) != len(self.bodies):
            raise ValueError(
                f"a case has a reply for each body: {len(self.bodies)} bodies, {len(self.replies)} replies"
            )

    @property
    def name(self) -> str:
        """How reports call the block."""
        return getattr(self.use, "__name__", str(self.use)) if self.use is not None else "block"

    @property
    def is_deterministic(self) -> bool:
        """Whether equal events have equal replies."""
        if self.deterministic is not None:
            return self.deterministic
        return bool(getattr(self.use, "deterministic", True))

    @property
    def has_state(self) -> bool:
        """Whether the block remembers events, as its class declares it."""
        told = getattr(self.use, "state", "")
        return bool(told(dict(self.arguments)) if callable(told) else told)


def graph_of(case: BlockCase, arguments: Mapping[str, Any] | None = None) -> Graph:
    """Return a graph of the block alone."""
    graph = Graph("contract")
    if case.add is not None:
        case.add(graph).respond()
        return graph
    given = case.arguments if arguments is None else arguments
    made = getattr(graph, case.kind)(case.use, name="block", **given)
    if case.kind == "choice":
        graph.add_step(same, after=[made.when(outlet).source for outlet in case.outlets]).respond()
    else:
        made.respond()
    return graph
