"""A plan: a graph that is open, with its classes built and its models loaded, ready to run events."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

from modelyard.errors import ModelyardError
from modelyard.graphs.background import run_in_background
from modelyard.graphs.drivers import advance, advance_async, is_cancelled
from modelyard.graphs.errors import StepFailed
from modelyard.graphs.event import Event
from modelyard.graphs.failures import FAILURES, DeadlineExceeded, MergeIncomplete, PlanClosed
from modelyard.graphs.joins import Crossing, Released, crossing_of
from modelyard.graphs.machine import Machine
from modelyard.graphs.models.files import LoadedModel
from modelyard.graphs.parts import CycleLimit, Edge, PlanNode
from modelyard.graphs.queues import EventQueue
from modelyard.graphs.timers import Timer
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
    """

    entry: tuple[Edge, ...]
    entry_region: int = -1
    cycles: tuple[CycleLimit, ...] = ()
    streams: bool = False
    is_async: bool = False
    early: bool = False
    closers: tuple[Callable[[], Any], ...] = ()


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
        The loaded model of each model step.

    Attributes
    ----------
    reported
        The latest errors that came after a reply, or from behind a queue; they are in the log, too.
    """

    def __init__(
        self, graph: str, nodes: Sequence[PlanNode], wiring: Wiring, models: Mapping[str, LoadedModel]
    ) -> None:
        self.graph = graph
        self.nodes = tuple(nodes)
        self.models = dict(models)
        self.steps = tuple(node.name for node in nodes)
        self.entry, self.entry_region, self.cycles = wiring.entry, wiring.entry_region, wiring.cycles
        self.streams, self.is_async, self.early = wiring.streams, wiring.is_async, wiring.early
        self.reported: deque[ModelyardError] = deque(maxlen=100)
        self.crossings: dict[int, Crossing] = {
            node.index: crossing
            for node in nodes
            if (crossing := crossing_of(node.kind, node.inlets, node.options)) is not None
        }
        self.compiled: Callable[[Any, Event | None], Any] | None = None
        self.queues: list[EventQueue] = []
        self._closers = list(wiring.closers)
        self._background: set[asyncio.Future[None]] = set()
        self._timer = Timer(f"modelyard-timer-{graph}")
        self._alarms: dict[int, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def run(self, event: Event) -> Any:
        """Return the reply to `event`, computed in this thread; a streaming graph's replies as a list.

        What follows the reply has run when this returns. An event that is filtered out has no reply: None, and
        ``event.status`` is 204.

        Raises
        ------
        StepFailed
            A step raised; the error names graph, step and event.
        """
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
        return await self.interpret_async(event)

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
        self._keep(steps)
        return reply.value

    def _keep(self, steps: Generator[Any, Any, None]) -> None:
        """Let what is left of `steps` go on in a task."""
        task = asyncio.ensure_future(self._finish(steps))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _finish(self, steps: Generator[Any, Any, None]) -> None:
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
        self._keep(Machine(self, run).process(tokens))

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
            self._exhaust(Machine(self, run).process(split(node.edges, event, late=True)))

        return work

    def _exhaust(self, steps: Generator[Any, Any, None]) -> None:
        """Run what nobody waits for to its end, in this thread or on the background loop."""
        if self.is_async:
            run_in_background(self._finish(steps))
            return
        try:
            while advance(steps) is not None:
                pass
        except FAILURES:
            _LOG.exception("after the reply of graph %s", self.graph)

    def crossed(self, node: PlanNode, released: Sequence[Released]) -> None:
        """Let go on what an event has released at a join or batch across events; set the alarm for the rest."""
        loop = asyncio.get_running_loop() if self.is_async else None
        self._loop = loop or self._loop
        for each in released:
            if loop is not None:
                self._keep(self._left_behind(node, each))
            else:
                self._timer.at(0.0, lambda each=each: self._exhaust(self._left_behind(node, each)))  # type: ignore[misc]
        self._set_alarm(node)

    def _set_alarm(self, node: PlanNode) -> None:
        due = self.crossings[node.index].due
        if due is not None and self._alarms.get(node.index) != due:
            self._alarms[node.index] = due
            self._timer.at(due, lambda: self._expire(node))

    def _expire(self, node: PlanNode) -> None:
        """Give up what has waited for too long, on the loop of the event that came last, or in this thread."""
        released = self.crossings[node.index].overdue(monotonic())
        for each in released:
            steps = self._left_behind(node, each)
            if self._loop is not None and self._loop.is_running():
                self._loop.call_soon_threadsafe(self._keep, steps)
            else:
                self._exhaust(steps)
        self._set_alarm(node)

    def _left_behind(self, node: PlanNode, released: Released) -> Generator[Any, Any, None]:
        run = Run(released.event, replied=True, detached=True, concurrent=self.is_async)
        if released.missing:
            return Machine(self, run).process((), (node, released.event, MergeIncomplete(released.missing)))
        return Machine(self, run).process(split(node.edges, released.event, late=True))

    def report(self, error: ModelyardError) -> None:
        """Take down an error that can reach nobody: it came after the reply."""
        self.reported.append(error)
        _LOG.error("after the reply: %s", error)

    def failed(self, index: int, event: Event, body: Any, error: BaseException) -> StepFailed:
        """Return the error of a node that has no handler."""
        event.body, event.error, event.origin = body, error, self.nodes[index].name
        return StepFailed(self.graph, self.nodes[index].name, event.id, error)

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

    async def drain(self) -> None:
        """Wait until everything that follows replies has run, and the queues are empty."""
        await asyncio.to_thread(self._timer.join)
        while waiting := [task for task in self._background if task.get_loop() is asyncio.get_running_loop()]:
            await asyncio.gather(*waiting, return_exceptions=True)
        for queue in self.queues:
            await asyncio.to_thread(queue.join)

    def close(self) -> None:
        """Let go on what waits in joins and batches, stop the workers, and close what was opened for the steps.

        A second time does nothing.
        """
        if self._closed:
            return
        self._closed = True
        with ExitStack() as stack:  # whatever goes wrong, everything is closed
            for closer in self._closers:
                stack.callback(closer)
            for queue in reversed(self.queues):
                stack.callback(queue.close)
            stack.callback(self._timer.close)
            stack.callback(self._release_rest)

    def _release_rest(self) -> None:
        self._timer.join()
        for index, crossing in self.crossings.items():
            for each in crossing.rest():
                self._exhaust(self._left_behind(self.nodes[index], each))

    def __enter__(self) -> "Plan":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

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
