"""What the interpreter moves about: events on their way to nodes, and what is remembered while one event runs."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelyard.graphs.building import outlet_name
from modelyard.graphs.event import Event
from modelyard.graphs.failures import OutletUnknown
from modelyard.graphs.isolation import isolated
from modelyard.graphs.parts import Edge, PlanNode

__all__ = ["Answered", "Gather", "Reply", "Run", "Spread", "Steps", "Token", "TraceEntry", "chosen", "next_of", "split"]


class Token(NamedTuple):
    """An event on its way to a node."""

    edge: Edge
    event: Event
    late: bool = False
    """Whether it follows the reply: its errors can no longer change it."""


@dataclass(slots=True)
class Spread:
    """A step's results that are still to come."""

    node: PlanNode
    event: Event
    items: Any
    late: bool


class Reply(NamedTuple):
    """Handed out when the responder has run."""

    value: Any


class Gather(NamedTuple):
    """Handed out when branches may run concurrently; the answer is the list of their arrivals, in order."""

    branches: Sequence["Steps"]


Steps = Generator[Any, Any, list[tuple[Edge, Event]]]


class TraceEntry(NamedTuple):
    """What one step did with one event."""

    step: str
    input: Any
    output: Any
    seconds: float
    error: BaseException | None


class Answered(Exception):
    """An error handler answered: the event is over."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


@dataclass(slots=True)
class Run:
    """What is remembered while one event runs."""

    event: Event
    replied: bool = False
    detached: bool = False
    """Whether nobody waits for a reply any more: it goes on with what was left behind by events."""
    joins: dict[int, list[deque[Any]]] = field(default_factory=dict)
    batches: dict[int, list[Any]] = field(default_factory=dict)
    rounds: dict[int, int] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    trace: list[TraceEntry] | None = None
    concurrent: bool = False


def split(edges: tuple[Edge, ...], event: Event, *, late: bool) -> list[Token]:
    """Return a token for each edge; all but the last get copies."""
    if not edges:
        return []
    tokens = [Token(edge, event.branch(isolated(event.body)), late) for edge in edges[:-1]]
    tokens.append(Token(edges[-1], event, late))
    return tokens


def chosen(node: PlanNode, value: Any) -> tuple[Edge, ...]:
    """Return the edges of the outlets that a choice named, in the order of declaration.

    Raises
    ------
    OutletUnknown
        It has no such outlet.
    """
    outlets = node.outlets
    if not isinstance(value, list | tuple | set):
        single = outlets.get(outlet_name(value)) or outlets.get("*")
        if single is None:
            raise OutletUnknown(value, [*outlets])
        return single
    names = {outlet_name(each) for each in value}
    unknown = sorted(names - outlets.keys())
    if unknown and "*" not in outlets:
        raise OutletUnknown(unknown[0], [*outlets])
    if not names:
        raise OutletUnknown(None, [*outlets])
    wanted = names | {"*"} if unknown else names
    found = tuple(edge for name, edges in outlets.items() if name in wanted for edge in edges)
    return tuple(sorted(found, key=lambda edge: (edge.cycle >= 0, edge.to)))


def next_of(items: AsyncIterator[Any]) -> Awaitable[Any]:
    """Return what waits for the next item."""

    async def ask() -> Any:
        return await anext(items)

    return ask()
