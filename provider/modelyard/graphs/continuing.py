"""What goes on where something else left off: behind the reply, behind a queue, behind a compiled function."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from modelyard.errors import ModelyardError
from modelyard.graphs.background import run_in_background
from modelyard.graphs.drivers import advance, advance_async, is_cancelled
from modelyard.graphs.errors import StepFailed
from modelyard.graphs.event import Event
from modelyard.graphs.failures import FAILURES, DeadlineExceeded, PlanClosed
from modelyard.graphs.group_errors import member_fault
from modelyard.graphs.lifetimes import Opened
from modelyard.graphs.machine import Machine
from modelyard.graphs.parts import CycleLimit, Edge, PlanNode
from modelyard.graphs.tokens import Run, Token, TraceEntry

if TYPE_CHECKING:
    from modelyard.graphs.plan import Plan

__all__ = ["Continuing", "Wiring"]

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


class Continuing:
    """The part of a plan that the engine asks for while events run.

    Parameters
    ----------
    graph
        The graph's name.
    nodes
        The steps, in the order of declaration.
    wiring
        How they hang together.

    Attributes
    ----------
    reported
        The latest errors that came after a reply, or from behind a queue; they are in the log, too.
    """

    def __init__(self, graph: str, nodes: Sequence[PlanNode], wiring: Wiring) -> None:
        self.graph = graph
        self.nodes = tuple(nodes)
        self.steps = tuple(node.name for node in nodes)
        self.entry, self.entry_region, self.cycles = wiring.entry, wiring.entry_region, wiring.cycles
        self.streams, self.is_async, self.early = wiring.streams, wiring.is_async, wiring.early
        self.reported: deque[ModelyardError] = deque(maxlen=100)
        self._background: set[asyncio.Future[None]] = set()
        self._closed = False

    def machine(self, run: Run) -> Machine:
        """Return what runs one event."""
        return Machine(cast("Plan", self), run)

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
        self._collect(self.machine(run).process(tokens), event, replied=True)

    def follow_async(self, event: Event, tokens: Sequence[Token]) -> None:
        """Run what follows a reply in the background."""
        run = self._run(event, concurrent=True)
        run.replied = True
        self.keep(self.machine(run).process(tokens))

    def _resumed(
        self,
        event: Event,
        tokens: Sequence[Token],
        joins: dict[int, list[deque[Any]]],
        failure: tuple[PlanNode, Event, BaseException] | None,
    ) -> Generator[Any, Any, None]:
        run = self._run(event, concurrent=self.is_async)
        run.joins = joins
        return self.machine(run).process(tokens, failure)

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
        failed = StepFailed(self.graph, step, event.id, error, body)
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
