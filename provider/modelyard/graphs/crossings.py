"""The joins and batches across events of an open graph: events arrive, complete them, or are left behind."""

import asyncio
from collections.abc import Generator
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from modelyard.graphs.background import running_loop
from modelyard.graphs.event import Event
from modelyard.graphs.failures import MergeIncomplete
from modelyard.graphs.joins import Crossing, Released, crossing_of
from modelyard.graphs.machine import Machine
from modelyard.graphs.parts import PlanNode
from modelyard.graphs.timers import Timer
from modelyard.graphs.tokens import Run, split

if TYPE_CHECKING:
    from modelyard.graphs.plan import Plan

__all__ = ["Crossings"]


class Crossings:
    """What one plan gathers across events, and what goes on without any event that still waits for its reply.

    Parameters
    ----------
    plan
        The open graph.
    """

    def __init__(self, plan: "Plan") -> None:
        self._plan = plan
        self._nodes: dict[int, Crossing] = {}
        for node in plan.nodes:
            crossing = crossing_of(node.kind, node.inlets, node.options)
            if crossing is not None:
                self._nodes[node.index] = crossing
        self._timer = Timer(f"modelyard-timer-{plan.graph}")
        self._alarms: dict[int, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def __bool__(self) -> bool:
        return bool(self._nodes)

    def __contains__(self, index: int) -> bool:
        return index in self._nodes

    def arrive(self, node: PlanNode, inlet: int, event: Event) -> Any:
        """Take an event in; return what it completes, or `ABSENT`; let go on what it has released.

        Raises
        ------
        PathMissing, KeyUnusable
            The event has no key that can be used.
        """
        value, released = self._nodes[node.index].arrive(inlet, event)
        loop = asyncio.get_running_loop() if self._plan.is_async else None
        self._loop = loop or self._loop
        for each in released:
            if loop is not None:
                self._plan.keep(self._left_behind(node, each))
            else:
                self._timer.at(0.0, lambda each=each: self._plan.exhaust(self._left_behind(node, each)))  # type: ignore[misc]
        self._set_alarm(node)
        return value

    def join(self) -> None:
        """Wait until everything has run that is due by now."""
        self._timer.join()

    def close(self) -> None:
        """Let go on what still waits, and end."""
        self._timer.join()
        for index, crossing in self._nodes.items():
            for each in crossing.rest():
                self._go_on(self._left_behind(self._plan.nodes[index], each))
        self._timer.close()

    def _set_alarm(self, node: PlanNode) -> None:
        due = self._nodes[node.index].due
        if due is not None and due < self._alarms.get(node.index, inf):  # one alarm is enough: it sets the next
            self._alarms[node.index] = due
            self._timer.at(due, lambda: self._expire(node))

    def _expire(self, node: PlanNode) -> None:
        """Give up what has waited for too long, on the loop of the event that came last, or in this thread."""
        self._alarms.pop(node.index, None)
        for each in self._nodes[node.index].overdue(monotonic()):
            steps = self._left_behind(node, each)
            if self._loop is not None and self._loop.is_running():
                self._loop.call_soon_threadsafe(self._plan.keep, steps)
            else:
                self._plan.exhaust(steps)
        self._set_alarm(node)

    def _go_on(self, steps: Generator[Any, Any, None]) -> None:
        """Run what nobody waits for on the loop of the event that came last, or here; return when it has run."""
        if self._loop is not None and self._loop.is_running() and self._loop is not running_loop():
            asyncio.run_coroutine_threadsafe(self._plan.finish(steps), self._loop).result()
        else:
            self._plan.exhaust(steps)

    def _left_behind(self, node: PlanNode, released: Released) -> Generator[Any, Any, None]:
        run = Run(released.event, replied=True, detached=True, concurrent=self._plan.is_async)
        machine = Machine(self._plan, run)
        if released.missing:
            return machine.process((), (node, released.event, MergeIncomplete(released.missing)))
        return machine.process(split(node.edges, released.event, late=True))
