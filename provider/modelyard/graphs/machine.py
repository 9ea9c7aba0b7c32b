"""The interpreter: runs a plan's nodes from a work list of tokens, depth first; slow, and obviously right.

It is a generator that does no waiting itself: it hands out what must be awaited and is sent the result, so that one
text serves calls and coroutines. It is what the compiled functions are compared with, and takes over from them where an
event leaves the straight line: errors that are handled, cycles, streams, and what follows the reply.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Generator, Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.graphs.building import outlet_name
from modelyard.graphs.errors import StepFailed
from modelyard.graphs.event import Event
from modelyard.graphs.failures import (
    CycleExceeded,
    DeadlineExceeded,
    HandlerFailed,
    MergeIncomplete,
    OutletUnknown,
    ReplyRepeated,
)
from modelyard.graphs.isolation import isolated
from modelyard.graphs.joins import ABSENT, joined
from modelyard.graphs.parts import Edge, PlanNode

if TYPE_CHECKING:
    from modelyard.graphs.plan import Plan

__all__ = ["Gather", "Machine", "Reply", "Run", "Steps", "Token", "TraceEntry", "chosen", "split"]


class Token(NamedTuple):
    """An event on its way to a node."""

    edge: Edge
    event: Event
    late: bool = False
    """Whether it follows the reply: its errors can no longer change it."""


@dataclass(slots=True)
class _Spread:
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


class _AnsweredError(Exception):
    """An error handler answered: the event is over."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


@dataclass(slots=True)
class Run:
    """What is remembered while one event runs."""

    event: Event
    replied: bool = False
    joins: dict[int, list[deque[Any]]] = field(default_factory=dict)
    batches: dict[int, list[Any]] = field(default_factory=dict)
    rounds: dict[int, int] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    trace: list[TraceEntry] | None = None
    concurrent: bool = False


class Machine:
    """Runs one event.

    Parameters
    ----------
    plan
        The open graph.
    run
        The state of the event.
    """

    def __init__(self, plan: "Plan", run: Run) -> None:
        self._plan = plan
        self._nodes = plan.nodes
        self._run = run

    def process(
        self, tokens: Sequence[Token], failure: tuple[PlanNode, Event, Exception] | None = None
    ) -> Generator[Any, Any, None]:
        """Run the tokens, the first one first, and everything that follows from them.

        Parameters
        ----------
        tokens
            Where the event is.
        failure
            A node that failed already, to begin with.

        Raises
        ------
        StepFailed, HandlerFailed
            A step or its handler raised before the reply.
        """
        stack: list[Any] = list(reversed(tokens))
        try:
            if failure:
                yield from self._recover(stack, *failure, late=False)
            while True:
                yield from self._execute(stack, -1)
                more = yield from self._leftovers(stack)
                if not more:
                    break
        except _AnsweredError as answer:
            self._run.replied = True
            yield Reply(answer.value)

    def _execute(self, stack: list[Any], boundary: int) -> Steps:
        arrivals: list[tuple[Edge, Event]] = []
        try:
            while stack:
                entry = stack.pop()
                if isinstance(entry, _Spread):
                    yield from self._spread(stack, entry)
                elif entry.edge.to == boundary:
                    arrivals.append((entry.edge, entry.event))
                else:
                    yield from self._token(stack, entry)
        finally:
            for entry in stack:
                if isinstance(entry, _Spread) and hasattr(entry.items, "close"):
                    entry.items.close()
        return arrivals

    def _token(self, stack: list[Any], token: Token) -> Generator[Any, Any, None]:
        node, event, begin = self._nodes[token.edge.to], token.event, perf_counter()
        late = token.late or (self._run.replied and not self._plan.streams)
        given = isolated(event.body) if self._run.trace is not None else None
        try:
            self._enter(token.edge, node, event)
            value = self._apply(node, event, token.edge)
            if node.is_async and not node.yields:
                value = yield self._bounded(value, event)
        except Exception as error:  # noqa: BLE001 (whatever a step raises goes to its handler)
            self._traced(node, given, None, begin, error)
            yield from self._recover(stack, node, event, error, late=late)
            return
        self._traced(node, given, value, begin, None)
        yield from self._deliver(stack, node, event, value, late=late)

    def _enter(self, edge: Edge, node: PlanNode, event: Event) -> None:
        run, plan = self._run, self._plan
        if plan.cycles:
            run.path.append(node.name)
        if edge.cycle >= 0:
            run.rounds[edge.cycle] = run.rounds.get(edge.cycle, 0) + 1
            limit = plan.cycles[edge.cycle]
            if run.rounds[edge.cycle] > limit.bound:
                raise CycleExceeded(limit.name, limit.bound, run.path)
        if event.deadline is not None and (late := monotonic() - event.deadline) > 0:
            raise DeadlineExceeded(late)

    def _apply(self, node: PlanNode, event: Event, edge: Edge) -> Any:
        if node.kind == "merge":
            return self._arrive(node, edge.inlet, event.body)
        if node.kind == "batch":
            return self._gathered(node, event.body)
        return node.call(event if node.full_event else event.body)

    def _bounded(self, work: Awaitable[Any], event: Event) -> Awaitable[Any]:
        return work if event.deadline is None else self._plan.bounded(work, event.deadline)

    def _deliver(
        self, stack: list[Any], node: PlanNode, event: Event, value: Any, *, late: bool
    ) -> Generator[Any, Any, None]:
        kind = node.kind
        if value is ABSENT or kind == "queue":
            return
        if node.yields or kind in ("flat_map", "unbatch"):
            try:
                items = value if node.yields and node.is_async else iter(value)
            except TypeError as error:
                yield from self._recover(stack, node, event, error, late=late)
                return
            stack.append(_Spread(node, event, items, late))
            return
        edges = node.edges
        if kind == "filter":
            if not value:
                return
        elif kind == "choice":
            try:
                edges = chosen(node, value)
            except OutletUnknown as error:
                yield from self._recover(stack, node, event, error, late=late)
                return
        elif kind == "merge" and "key" in node.options:
            for each in reversed(value):
                self._push(stack, node.edges, event.branch(each), late=late)
            return
        elif isinstance(value, Event):
            event = value
        else:
            event.body = value
        yield from self._onwards(stack, node, event, edges, late=late)

    def _onwards(
        self, stack: list[Any], node: PlanNode, event: Event, edges: tuple[Edge, ...], *, late: bool
    ) -> Generator[Any, Any, None]:
        if node.respond:
            if self._run.replied and not self._plan.streams:
                self._plan.report(self._failed(node, event, ReplyRepeated(node.name)))
                return
            self._run.replied = late = True
            body = event.body
            if edges:
                event = event.branch(isolated(body))
            yield Reply(body)
        if node.region >= 0 and self._run.concurrent:
            yield from self._fork(stack, node.region, event, edges, late=late)
        else:
            self._push(stack, edges, event, late=late)

    def _push(self, stack: list[Any], edges: tuple[Edge, ...], event: Event, *, late: bool) -> None:
        tokens = split(edges, event, late=late)
        tokens.reverse()
        stack.extend(tokens)

    def _fork(
        self, stack: list[Any], meeting: int, event: Event, edges: tuple[Edge, ...], *, late: bool
    ) -> Generator[Any, Any, None]:
        branches = [self._execute([token], meeting) for token in split(edges, event, late=late)]
        arrivals = yield Gather(branches)
        flat = [Token(edge, each, late) for branch in arrivals for edge, each in branch]
        stack.extend(reversed(flat))

    def start(self, event: Event) -> Generator[Any, Any, None]:
        """Run an event from the graph's input."""
        plan = self._plan
        if plan.entry_region >= 0 and self._run.concurrent:
            stack: list[Any] = []
            try:
                yield from self._fork(stack, plan.entry_region, event, plan.entry, late=False)
            except _AnsweredError as answer:
                self._run.replied = True
                yield Reply(answer.value)
                return
            stack.reverse()
            yield from self.process(stack)
        else:
            yield from self.process(split(plan.entry, event, late=False))

    def _spread(self, stack: list[Any], spread: _Spread) -> Generator[Any, Any, None]:
        node, event = spread.node, spread.event
        try:
            if isinstance(spread.items, AsyncIterator):
                value = yield self._bounded(_next(spread.items), event)
            else:
                value = next(spread.items)
        except (StopIteration, StopAsyncIteration):
            return
        except Exception as error:  # noqa: BLE001 (whatever a step raises goes to its handler)
            yield from self._recover(stack, node, event, error, late=spread.late)
            return
        stack.append(spread)
        each = value if isinstance(value, Event) else event.branch(value)
        yield from self._onwards(stack, node, each, node.edges, late=spread.late)

    def _arrive(self, node: PlanNode, inlet: int, body: Any) -> Any:
        if "key" in node.options:
            return self._plan.keyed[node.index].arrive(inlet, body) or ABSENT
        waiting = self._run.joins.get(node.index)
        if waiting is None:
            waiting = self._run.joins[node.index] = [deque() for _ in node.inlets]
        waiting[inlet].append(body)
        if not all(waiting):
            return ABSENT
        return joined(node.inlets, [each.popleft() for each in waiting], node.options["into"])

    def _gathered(self, node: PlanNode, body: Any) -> Any:
        waiting = self._run.batches.setdefault(node.index, [])
        waiting.append(body)
        if len(waiting) < node.options["size"]:
            return ABSENT
        del self._run.batches[node.index]
        return waiting

    def _leftovers(self, stack: list[Any]) -> Generator[Any, Any, bool]:
        """Let go on what waits for something that never comes; return whether there was anything."""
        run, late = self._run, self._run.replied and not self._plan.streams
        for index in sorted(run.batches):
            event = run.event.branch(run.batches.pop(index))
            yield from self._onwards(stack, self._nodes[index], event, self._nodes[index].edges, late=late)
            return True
        for index in sorted(run.joins):
            node, waiting = self._nodes[index], run.joins[index]
            if not any(waiting):
                continue
            bodies = [each.popleft() if each else ABSENT for each in waiting]
            policy = node.options["missing"]
            if policy == "partial":
                event = run.event.branch(joined(node.inlets, bodies, node.options["into"]))
                yield from self._onwards(stack, node, event, node.edges, late=late)
            elif policy == "error":
                absent = [name for name, body in zip(node.inlets, bodies, strict=True) if body is ABSENT]
                event = run.event.branch([body for body in bodies if body is not ABSENT])
                yield from self._recover(stack, node, event, MergeIncomplete(absent), late=late)
            return True
        return False

    def _recover(
        self, stack: list[Any], node: PlanNode, event: Event, error: Exception, *, late: bool
    ) -> Generator[Any, Any, None]:
        event.error, event.origin = error, node.name
        for handler in node.handlers:
            try:
                value: Any = event
                if handler.call is not None:
                    value = handler.call(event)
                    if handler.is_async:
                        value = yield value
            except Exception as raised:  # noqa: BLE001 (a handler is a step, too)
                if raised is error:
                    continue
                failed = HandlerFailed(self._plan.graph, handler.name, node.name, event.id, error, raised)
                failed.__cause__ = raised
                self._end(failed, late=late)
                return
            if handler.continue_at >= 0:
                if isinstance(value, Event):
                    event = value
                else:
                    event.body = value
                stack.append(Token(Edge(handler.continue_at), event, late))
                return
            if late:
                return
            raise _AnsweredError(value.body if isinstance(value, Event) else value)
        self._end(self._failed(node, event, error), late=late)

    def _failed(self, node: PlanNode, event: Event, error: Exception) -> StepFailed:
        failed = StepFailed(self._plan.graph, node.name, event.id, error)
        failed.__cause__ = error
        return failed

    def _end(self, failed: StepFailed | HandlerFailed, *, late: bool) -> None:
        if not late:
            raise failed
        self._plan.report(failed)

    def _traced(self, node: PlanNode, given: Any, value: Any, begin: float, error: Exception | None) -> None:
        if self._run.trace is not None and value is not ABSENT:
            told = isolated(value) if not node.yields else "…"
            self._run.trace.append(TraceEntry(node.name, given, told, perf_counter() - begin, error))


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


def _next(items: AsyncIterator[Any]) -> Awaitable[Any]:
    async def ask() -> Any:
        return await anext(items)

    return ask()
