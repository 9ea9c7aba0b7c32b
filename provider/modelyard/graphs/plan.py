"""A plan: a graph that is open, with its classes built and its models loaded, ready to run events."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import Any, cast

from modelyard.errors import near_name
from modelyard.graphs.background import run_in_background
from modelyard.graphs.continuing import Continuing, Wiring
from modelyard.graphs.crossings import Crossings
from modelyard.graphs.definition import Definition
from modelyard.graphs.drivers import advance, advance_async
from modelyard.graphs.ensemble_group import EnsembleGroup
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.event import Event
from modelyard.graphs.lifetimes import Opened
from modelyard.graphs.models.server import ModelServer
from modelyard.graphs.parts import PlanNode
from modelyard.graphs.queues import EventQueue
from modelyard.graphs.router_group import RouterGroup
from modelyard.graphs.shadows import Shadows
from modelyard.graphs.tokens import Run, TraceEntry, split
from modelyard.graphs.typing_checks import GraphTypes

__all__ = ["Plan", "Wiring"]

_LOG = logging.getLogger("modelyard.graphs")


class Plan(Continuing):
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
    definition
        What the plan was made of.
    types
        What the graph takes and gives, where its steps say so.
    reported
        The latest errors that came after a reply, or from behind a queue; they are in the log, too.
    """

    def __init__(
        self, graph: str, nodes: Sequence[PlanNode], wiring: Wiring, models: Mapping[str, ModelServer]
    ) -> None:
        super().__init__(graph, nodes, wiring)
        self.models = dict(models)
        self.crossings = Crossings(self)
        self.compiled: Callable[[Any, Event | None], Any] | None = None
        self.queues: list[EventQueue | Shadows] = []
        self.groups: dict[str, RouterGroup | EnsembleGroup] = {}
        self.inner: list[Plan] = []
        self.definition = Definition(graph)
        self.types = GraphTypes()
        self._closers = list(wiring.closers)
        self._opened = wiring.opened or Opened(graph, {})

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
        return self._collect(self.machine(self._run(event, trace=trace)).start(event), event)

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
        steps = self.machine(self._run(event, concurrent=True)).start(event)
        return await self.first_reply(steps, event)

    async def interpret_async(self, event: Event, trace: list[TraceEntry] | None = None) -> Any:
        """Return the reply after everything that follows it has run, too."""
        steps = self.machine(self._run(event, trace=trace, concurrent=trace is None)).start(event)
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
        steps = self.machine(self._run(event)).start(event)
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
        steps = self.machine(self._run(event, concurrent=True)).start(event)
        try:
            while (reply := await advance_async(steps)) is not None:
                yield reply.value
        finally:
            steps.close()

    def worker(self, node: PlanNode) -> Callable[[Event], None]:
        """Return what takes an event up behind a queue."""

        def work(event: Event) -> None:
            run = Run(event, replied=True, detached=True)
            self.exhaust(self.machine(run).process(split(node.edges, event, late=True)))

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
