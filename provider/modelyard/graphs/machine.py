"""The interpreter: runs a plan's nodes from a work list of tokens, depth first; slow, and obviously right.

It is a generator that does no waiting itself: it hands out what must be awaited and is sent the result, so that one
text serves calls and coroutines. It is what the compiled functions are compared with, and takes over from them where an
event leaves the straight line: errors that are handled, cycles, streams, and what follows the reply.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from time import monotonic, perf_counter
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from modelyard.graphs.context import Response
from modelyard.graphs.errors import StepFailed
from modelyard.graphs.event import Event
from modelyard.graphs.failures import (
    FAILURES,
    BodyUncopyable,
    CycleExceeded,
    DeadlineExceeded,
    HandlerFailed,
    MergeIncomplete,
    OutletUnknown,
    ReplyRepeated,
    Unawaited,
)
from modelyard.graphs.group_errors import member_fault
from modelyard.graphs.groups import GROUPS, MEMBER_TRACE
from modelyard.graphs.isolation import isolated
from modelyard.graphs.joins import ABSENT, joined
from modelyard.graphs.parts import Edge, PlanNode
from modelyard.graphs.tokens import (
    Answered,
    Gather,
    Reply,
    Run,
    Spread,
    Steps,
    Token,
    TraceEntry,
    chosen,
    next_of,
    split,
)

if TYPE_CHECKING:
    from modelyard.graphs.plan import Plan

__all__ = ["Machine"]


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
        self, tokens: Sequence[Token], failure: tuple[PlanNode, Event, BaseException] | None = None
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
                yield from self._recover(stack, *failure, late=self._run.detached)
            while True:
                yield from self._execute(stack, -1)
                more = yield from self._leftovers(stack)
                if not more:
                    break
        except Answered as answer:
            self._run.replied = True
            yield Reply(answer.value)

    def _execute(self, stack: list[Any], boundary: int) -> Steps:
        arrivals: list[tuple[Edge, Event]] = []
        try:
            while stack:
                entry = stack.pop()
                if isinstance(entry, Spread):
                    yield from self._spread(stack, entry)
                elif entry.edge.to == boundary:
                    arrivals.append((entry.edge, entry.event))
                else:
                    yield from self._token(stack, entry)
        finally:
            for entry in stack:
                if isinstance(entry, Spread) and hasattr(entry.items, "close"):
                    entry.items.close()
        return arrivals

    def _token(self, stack: list[Any], token: Token) -> Generator[Any, Any, None]:
        node, event, begin = self._nodes[token.edge.to], token.event, perf_counter()
        late = token.late or (self._run.replied and not self._plan.streams)
        given = _snapshot(event.body) if self._run.trace is not None else None
        is_traced = self._run.trace is not None and node.kind in GROUPS
        told = MEMBER_TRACE.set(self._member_traced(node)) if is_traced else None
        try:
            self._enter(token.edge, node, event, late=late)
            value = self._apply(node, event, token.edge)
            if node.is_async and not node.yields:
                value = yield self._bounded(value, event, late=late)
            if node.respond and node.kind == "call":
                _refuse_coroutine(value)
        except FAILURES as error:
            self._traced(node.name, given, None, begin, error)
            yield from self._recover(stack, node, event, error, late=late)
            return
        finally:
            if told is not None:
                MEMBER_TRACE.reset(told)
        self._traced(node.name, given, "…" if node.yields else value, begin, None)
        before = event.body
        try:
            yield from self._deliver(stack, node, event, value, late=late)
        except BodyUncopyable as error:
            event.body = before
            yield from self._recover(stack, node, event, error, late=late)

    def _enter(self, edge: Edge, node: PlanNode, event: Event, *, late: bool) -> None:
        run, plan = self._run, self._plan
        if plan.cycles:
            run.path.append(node.name)
        if edge.cycle >= 0:
            run.rounds[edge.cycle] = run.rounds.get(edge.cycle, 0) + 1
            limit = plan.cycles[edge.cycle]
            if run.rounds[edge.cycle] > limit.bound:
                raise CycleExceeded(limit.name, limit.bound, run.path)
        if event.deadline is not None and not late and (passed := monotonic() - event.deadline) > 0:
            raise DeadlineExceeded(passed)

    def _apply(self, node: PlanNode, event: Event, edge: Edge) -> Any:
        if node.index in self._plan.crossings:
            return self._plan.crossings.arrive(node, edge.inlet, event)
        if node.kind == "merge":
            return self._arrive(node, edge.inlet, event.body)
        if node.kind == "batch":
            return self._gathered(node, event.body)
        return node.call(event if node.full_event else event.body)

    def _bounded(self, work: Awaitable[Any], event: Event, *, late: bool) -> Awaitable[Any]:
        return work if event.deadline is None or late else self._plan.bounded(work, event.deadline)

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
            for index in node.collects:
                self._run.batches.setdefault(index, [])
            stack.append(Spread(node, event, items, late))
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
        elif node.full_event and isinstance(value, Event):
            event = value
        else:
            event.body = value
        yield from self._onwards(stack, node, event, edges, late=late)

    def _onwards(
        self, stack: list[Any], node: PlanNode, event: Event, edges: tuple[Edge, ...], *, late: bool
    ) -> Generator[Any, Any, None]:
        if node.respond and not self._run.detached:
            if self._run.replied and not self._plan.streams:
                self._plan.report(self._failed(node.name, event, ReplyRepeated(node.name)))
                return
            self._run.replied = late = True
            body = event.body
            if edges:
                event = event.branch(isolated(body.body if isinstance(body, Response) else body))
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
            except Answered as answer:
                self._run.replied = True
                yield Reply(answer.value)
                return
            stack.reverse()
            yield from self.process(stack)
        else:
            yield from self.process(split(plan.entry, event, late=False))

    def _spread(self, stack: list[Any], spread: Spread) -> Generator[Any, Any, None]:
        node, event = spread.node, spread.event
        try:
            if isinstance(spread.items, AsyncIterator):
                value = yield self._bounded(next_of(spread.items), event, late=spread.late)
            else:
                value = next(spread.items)
        except (StopIteration, StopAsyncIteration):
            return
        except FAILURES as error:
            yield from self._recover(stack, node, event, error, late=spread.late)
            return
        stack.append(spread)
        each = value if node.full_event and isinstance(value, Event) else event.branch(value)
        yield from self._onwards(stack, node, each, node.edges, late=spread.late)

    def _arrive(self, node: PlanNode, inlet: int, body: Any) -> Any:
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
        if not node.options["size"] or len(waiting) < node.options["size"]:
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
        self, stack: list[Any], node: PlanNode, event: Event, error: BaseException, *, late: bool
    ) -> Generator[Any, Any, None]:
        step, error = member_fault(node.name, error)
        event.error, event.origin = error, step
        for handler in node.handlers:
            given, begin = _snapshot(event.body) if self._run.trace is not None else None, perf_counter()
            try:
                value: Any = event
                if handler.call is not None:
                    value = handler.call(event)
                    if handler.is_async:
                        value = yield value
                    self._traced(handler.name, given, value, begin, None)
            except FAILURES as raised:
                self._traced(handler.name, given, None, begin, raised)
                if raised is error:
                    continue
                failed = HandlerFailed(self._plan.graph, handler.name, step, event.id, error, raised)
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
            raise Answered(value.body if isinstance(value, Event) else value)
        self._end(self._failed(step, event, error), late=late)

    def _failed(self, step: str, event: Event, error: BaseException) -> StepFailed:
        failed = StepFailed(self._plan.graph, step, event.id, error, event.body)
        failed.__cause__ = error
        return failed

    def _end(self, failed: StepFailed | HandlerFailed, *, late: bool) -> None:
        if not late:
            raise failed
        self._plan.report(failed)

    def _member_traced(self, node: PlanNode) -> Callable[[str, Any, Any, float, BaseException | None], None]:
        """Return what takes down what a group's members do, before the group itself."""
        trace = self._run.trace

        def note(member: str, given: Any, value: Any, seconds: float, error: BaseException | None) -> None:
            if trace is not None:
                trace.append(TraceEntry(f"{node.name}.{member}", given, value, seconds, error))

        return note

    def _traced(self, step: str, given: Any, value: Any, begin: float, error: BaseException | None) -> None:
        if self._run.trace is not None and value is not ABSENT:
            self._run.trace.append(TraceEntry(step, given, _snapshot(value), perf_counter() - begin, error))


def _refuse_coroutine(value: Any) -> None:
    body = value.body if isinstance(value, Event) else value
    if isinstance(body, CoroutineType):
        raise Unawaited(body)


def _snapshot(value: Any) -> Any:
    """Return a copy of what a step got or gave, or the thing itself where there is no copy of it."""
    try:
        return isolated(value.body if isinstance(value, Event) else value)
    except BodyUncopyable:
        return value
