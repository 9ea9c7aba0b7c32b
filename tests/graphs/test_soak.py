"""Over a million events with branches, errors and cancellations mixed, memory stays what it is."""

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import psutil
import pytest

from modelyard.graphs import Event, Graph, StepFailed
from modelyard.graphs.ensembles import Vote
from modelyard.graphs.failures import DeadlineExceeded
from modelyard.graphs.plan import Plan
from modelyard.graphs.routers import Shadow

ROUND = 10_000
EVENTS = 100 * ROUND
MOST = 5 * 2**20
"""Bytes by which resident memory may grow over the last 80 %."""

Outcomes = Counter[str]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the log of a hundred thousand errors out of the test runner's memory."""
    logger = logging.getLogger("modelyard.graphs")
    logger.disabled = True
    yield
    logger.disabled = False


def grown(send: Callable[[], Outcomes], expected: Outcomes, rounds: int) -> int:
    """Return the bytes gained after the first fifth of the rounds; what happens in each must be as expected."""
    process = psutil.Process()
    sizes = []
    for number in range(1, rounds + 1):
        assert send() == expected
        if number % (rounds // 10) == 0:
            gc.collect()
            sizes.append(process.memory_info().rss)
    print("\nresident MB after each tenth:", *(f"{size / 2**20:.1f}" for size in sizes))
    return sizes[-1] - sizes[1]


# --- the steps: what they do depends on the last digit of the number --------------------------------------------------


def body_of(number: int) -> dict[str, Any]:
    return {"n": number, "text": f"{number} " * 50, "seen": []}


def refuse(body: Any) -> Any:
    if body["n"] % 10 in (3, 7):
        raise ValueError(f"no {body['n']}: {body['text']}")
    return body


def told(event: Event) -> Any:
    if event.body["n"] % 10 == 7 or isinstance(event.error, DeadlineExceeded):
        raise event.error or AssertionError
    return {"error": str(event.error)}


def mark(body: Any) -> Any:
    body["seen"].append("mark")
    return body


def common(body: Any) -> bool:
    return bool(body["n"] % 10 != 4)


def begin(bodies: Any) -> Any:
    return {"n": bodies[0]["n"], "rounds": len(bodies) * 10}


def turn(body: Any) -> Any:
    return {**body, "rounds": body["rounds"] + 1}


def more(body: Any) -> bool:
    return bool(body["n"] % 10 == 5 and body["rounds"] % 10 < 3)


def same(body: Any) -> Any:
    return body


def late(body: Any) -> Any:
    if body["n"] % 10 == 8:
        raise KeyError("too late")
    return body


async def refuse_later(body: Any) -> Any:
    await asyncio.sleep(0)
    return refuse(body)


async def mark_later(body: Any) -> Any:
    await asyncio.sleep(3600 if body["n"] % 10 in (6, 9) else 0)
    return mark(body)


def forked(refuse: Any, mark: Any, *, cyclic: bool) -> Graph:
    """Return a graph with a handler, a fork that may lack a branch, a failure after the reply, and perhaps a cycle."""
    graph = Graph("forked", cycle_bound=5)
    start = graph.to(refuse, name="refuse").on_error(told)
    ways = [start.to(mark, name=f"mark_{way}") for way in "abc"]
    ways[1] = ways[1].filter(common)
    end = graph.merge(*ways, into="list", missing="partial").to(begin).to(turn)
    if cyclic:
        choice = end.choice(more)
        choice.when(True).cycle_to("turn")
        end = choice.when(False).to(same, name="answer")
    end.respond().to(late)
    return graph


def streaming() -> Graph:
    graph = Graph("streaming")

    def letters(body: Any) -> Iterator[str]:
        for number in range(10):
            if body["n"] % 10 == 7 and number == 3:
                raise ValueError(body["text"])
            yield f"{number}{body['text']}"

    graph.to(letters).to(len).respond()
    return graph


def keyed() -> Graph:
    """Return a graph that joins every second event with another; the others never join."""
    graph = Graph("keyed")
    choice = graph.choice("side")
    left = choice.when("left").to(same, name="left")
    right = choice.when("right").to(same, name="right")
    left.merge(right, key="key", into="list", missing="drop", limit=32, seconds=3600.0).respond()
    return graph


def label(body: Any) -> Any:
    return {"label": body["n"] % 2}


def label_or_refuse(body: Any) -> Any:
    return label(refuse(body))


def grouped() -> Graph:
    """Return a graph with a router, a shadow that fails now and then, and an ensemble that goes on without a member."""
    graph = Graph("grouped")
    pick = graph.router(Shadow, name="pick", routes={"current": mark, "next": refuse}, champion="current")
    members = {"a": label, "b": label, "c": label_or_refuse}
    pick.ensemble(Vote, name="vote", members=members, on_member_error="answer")
    return graph


# --- what a round of each is, and what comes of it --------------------------------------------------------------------


def outcome(reply: Any) -> str:
    if "share" in reply:
        return "voted without one" if "failed" in reply else "voted"
    return "handled" if "error" in reply else f"answer {reply['rounds']}"


def called(graph: Graph, count: int) -> Outcomes:
    found: Outcomes = Counter()
    for number in range(count):
        try:
            found[outcome(graph.test(body_of(number)))] += 1
        except StepFailed:
            found["failed"] += 1
    return found


async def awaited(graph: Graph, plan: Plan, count: int) -> Outcomes:
    """Send events a hundred at a time; those that would wait for an hour are cancelled, or have a deadline."""
    found: Outcomes = Counter()

    async def send(number: int) -> None:
        try:
            if number % 10 == 6:
                reply = await plan.run_async(Event(body_of(number), deadline=monotonic() + 0.002))
            else:
                reply = await graph.run(body_of(number))
            found[outcome(reply)] += 1
        except StepFailed as error:
            found["overdue" if isinstance(error.__cause__, DeadlineExceeded) else "failed"] += 1
        except asyncio.CancelledError:
            found["cancelled"] += 1

    for first in range(0, count, 100):
        tasks = {number: asyncio.ensure_future(send(number)) for number in range(first, first + 100)}
        waiting = [task for number, task in tasks.items() if number % 10 == 9]
        await asyncio.gather(*(task for task in tasks.values() if task not in waiting))
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting)
    return found


def streamed(graph: Graph, count: int) -> Outcomes:
    """Take a few replies of each event, and leave the rest."""
    found: Outcomes = Counter()
    for number in range(count):
        replies = graph.stream(body_of(number))
        try:
            for _ in range(number % 10 + 1):
                next(replies)
            found["left"] += 1
        except StepFailed:
            found["failed"] += 1
    return found


def joined(graph: Graph, count: int) -> Outcomes:
    found: Outcomes = Counter()
    for number in range(count):
        side = "right" if number % 4 == 1 else "left"
        reply = graph.test({"side": side, "key": number // 4 * 4 if number % 4 < 2 else number, **body_of(number)})
        found["joined" if reply else "waiting"] += 1
    return found


def mapped(graph: Graph, count: int) -> Outcomes:
    rows = graph.map([body_of(number) for number in range(count)])
    return Counter("failed" if number in rows.errors else outcome(row) for number, row in enumerate(rows))


EXPECTED = Counter(
    {
        "answer 31": 4_500,
        "answer 21": 700,
        "answer 33": 200,
        "handled": 700,
        "failed": 800,
        "overdue": 100,
        "cancelled": 100,
        "left": 900,
        "waiting": 750,
        "joined": 250,
        "voted": 800,
        "voted without one": 200,
    }
)
"""Three branches met; two of three; three, and three turns; then how the others ended."""


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_million_events_of_all_kinds() -> None:
    cyclic, straight = forked(refuse, mark, cyclic=True), forked(refuse, mark, cyclic=False)
    later, stream, merge = forked(refuse_later, mark_later, cyclic=True), streaming(), keyed()
    groups = grouped()
    with asyncio.Runner() as runner, later.open() as plan:

        def send() -> Outcomes:
            found = called(cyclic, 1_000) + called(groups, 1_000) + called(straight, 4_000) + mapped(straight, 1_000)
            found += runner.run(awaited(later, plan, 1_000))
            return found + streamed(stream, 1_000) + joined(merge, 1_000)

        assert grown(send, EXPECTED, EVENTS // ROUND) < MOST
