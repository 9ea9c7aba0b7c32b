"""Runs members that nobody waits for, and takes down what they say beside the member that answered."""

import asyncio
import logging
import queue
from collections.abc import Sequence
from threading import Condition, Thread
from typing import Any, NamedTuple

from modelyard.graphs.background import run_in_background, running_loop
from modelyard.graphs.event import Event
from modelyard.graphs.group_errors import MemberFailed
from modelyard.graphs.groups import Member
from modelyard.graphs.isolation import isolated
from modelyard.graphs.member_calls import ask, body_of, conclude, conclude_async
from modelyard.graphs.ports import Resources

__all__ = ["ShadowJob", "Shadows"]

_LOG = logging.getLogger("modelyard.graphs")


class ShadowJob(NamedTuple):
    """One event that shadows see, after the member that answered it.

    Parameters
    ----------
    event
        A copy, as the router got it.
    route
        The member that answered.
    answer
        What it said; None if it raised `error`.
    shadows
        Who gets a copy.
    """

    event: Event
    route: str
    answer: Any
    error: BaseException | None
    shadows: Sequence[Member]


class Shadows:
    """The shadows of one router: a bounded number of events, in a thread of their own, or as tasks of the event loop.

    Parameters
    ----------
    graph, step
        How records, metrics and the log name the router.
    size
        How many events may wait or run; one that finds no room is dropped.
    roles
        Route → what it is there for.
    ports
        Where records and metrics go.

    Attributes
    ----------
    dropped
        How many events found no room.
    failed
        How often a shadow raised.
    answered
        How often one answered.
    """

    def __init__(self, graph: str, step: str, size: int, roles: Any, ports: Resources | None) -> None:
        self.dropped = self.failed = self.answered = 0
        self._graph, self._step, self._size, self._roles = graph, step, size, dict(roles)
        self._ports = ports or Resources()
        self._jobs: queue.SimpleQueue[ShadowJob | None] = queue.SimpleQueue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._change = Condition()
        self._thread: Thread | None = None

    def put(self, job: ShadowJob) -> None:
        """Take an event over, or drop it; returns at once."""
        with self._change:
            if self._waiting >= self._size:
                self.dropped += 1
                dropped = True
            else:
                self._waiting += 1
                dropped = False
        if dropped:
            self._emit("shadow_dropped", job.route)
        elif any(member.is_async for member in job.shadows) and running_loop() is not None:
            task = asyncio.ensure_future(self._run_async(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._jobs.put(job)
            self._begin()

    def _begin(self) -> None:
        with self._change:  # of two events that come first only one finds no thread
            if self._thread is None:
                self._thread = Thread(target=self._serve, name=f"modelyard-shadows-{self._step}", daemon=True)
                self._thread.start()

    def join(self) -> None:
        """Wait until all shadows are done."""
        with self._change:
            self._change.wait_for(lambda: self._waiting == 0)

    def close(self) -> None:
        """Let the thread end after what it has; wait for it, but not for ever."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(timeout=5.0)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._answer_known(job)
                for member in job.shadows:
                    if member.is_async:
                        run_in_background(self._ask_async(member, job))
                    else:
                        self._ask(member, job)
            except Exception:  # noqa: BLE001 (the thread outlives what it runs)
                _LOG.exception("the shadows of %s in graph %s", self._step, self._graph)
            finally:
                self._finished()

    async def _run_async(self, job: ShadowJob) -> None:
        try:
            self._answer_known(job)
            for member in job.shadows:
                if member.is_async:
                    await self._ask_async(member, job)
                else:
                    await asyncio.to_thread(self._ask, member, job)
        finally:
            self._finished()

    def _finished(self) -> None:
        with self._change:
            self._waiting -= 1
            self._change.notify_all()

    def _ask(self, member: Member, job: ShadowJob) -> None:
        event = self._copy(job, member.name)
        try:
            answer = body_of(conclude(ask(member, event)))
            self._record(self._copy(job, member.name), member.name, answer)
        except MemberFailed as failed:
            self._missed(member.name, failed.cause)

    async def _ask_async(self, member: Member, job: ShadowJob) -> None:
        event = self._copy(job, member.name)
        try:
            answer = body_of(await conclude_async(ask(member, event)))
            self._record(self._copy(job, member.name), member.name, answer)
        except MemberFailed as failed:
            self._missed(member.name, failed.cause)

    def _copy(self, job: ShadowJob, route: str) -> Event:
        event = job.event.branch(isolated(job.event.body))
        role = self._roles.get(route)
        event.metadata[self._step] = {"route": route, "role": role} if role else {"route": route}
        return event

    def _answer_known(self, job: ShadowJob) -> None:
        if job.error is None:
            self._record(self._copy(job, job.route), job.route, job.answer, shadow=False)

    def _record(self, event: Event, route: str, answer: Any, *, shadow: bool = True) -> None:
        if shadow:
            self.answered += 1
        if self._ports.recorder is None:
            return
        several = isinstance(event.body, list) and isinstance(answer, list) and len(event.body) == len(answer)
        rows, answers = (event.body, answer) if several else ([event.body], [answer])
        try:
            self._ports.recorder.record(event, f"{self._step}.{route}", rows, answers)
        except Exception:  # noqa: BLE001 (recording never takes a shadow along)
            _LOG.exception("recording %s.%s", self._step, route)

    def _missed(self, route: str, error: BaseException) -> None:
        self.failed += 1
        self._emit("shadow_failed", route)
        _LOG.warning("the shadow %s.%s of graph %s failed: %s", self._step, route, self._graph, error)

    def _emit(self, name: str, route: str) -> None:
        if self._ports.metrics is not None:
            self._ports.metrics.emit(name, 1.0, {"graph": self._graph, "step": self._step, "route": route})
