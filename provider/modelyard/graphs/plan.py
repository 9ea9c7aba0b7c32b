"""A plan: a graph that is open, with its classes built and its models loaded, ready to run events."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

from modelyard.errors import ModelyardError, near_name
from modelyard.graphs.background import run_in_background
from modelyard.graphs.crossings import Crossings
from modelyard.graphs.drivers import advance, advance_async, is_cancelled
from modelyard.graphs.ensemble_group import EnsembleGroup
from modelyard.graphs.errors import GraphInvalid, StepFailed
from modelyard.graphs.event import Event
from modelyard.graphs.failures import FAILURES, DeadlineExceeded, PlanClosed
from modelyard.graphs.group_errors import member_fault
from modelyard.graphs.lifetimes import Opened
from modelyard.graphs.machine import Machine
from modelyard.graphs.models.server import ModelServer
from modelyard.graphs.parts import CycleLimit, Edge, PlanNode
from modelyard.graphs.queues import EventQueue
from modelyard.graphs.router_group import RouterGroup
from modelyard.graphs.shadows import Shadows
from modelyard.graphs.tokens import Run, Token, TraceEntry, split

__all__ = ["Plan", "Wiring"]

_LOG = logging.getLogger("modelyard.graphs")


@dataclass(frozen=True, slots=True)
class Wiring:
    """How the nodes of a plan hang together.

    Parameters
    ----------
    entry
        The edges from the graph's input.
    entry_region
        The merge at which they meet, if they may run concurrently; -1 otherwise.
    cycles
        The ways back, and their bounds.
    streams
        Whether there may be several replies.
    is_async
        Whether a node waits for something.
    early
        Whether something runs after the reply.
    closers
        What ends with the plan.
    opened
        What is opened for the steps, and closed last.
    """

    entry: tuple[Edge, ...]
    entry_region: int = -1
    cycles: tuple[CycleLimit, ...] = ()
    streams: bool = False
    is_async: bool = False
    early: bool = False
    closers: tuple[Callable[[], Any], ...] = ()
    opened: Opened | None = None


class Plan:
    """Runs events through a graph.

    Parameters
    ----------
    graph
        The graph's name.
    nodes
        The steps, in the order of declaration.
    wiring
        How they hang together.
    models
        What serves each model step; its ``name`` is the exact version that answers now.

    Attributes
    ----------
    groups
        What runs the routers and ensembles, by name, with their strategies and the counts of their shadows.
    reported
        The latest errors that came after a reply, or from behind a queue; they are in the log, too.
    """

    def __init__(
        self, graph: str, nodes: Sequence[PlanNode], wiring: Wiring, models: Mapping[str, ModelServer]
    ) -> None:
        self.graph = graph
        self.nodes = tuple(nodes)
        self.models = dict(models)
        self.steps = tuple(node.name for node in nodes)
        self.entry, self.entry_region, self.cycles = wiring.entry, wiring.entry_region, wiring.cycles
        self.streams, self.is_async, self.early = wiring.streams, wiring.is_async, wiring.early
        self.reported: deque[ModelyardError] = deque(maxlen=100)
        self.crossings = Crossings(self)
        self.compiled: Callable[[Any, Event | None], Any] | None = None
        self.queues: list[EventQueue | Shadows] = []
        self.groups: dict[str, RouterGroup | EnsembleGroup] = {}
        self.inner: list[Plan] = []
        self._closers = list(wiring.closers)
        self._opened = wiring.opened or Opened(graph, {})
        self._background: set[asyncio.Future[None]] = set()
        self._closed = False

    def open(self) -> None:
        """Open what the steps need; `Graph.open` has done it.

        Raises
        ------
        OpeningFailed
            Something could not be opened; everything is closed again.
        """
        self._opened.start()

    async def open_async(self) -> None:
        """Open what the steps need on the running event loop; `Graph.open_async` has done it.

        Raises
        ------
        OpeningFailed
            Something could not be opened; everything is closed again.
        """
        await self._opened.start_async()

    def run(self, event: Event) -> Any:
        """Return the reply to `event`, a streaming graph's replies as a list.

        It is computed in this thread; on the loop in the background if a step is a coroutine.

        What follows the reply has run when this returns. An event that is filtered out has no reply: None, and
        ``event.status`` is 204.

        Raises
        ------
        StepFailed
            A step raised; the error names graph, step and event.
        """
        if self.is_async:
            return run_in_background(self.settle_async(event))
        if self.compiled is not None and event.deadline is None:
            return self.compiled(event.body, event)
        return self.interpret(event)

    def interpret(self, event: Event, trace: list[TraceEntry] | None = None) -> Any:
        """Return what `run` returns, worked out by the interpreter."""
        if self.is_async:
            return run_in_background(self.interpret_async(event, trace))
        return self._collect(Machine(self, self._run(event, trace=trace)).start(event), event)

    async def run_async(self, event: Event) -> Any:
        """Return the reply to `event`, awaiting the steps that are coroutines.

        What follows the reply runs in a task that the plan owns.

        Raises
        ------
        StepFailed
            A step raised; the error names graph, step and event.
        """
        if self.compiled is not None and event.deadline is None and (self.is_async or not self.early):
            result = self.compiled(event.body, event)
            return await cast("Awaitable[Any]", result) if self.is_async else result
        if self.streams:
            return [reply async for reply in self.stream_async(event)]
        steps = Machine(self, self._run(event, concurrent=True)).start(event)
        return await self.first_reply(steps, event)

    async def interpret_async(self, event: Event, trace: list[TraceEntry] | None = None) -> Any:
        """Return the reply after everything that follows it has run, too."""
        steps = Machine(self, self._run(event, trace=trace, concurrent=trace is None)).start(event)
        replies = []
        while (reply := await advance_async(steps)) is not None:
            replies.append(reply.value)
        return self._outcome(replies, event)

    async def settle_async(self, event: Event) -> Any:
        """Return what `run_async` returns, once everything that follows the reply has run, too."""
        if self.compiled is not None and event.deadline is None:
            reply = await self.run_async(event)
            await self.drain()
            return reply
        reply = await self.interpret_async(event)
        if self.queues or self.crossings:
            await self.drain()
        return reply

    def stream(self, event: Event) -> Iterator[Any]:
        """Yield the replies to `event` as they come."""
        steps = Machine(self, self._run(event)).start(event)
        try:
            while True:
                reply = run_in_background(advance_async(steps)) if self.is_async else advance(steps)
                if reply is None:
                    return
                yield reply.value
        finally:
            steps.close()

    async def stream_async(self, event: Event) -> AsyncIterator[Any]:
        """Yield the replies to `event` as they come."""
        steps = Machine(self, self._run(event, concurrent=True)).start(event)
        try:
            while (reply := await advance_async(steps)) is not None:
                yield reply.value
        finally:
            steps.close()

    async def first_reply(self, steps: Generator[Any, Any, None], event: Event) -> Any:
        """Return the first reply; what is left of `steps` goes on in the background."""
        reply = await advance_async(steps)
        if reply is None:
            event.status = 204
            return None
        self.keep(steps)
        return reply.value

    def keep(self, steps: Generator[Any, Any, None]) -> None:
        """Let what is left of `steps` go on in a task."""
        task = asyncio.ensure_future(self.finish(steps))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def finish(self, steps: Generator[Any, Any, None]) -> None:
        """Run what nobody waits for to its end."""
        try:
            while await advance_async(steps) is not None:
                pass
        except FAILURES as error:
            if is_cancelled(error):
                raise
            _LOG.exception("after the reply of graph %s", self.graph)  # nobody waits for this task

    def resume(
        self,
        event: Event,
        tokens: Sequence[Token],
        joins: dict[int, list[deque[Any]]],
        failure: tuple[PlanNode, Event, BaseException] | None = None,
    ) -> Any:
        """Go on where a compiled function left the straight line."""
        return self._collect(self._resumed(event, tokens, joins, failure), event)

    async def resume_async(
        self,
        event: Event,
        tokens: Sequence[Token],
        joins: dict[int, list[deque[Any]]],
        failure: tuple[PlanNode, Event, BaseException] | None = None,
    ) -> Any:
        """Go on where a compiled function left the straight line."""
        return await self.first_reply(self._resumed(event, tokens, joins, failure), event)

    def follow(self, event: Event, tokens: Sequence[Token]) -> None:
        """Run what follows a reply that a compiled function has worked out."""
        run = self._run(event)
        run.replied = True
        self._collect(Machine(self, run).process(tokens), event, replied=True)

    def follow_async(self, event: Event, tokens: Sequence[Token]) -> None:
        """Run what follows a reply in the background."""
        run = self._run(event, concurrent=True)
        run.replied = True
        self.keep(Machine(self, run).process(tokens))

    def _resumed(
        self,
        event: Event,
        tokens: Sequence[Token],
        joins: dict[int, list[deque[Any]]],
        failure: tuple[PlanNode, Event, BaseException] | None,
    ) -> Generator[Any, Any, None]:
        run = self._run(event, concurrent=self.is_async)
        run.joins = joins
        return Machine(self, run).process(tokens, failure)

    def worker(self, node: PlanNode) -> Callable[[Event], None]:
        """Return what takes an event up behind a queue."""

        def work(event: Event) -> None:
            run = Run(event, replied=True, detached=True)
            self.exhaust(Machine(self, run).process(split(node.edges, event, late=True)))

        return work

    def take_up(self, queue: str, event: Event) -> None:
        """Run what is behind a queue for one event that came through a channel; return when it has run.

        Parameters
        ----------
        queue
            The queue's name.
        event
            The event; its errors are reported, as nobody waits for a reply.

        Raises
        ------
        GraphInvalid
            There is no such queue.
        PlanClosed
            The graph is closed.
        """
        found = [node for node in self.nodes if node.name == queue and node.kind == "queue"]
        if not found:
            known = [node.name for node in self.nodes if node.kind == "queue"]
            raise GraphInvalid(self.graph, f"there is no queue {queue!r}", mend=near_name(queue, known))
        self._run(event)
        self.worker(found[0])(event)

    def exhaust(self, steps: Generator[Any, Any, None]) -> None:
        """Run what nobody waits for to its end, in this thread or on the background loop."""
        if self.is_async:
            run_in_background(self.finish(steps))
            return
        try:
            while advance(steps) is not None:
                pass
        except FAILURES:
            _LOG.exception("after the reply of graph %s", self.graph)

    def report(self, error: ModelyardError) -> None:
        """Take down an error that can reach nobody: it came after the reply."""
        self.reported.append(error)
        _LOG.error("after the reply: %s", error)

    def failed(self, index: int, event: Event, body: Any, error: BaseException) -> StepFailed:
        """Return the error of a node that has no handler."""
        step, error = member_fault(self.nodes[index].name, error)
        event.body, event.error, event.origin = body, error, step
        failed = StepFailed(self.graph, step, event.id, error)
        failed.__cause__ = error
        return failed

    async def bounded(self, work: Awaitable[Any], deadline: float) -> Any:
        """Await `work` until the deadline of its event.

        Raises
        ------
        DeadlineExceeded
            It was not done by then, and is cancelled.
        """
        limit = asyncio.timeout(deadline - monotonic())
        try:
            async with limit:
                return await work
        except TimeoutError:
            if limit.expired():
                raise DeadlineExceeded(monotonic() - deadline) from None
            raise

    def settle(self) -> None:
        """Wait, in this thread, until what was handed over to other threads has run."""
        self.crossings.join()
        for queue in self.queues:
            queue.join()
        for inner in self.inner:
            inner.settle()

    async def drain(self) -> None:
        """Wait until everything that follows replies has run, and the queues are empty."""
        if self.crossings:
            await asyncio.to_thread(self.crossings.join)
        while waiting := [task for task in self._background if task.get_loop() is asyncio.get_running_loop()]:
            await asyncio.gather(*waiting, return_exceptions=True)
        for queue in self.queues:
            await asyncio.to_thread(queue.join)
        for inner in self.inner:
            await inner.drain()

    def close(self) -> None:
        """Let go on what waits in joins and batches, stop the workers, and close what was opened for the steps.

        A second time does nothing.
        """
        if self._closed:
            return
        self._closed, self.compiled = True, None
        with ExitStack() as stack:  # whatever goes wrong, everything is closed
            stack.callback(self._opened.close)
            stack.callback(self._end)

    async def close_async(self) -> None:
        """Do what `close` does from within a running event loop, and wait for what follows replies there."""
        if self._closed:
            return
        self._closed, self.compiled = True, None
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._opened.close_async)
            stack.push_async_callback(asyncio.to_thread, self._end)
            stack.push_async_callback(self.drain)

    def _end(self) -> None:
        with ExitStack() as stack:
            for closer in self._closers:
                stack.callback(closer)
            for queue in reversed(self.queues):
                stack.callback(queue.close)
            stack.callback(self.crossings.close)

    def __enter__(self) -> "Plan":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> "Plan":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close_async()

    def _run(self, event: Event, *, trace: list[TraceEntry] | None = None, concurrent: bool = False) -> Run:
        if self._closed:
            raise PlanClosed(self.graph)
        return Run(event, trace=trace, concurrent=concurrent)

    def _collect(self, steps: Generator[Any, Any, None], event: Event, *, replied: bool = False) -> Any:
        replies = []
        while (reply := advance(steps)) is not None:
            replies.append(reply.value)
        return None if replied else self._outcome(replies, event)

    def _outcome(self, replies: list[Any], event: Event) -> Any:
        if self.streams:
            return replies
        if not replies:
            event.status = 204
            return None
        return replies[0]
