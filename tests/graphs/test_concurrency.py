"""Concurrency: who waits for whom, what is cancelled, what a deadline ends, and what a dead worker takes along."""

import asyncio
import contextvars
import gc
import os
import threading
import time
import weakref
from typing import Any

import pytest
from probe_hazards import kill

from modelyard.graphs import Event, Graph, Resources, StepFailed, WorkerLost
from modelyard.graphs.failures import StepTimeout
from modelyard.graphs.pools import ThreadWorkers


class Gate:
    """A step that waits until it is told to go on, and takes down who came."""

    def __init__(self) -> None:
        self.came: list[Any] = []
        self.entered, self.open = asyncio.Event(), asyncio.Event()

    async def do(self, body: Any) -> Any:
        self.came.append(body)
        self.entered.set()
        await self.open.wait()
        return body


# --- who waits for whom -----------------------------------------------------------------------------------------------


def test_no_event_waits_for_anothers_slow_step() -> None:
    async def scenario() -> None:
        gate = Gate()

        async def step(body: Any) -> Any:
            return await gate.do(body) if body == "slow" else body

        graph = Graph("g")
        graph.to(step).to(lambda body: body, name="next")
        slow = asyncio.ensure_future(graph.run("slow"))
        await gate.entered.wait()
        assert [await graph.run(number) for number in range(5)] == [0, 1, 2, 3, 4]
        gate.open.set()
        assert await slow == "slow"

    asyncio.run(scenario())


def test_no_event_waits_while_another_backs_off() -> None:
    async def scenario() -> None:
        failed = asyncio.Event()

        def step(body: Any) -> Any:
            if body == "bad":
                failed.set()
                raise ConnectionError
            return body

        graph = Graph("g")
        graph.to(step, retries={"attempts": 2, "base": 3600.0, "cap": 3600.0})
        waiting = asyncio.ensure_future(graph.run("bad"))
        await failed.wait()
        assert await asyncio.wait_for(graph.run("good"), 60) == "good"
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scenario())


def test_branches_that_meet_run_at_the_same_time_and_join_in_order() -> None:
    async def scenario() -> None:
        one, other = asyncio.Event(), asyncio.Event()

        async def first(body: Any) -> Any:
            one.set()
            await other.wait()
            return "first"

        async def second(body: Any) -> Any:
            await one.wait()
            other.set()
            return "second"

        graph = Graph("g")
        graph.parallel(first=first, second=second, into="list")
        assert await asyncio.wait_for(graph.run(0), 60) == ["first", "second"]

    asyncio.run(scenario())


def test_threads_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=60)

    def step(body: Any) -> Any:
        meeting.wait()
        return body

    graph = Graph("g")
    graph.parallel(a=step, b=step, c=step)
    for name in "abc":
        settings = graph.definition.nodes[name].settings
        graph.definition.change(name, settings=type(settings)(concurrency="thread"))
    assert graph.test(1) == {"a": 1, "b": 1, "c": 1}
    graph.close()


def test_steps_in_threads_see_the_context_variables_of_their_event() -> None:
    who = contextvars.ContextVar("who", default="nobody")

    async def scenario() -> list[str]:
        graph = Graph("g")
        graph.to(lambda body: who.get(), name="s", concurrency="thread")

        async def ask(name: str) -> str:
            who.set(name)
            found: str = await graph.run(0)
            return found

        return await asyncio.gather(ask("a"), ask("b"))

    assert asyncio.run(scenario()) == ["a", "b"]


def test_max_in_flight_bounds_what_is_in_memory_in_a_step() -> None:
    class Big:
        """Stands for a large value."""

    alive: weakref.WeakSet[Big] = weakref.WeakSet()
    most = 0

    async def step(body: Any) -> Any:
        nonlocal most
        value = Big()
        alive.add(value)
        await asyncio.sleep(0)
        gc.collect()
        most = max(most, len(alive))
        return body

    async def scenario() -> list[Any]:
        graph = Graph("g")
        graph.to(step, max_in_flight=3)
        return await asyncio.gather(*(graph.run(number) for number in range(40)))

    gc.freeze()  # whatever else is in memory is not looked at again and again
    try:
        assert asyncio.run(scenario()) == list(range(40))
    finally:
        gc.unfreeze()
    assert most == 3


def test_max_in_flight_lets_the_next_in_when_one_is_cancelled_or_fails() -> None:
    async def scenario() -> None:
        gate = Gate()
        graph = Graph("g")
        graph.to(gate, name="gate", max_in_flight=1).to(lambda body: body[0], name="first")
        waiting = asyncio.ensure_future(graph.run("a"))
        await gate.entered.wait()
        behind = asyncio.ensure_future(graph.run("b"))
        failing = asyncio.ensure_future(graph.run(3))
        await asyncio.sleep(0)
        assert gate.came == ["a"]
        waiting.cancel()
        gate.open.set()
        assert await behind == "b"
        with pytest.raises(StepFailed, match="step first"):
            await failing
        assert await graph.run("c") == "c"

    asyncio.run(scenario())


# --- cancellation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["chain", "branch", "handler", "stream", "thread", "cycle"])
def test_a_cancelled_request_starts_no_further_step(where: str) -> None:
    async def scenario() -> None:
        gate = Gate()
        later: list[Any] = []
        release = threading.Event()
        graph = Graph("g", cycle_bound=3)
        place: Any = graph
        if where == "handler":
            place = graph.to(lambda body: 1 / 0, name="bad")
            place.on_error(gate, continue_at="next", name="gate")
        elif where == "branch":
            place = graph.to(gate, name="gate").merge(graph.to(lambda body: body, name="other"), name="join")
        elif where == "stream":
            place = graph.flat_map(lambda body: [1, 2], name="several").to(gate, name="gate")
        elif where == "thread":

            def blocked(body: Any) -> Any:
                loop.call_soon_threadsafe(gate.entered.set)
                release.wait(60)
                return body

            loop = asyncio.get_running_loop()
            place = graph.to(blocked, name="gate", concurrency="thread")
        else:
            place = graph.to(gate, name="gate")
        end = place.to(later.append, name="next").respond()
        if where == "cycle":
            end.cycle_to("gate")
        task = asyncio.ensure_future(graph.run(1))
        await gate.entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.open.set()
        release.set()
        await graph._plan(None).drain()
        assert later == []

    asyncio.run(scenario())


def test_cancelling_ends_every_branch_of_a_fork() -> None:
    ended: list[str] = []

    async def scenario() -> None:
        begun = asyncio.Barrier(4)

        def waiting(name: str) -> Any:
            async def step(body: Any) -> Any:
                try:
                    await begun.wait()
                    await asyncio.sleep(3600)
                finally:
                    ended.append(name)

            return step

        graph = Graph("g")
        graph.parallel(a=waiting("a"), b=waiting("b"), c=waiting("c"))
        task = asyncio.ensure_future(graph.run(1))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(ended) == ["a", "b", "c"]
        assert [each for each in asyncio.all_tasks() if each is not asyncio.current_task()] == []

    asyncio.run(scenario())


def test_an_error_in_one_branch_ends_the_others() -> None:
    ended: list[str] = []

    async def scenario() -> None:
        begun = asyncio.Event()

        async def waits(body: Any) -> Any:
            begun.set()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append("waits")

        async def fails(body: Any) -> Any:
            await begun.wait()
            raise ValueError("no")

        graph = Graph("g")
        graph.parallel(fails=fails, waits=waits)
        with pytest.raises(StepFailed, match=r"step fails, event .*: the step raised ValueError: no"):
            await graph.run(1)
        assert ended == ["waits"]

    asyncio.run(scenario())


def test_a_timeout_around_a_request_cancels_it() -> None:
    async def scenario() -> None:
        gate = Gate()
        graph = Graph("g")
        graph.to(gate, name="gate")
        async with await graph.open_async() as plan:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(plan.run_async(Event(1)), 0.01)
        assert gate.came == [1]

    asyncio.run(scenario())


# --- deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
def test_no_step_starts_after_the_deadline_also_in_compiled_graphs(is_async: bool) -> None:
    started: list[str] = []

    def first(body: Any) -> Any:
        started.append("first")
        event.deadline = time.monotonic() - 1  # it took too long
        return body

    async def first_later(body: Any) -> Any:
        return first(body)

    graph = Graph("g")
    graph.to(first_later if is_async else first, name="first").to(lambda body: started.append("next"), name="next")
    plan = graph.open()
    assert plan.compiled is not None
    for run in (plan.run, plan.interpret, lambda event: asyncio.run(plan.run_async(event))):
        started.clear()
        event = Event(1, deadline=time.monotonic() + 60)
        with pytest.raises(StepFailed, match=r"graph g, step next, event .*: the event's deadline passed 1\.\d+ s ago"):
            run(event)
        assert started == ["first"]


def test_the_deadline_is_that_of_the_reply_and_not_of_what_follows_it() -> None:
    seen: list[Any] = []

    def answer(body: Any) -> Any:
        return body

    def late(event: Event) -> Event:
        event.deadline = time.monotonic() - 1
        return event

    graph = Graph("g")
    graph.to(answer).respond().to(late, full_event=True).to(seen.append, name="keep")
    with graph.open() as plan:
        assert plan.run(Event(7, deadline=time.monotonic() + 60)) == 7
    assert seen == [7]


def test_a_deadline_cancels_what_is_awaited_also_in_branches() -> None:
    ended: list[str] = []

    async def slow(body: Any) -> Any:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("slow")

    graph = Graph("g")
    graph.parallel(slow=slow, quick=lambda body: body)
    with pytest.raises(StepFailed, match="step slow") as caught:
        asyncio.run(graph.open().run_async(Event(1, deadline=time.monotonic() + 0.5)))
    assert caught.value.outcome.http == 504
    assert ended == ["slow"]


# --- threads and processes --------------------------------------------------------------------------------------------


def test_abandoned_threads_are_counted_and_replaced() -> None:
    gate = threading.Event()

    def step(body: Any) -> Any:
        if body == "hang":
            gate.wait(60)
        return body

    graph = Graph("g")
    hanging = graph.to(step, concurrency="thread", timeout=0.05, condition=lambda body: body == "hang")
    hanging.to(lambda body: body, name="behind", concurrency="thread")
    few = Resources(threads=1)
    for _ in range(3):
        with pytest.raises(StepFailed, match=r"took longer than 0\.05 s and was abandoned; its thread runs on"):
            graph.test("hang", resources=few)
        assert graph.test("next", resources=few) == "next"
    gate.set()


@pytest.mark.parametrize("size", [3, 8])
def test_calls_that_come_together_have_a_thread_each(size: int) -> None:
    async def scenario(rounds: int) -> None:
        for _ in range(rounds):
            meeting = threading.Barrier(3, timeout=60)
            workers = ThreadWorkers(size)
            found = await asyncio.gather(*(workers.call(meet, meeting, 0) for _ in range(3)))
            assert sorted(found) == [0, 1, 2]
            workers.close()

    def meet(meeting: threading.Barrier) -> int:
        return meeting.wait()

    asyncio.run(scenario(100))


def test_one_thread_is_enough_for_calls_after_each_other() -> None:
    async def scenario() -> set[int]:
        workers = ThreadWorkers(8)
        found = {await workers.call(lambda _: threading.get_ident(), None, 0) for _ in range(100)}
        workers.close()
        return found

    assert len(asyncio.run(scenario())) == 1


def test_who_waits_behind_a_call_that_is_given_up_gets_its_thread() -> None:
    async def scenario() -> str:
        gate = threading.Event()
        workers = ThreadWorkers(1)
        hanging = asyncio.create_task(workers.call(gate.wait, 20, 0.05))
        await asyncio.sleep(0)
        try:
            waiting = await workers.call(str.upper, "next", 10)
            with pytest.raises(StepTimeout, match=r"took longer than 0\.05 s"):
                await hanging
            assert workers.abandoned == 1
        finally:
            gate.set()
            workers.close()
        return waiting

    assert asyncio.run(scenario()) == "NEXT"


def test_a_killed_worker_fails_its_own_event_and_the_pool_heals() -> None:
    graph = Graph("g")
    graph.to(kill, concurrency="process", timeout=30)

    async def scenario() -> None:
        plan = await graph.open_async(Resources(processes=2))
        try:
            for _ in range(2):
                found = await asyncio.gather(
                    *(plan.run_async(Event(body)) for body in ("ok", "die", "ok", "ok")), return_exceptions=True
                )
                lost = [each for each in found if isinstance(each, StepFailed)]
                assert [type(each.cause) for each in lost] == [WorkerLost]
                assert str(lost[0].cause) == "the step's process ended with exit code -9; only this event is lost."
                alive = {each for each in found if isinstance(each, int)}
                assert os.getpid() not in alive
                assert len([each for each in found if isinstance(each, int)]) == 3
        finally:
            await plan.close_async()

    asyncio.run(scenario())


def test_a_step_that_takes_the_whole_event_may_run_in_a_process() -> None:
    graph = Graph("g")
    graph.to("probe_steps:describe", full_event=True, concurrency="process", timeout=60)
    with graph.open() as plan:
        reply = plan.run(Event({"x": 1}, id="e7", path="/p", headers={"user-agent": "test"}))
    assert reply == {"id": "e7", "path": "/p", "agent": "test", "body": {"x": 1}}


def test_rows_are_under_way_together_if_asked_and_keep_their_order() -> None:
    inside = most = 0

    async def step(body: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.001 * (5 - body % 5))
        inside -= 1
        if body == 7:
            raise ValueError("no 7")
        return body * 10

    graph = Graph("g")
    graph.to(step)
    for at_once, expected in ((1, 1), (4, 4)):
        most = 0
        rows = graph.map(range(12), at_once=at_once)
        assert list(rows) == [None if number == 7 else number * 10 for number in range(12)]
        assert {row: str(error.__cause__) for row, error in rows.errors.items()} == {7: "no 7"}
        assert most == expected
