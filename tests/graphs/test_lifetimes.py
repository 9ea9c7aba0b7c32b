"""What a graph opens at its start it closes at its end: in reverse order, also when something goes wrong."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from weakref import WeakSet

import pytest

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs import (
    Context,
    Event,
    Graph,
    GraphInvalid,
    OpeningFailed,
    PlanClosed,
    Resources,
    StepFailed,
    lifetimes,
)


class Diary(list[str]):
    """What was opened and closed, in order."""

    def resource(self, name: str, *, fails: str = "") -> Any:
        @contextmanager
        def opened() -> Iterator[str]:
            if fails == "open":
                raise ConnectionError("no way in")
            self.append(f"open {name}")
            yield name
            self.append(f"close {name}")
            if fails == "close":
                raise ConnectionError("no way out")

        return opened

    def waiting(self, name: str) -> Any:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            loop = asyncio.get_running_loop()
            self.append(f"open {name}")
            yield loop
            assert asyncio.get_running_loop() is loop
            self.append(f"close {name}")

        return opened

    def step(self, name: str) -> type:
        diary = self

        class Step:
            def __enter__(self) -> None:
                diary.append(f"open {name}")

            def __exit__(self, *error: object) -> None:
                diary.append(f"close {name}")

            def do(self, body: Any) -> Any:
                diary.append(f"run {name}")
                return body

        return Step


def test_resources_and_steps_are_opened_in_order_and_closed_in_reverse() -> None:
    diary = Diary()
    graph = Graph("g").resource("a", diary.resource("a")).resource("b", diary.waiting("b"))
    graph.to(diary.step("s"), name="s").to(diary.step("t"), name="t")
    with graph.open() as plan:
        assert diary == ["open a", "open b", "open s", "open t"]
        assert plan.run(Event(1)) == 1
        diary.clear()
    assert diary == ["close t", "close s", "close b", "close a"]
    plan.close()
    assert len(diary) == 4
    with pytest.raises(PlanClosed, match=r"graph g: the graph is closed\. Open it again: graph\.open\(\)\.") as caught:
        plan.interpret(Event(1))
    assert caught.value.outcome.http == 409


def test_a_closed_graph_takes_no_events_by_any_door() -> None:
    graph = Graph("g")
    graph.to(lambda body: body, name="s")
    plan = graph.open()
    plan.close()
    for ask in (plan.run, plan.interpret, lambda event: list(plan.stream(event))):
        with pytest.raises(PlanClosed):
            ask(Event(1))
    with pytest.raises(PlanClosed):
        asyncio.run(plan.run_async(Event(1)))


def test_steps_ask_for_resources_by_name() -> None:
    graph = Graph("g", parameters={"limit": 3}).resource("table", lambda: {"k": "v"})

    def step(body: Any, context: Context) -> Any:
        return context.resource("table")[body], context.parameters["limit"], context.graph, context.step

    graph.to(step, name="look")
    assert graph.test("k") == ("v", 3, "g", "look")
    graph.to(lambda body, context: context.resource("tabel"), name="wrong").respond()
    with pytest.raises(StepFailed, match=r"graph g, step wrong: there is no resource 'tabel'\. Did you mean table\?"):
        graph.test("k")


def test_a_resource_cannot_be_asked_for_before_it_is_open() -> None:
    class Early:
        def __init__(self, context: Context) -> None:
            context.resource("table")

        def do(self, body: Any) -> Any:
            return body

    graph = Graph("g").resource("table", dict)
    graph.to(Early)
    with pytest.raises(GraphInvalid, match="the resource 'table' is not open yet while steps are built"):
        graph.open()


def test_what_was_opened_is_closed_again_if_the_next_cannot_be() -> None:
    diary = Diary()
    graph = Graph("g").resource("a", diary.resource("a")).resource("b", diary.waiting("b"))
    graph.resource("c", diary.resource("c", fails="open")).resource("d", diary.resource("d"))
    graph.to(lambda body: body, name="s")
    with pytest.raises(OpeningFailed) as caught:
        graph.open()
    assert str(caught.value) == "graph g: the resource 'c' could not be opened: ConnectionError: no way in."
    assert type(caught.value.__cause__) is ConnectionError
    assert caught.value.error_kind is ErrorKind.USER_CODE
    assert diary == ["open a", "open b", "close b", "close a"]
    diary.clear()
    with pytest.raises(OpeningFailed):
        asyncio.run(graph.open_async())
    assert diary == ["open a", "open b", "close b", "close a"]


def test_an_error_of_a_kind_keeps_it_while_opening() -> None:
    class Down(ModelyardError):
        kind = ErrorKind.UNAVAILABLE

    def connect() -> Any:
        raise Down("the store is down", mend="Start it.")

    graph = Graph("g").resource("store", connect)
    graph.to(lambda body: body, name="s")
    with pytest.raises(OpeningFailed, match=r"could not be opened: the store is down\. Start it\.") as caught:
        graph.open()
    assert caught.value.outcome.http == 503


def test_everything_is_closed_also_if_closing_one_fails() -> None:
    diary = Diary()
    graph = Graph("g").resource("a", diary.resource("a")).resource("b", diary.resource("b", fails="close"))
    graph.to(diary.step("s"), name="s")
    plan = graph.open()
    diary.clear()
    with pytest.raises(ConnectionError, match="no way out"):
        plan.close()
    assert diary == ["close s", "close b", "close a"]


def test_async_resources_belong_to_the_loop_that_opened_them() -> None:
    diary = Diary()

    async def step(body: Any, context: Context) -> Any:
        return context.resource("r") is asyncio.get_running_loop()

    graph = Graph("g").resource("r", diary.waiting("r")).resource("c", _connected)
    graph.to(step)

    async def scenario() -> Any:
        async with await graph.open_async() as plan:
            return await plan.run_async(Event(1))

    assert asyncio.run(scenario()) is True
    assert diary == ["open r", "close r"]
    assert graph.test(1) is True, "the loop in the background"
    graph.close()
    assert diary == ["open r", "close r"] * 2


async def _connected() -> str:
    await asyncio.sleep(0)
    return "connection"


def test_what_a_coroutine_makes_is_the_resource() -> None:
    graph = Graph("g").resource("c", _connected)
    graph.to(lambda body, context: context.resource("c"), name="s")
    assert graph.test() == "connection"


def test_closing_from_the_loop_waits_for_what_follows_replies_there() -> None:
    done: list[str] = []

    async def slow(body: Any) -> None:
        await asyncio.sleep(0.01)
        done.append("slow")

    graph = Graph("g")
    graph.to(lambda body: body, name="answer").respond().to(slow)

    async def scenario() -> None:
        plan = await graph.open_async()
        assert await plan.run_async(Event(7)) == 7
        assert done == []
        await plan.close_async()
        assert done == ["slow"]
        await plan.close_async()

    asyncio.run(scenario())


def test_a_loop_is_not_made_to_wait_for_itself() -> None:
    graph = Graph("g").resource("r", Diary().waiting("r"))
    graph.to(lambda body: body, name="s")

    async def scenario() -> None:
        plan = await graph.open_async()
        with pytest.raises(RuntimeError, match="opened on this event loop: close it with close_async"):
            plan.close()

    asyncio.run(scenario())


def test_a_graph_closes_what_it_opened_when_it_changes_and_when_it_is_told() -> None:
    diary = Diary()
    graph = Graph("g").resource("r", diary.resource("r"))
    graph.to(diary.step("s"), name="s")
    graph.test(1)
    assert diary == ["open r", "open s", "run s"]
    graph.add_step(lambda body: -body, name="negative", after="s")
    assert graph.test(1) == -1
    assert diary[3:] == ["open r", "open s", "close s", "close r", "run s"]
    graph.test(1, resources=Resources())
    assert diary[8:] == ["open r", "open s", "close s", "close r", "run s"]
    with graph:
        pass
    assert diary[13:] == ["close s", "close r"]
    graph.close()
    assert graph.test(2) == -2, "it opens again"
    graph.close()


def test_threads_that_ask_first_open_once() -> None:
    built = []
    gate = threading.Barrier(4)

    class Step:
        def __init__(self) -> None:
            built.append(self)

        def do(self, body: Any) -> Any:
            return body

    graph = Graph("g")
    graph.to(Step)

    def ask() -> None:
        gate.wait(60)
        assert graph.test(1) == 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(built) == 1


def test_a_coroutine_step_may_ask_another_graph() -> None:
    inner = Graph("inner")

    async def double(body: Any) -> Any:
        await asyncio.sleep(0)
        return body * 2

    inner.to(double)

    async def ask(body: Any) -> Any:
        return inner.test(body)

    outer = Graph("outer")
    outer.to(ask)
    assert outer.test(4) == 8


PROGRAM = """
import asyncio, contextlib, os, sys, time
from modelyard.graphs import Graph

def say(text):  # two processes print at the same time: a line is one write
    os.write(1, f"{text}\\n".encode())

@contextlib.asynccontextmanager
async def connection():
    yield 1
    say("closed")

async def later(body):
    await asyncio.sleep(0)
    return body

graph = Graph("g").resource("c", connection)
step = graph.to(later).to(lambda body: body, name="thread", concurrency="thread").respond()
step.queue(size=9).to(lambda body: (time.sleep(0.05), say("behind the queue")), name="slow")
say(graph.test(7))
say(asyncio.run(graph.run(8)))
if len(sys.argv) > 1 and os.fork() == 0:
    say(f"child {graph.replacing(thread=lambda body: -body).test(9)}")
    os._exit(0)
elif len(sys.argv) > 1:
    os.wait()
"""


@pytest.mark.parametrize("fork", [False, True])
def test_a_process_ends_by_itself_after_the_work_that_was_handed_over(fork: bool) -> None:
    """In MLRun a process hangs at its end if a flow was not terminated."""
    command = [sys.executable, "-c", PROGRAM, *(["fork"] if fork else [])]
    told = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert told.returncode == 0, told.stderr
    expected = ["7", "8", "behind the queue", "behind the queue", "closed", *(["child -9"] if fork else [])]
    assert sorted(told.stdout.splitlines()) == sorted([*expected, *(["behind the queue"] if fork else [])])


def test_one_that_cannot_be_closed_at_the_end_keeps_no_other_open(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    class Failing:
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            closed.append(self.name)
            raise OSError(f"{self.name} cannot be closed")

    monkeypatch.setattr(lifetimes, "_OPEN", WeakSet())
    plans = [Failing("one"), Failing("other")]
    for plan in plans:
        lifetimes.close_at_exit(plan)
    with pytest.raises(OSError, match="cannot be closed"):
        lifetimes._close_all()
    assert sorted(closed) == ["one", "other"]
