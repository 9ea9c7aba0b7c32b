"""Compiled, awaited, mapped and streamed execution agree with the interpreter, on random graphs."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.errors import ModelyardError
from modelyard.graphs import Event, Graph, GraphInvalid, Plan
from modelyard.graphs.background import run_in_background

Outcome = tuple[str, Any, list[str], list[str]]


class Diary(list[str]):
    """Which step ran with what, in order."""


def plus(diary: Diary, name: str, amount: int, *, wait: bool) -> Any:
    def step(body: Any) -> Any:
        diary.append(f"{name} {body!r}")
        return {**body, "x": body["x"] + amount}

    async def waiting(body: Any) -> Any:
        await asyncio.sleep(0)
        return step(body)

    return waiting if wait else step


def mutating(diary: Diary, name: str) -> Any:
    def step(body: Any) -> Any:
        diary.append(f"{name} {body!r}")
        body["seen"].append(name)
        body["x"] *= 2
        return body

    return step


def failing(diary: Diary, name: str, at: int) -> Any:
    def step(body: Any) -> Any:
        diary.append(f"{name} {body!r}")
        if body["x"] % 3 == at:
            raise ValueError(f"{name} refuses {body['x']}")
        return body

    return step


def handler(kind: str) -> Any:
    def handle(event: Event) -> Any:
        assert isinstance(event.error, Exception)
        if kind == "again":
            raise event.error
        if kind == "breaks":
            raise KeyError(event.origin)
        return {"x": -1, "seen": [event.origin, str(event.error)]}

    return handle


@st.composite
def plans(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Return the moves of a random graph; which places they apply to is drawn, too."""
    kinds = st.sampled_from(
        [
            "plus",
            "plus",
            "mutate",
            "fail",
            "fan",
            "choice",
            "filter",
            "merge",
            "diamond",
            "diamond",
            "flat",
            "cycle",
            "handle",
        ]
    )
    size = draw(st.integers(2, 9))
    return [(draw(kinds), draw(st.integers(0, 7)), draw(st.integers(0, 7))) for _ in range(size)]


def flat(body: Any) -> Any:
    return [{**body, "x": body["x"] + each} for each in range(body["x"] % 3)]


def build(moves: list[tuple[Any, ...]], diary: Diary, *, wait: bool, responder: int) -> Graph | None:
    graph = Graph("random", cycle_bound=3)
    places: list[Any] = [graph]
    steps: list[Any] = []
    for number, (kind, one, other) in enumerate(moves):
        place, name = places[one % len(places)], f"s{number}"
        if kind == "plus":
            step = place.to(plus(diary, name, other, wait=wait and other % 2 == 0), name=name)
        elif kind == "mutate":
            step = place.to(mutating(diary, name), name=name)
        elif kind == "fail":
            step = place.to(failing(diary, name, other % 3), name=name)
            if other > 3:
                step.on_error(handler(("answer", "again", "breaks", "answer")[other % 4]), name=f"h{number}")
        elif kind == "filter":
            step = place.filter(lambda body, rest=other % 3: body["x"] % 3 != rest, name=name)
        elif kind == "flat":
            step = place.flat_map(flat, name=name)
        elif kind == "choice":
            choice = place.choice(lambda body: body["x"] % 2 == 0, name=name)
            step = choice.when(True).to(mutating(diary, f"{name}y"), name=f"{name}y")
            places.append(choice.when(False).to(plus(diary, f"{name}n", 1, wait=False), name=f"{name}n"))
        elif kind == "fan":
            places.append(place.to(mutating(diary, f"{name}a"), name=f"{name}a"))
            step = place.to(plus(diary, f"{name}b", 2, wait=wait), name=f"{name}b")
        elif kind == "diamond":
            ways = [place.to(plus(diary, f"{name}{way}", 1, wait=wait), name=f"{name}{way}") for way in "abc"]
            if other > 3:
                ways[1] = ways[1].to(failing(diary, f"{name}f", other % 3), name=f"{name}f")
            if other > 5:
                ways[1].on_error(handler(("answer", "breaks")[other % 2]), name=f"{name}h")
            if other == 1:
                ways[2] = ways[2].filter(lambda body: body["x"] % 2, name=f"{name}o")
            missing = ("error", "drop", "partial")[other % 3]
            step = graph.merge(*ways, name=name, into="list", missing=missing)
            step = step.to(lambda body: {"x": sum(each["x"] for each in body), "seen": []}, name=f"{name}j")
        elif kind == "merge":
            second = places[other % len(places)]
            if second is place or not place.source or not second.source:
                continue
            missing = ("error", "drop", "partial")[other % 3]
            step = place.merge(second, name=name, into="list", missing=missing)
            step = step.to(lambda body: {"x": sum(each["x"] for each in body), "seen": []}, name=f"{name}j")
        elif kind == "cycle" and steps:
            target = steps[one % len(steps)]
            choice = steps[-1].choice(lambda body, most=other * 4: body["x"] < most, name=name)
            choice.when(True).cycle_to(target.name)
            step = choice.when(False).to(plus(diary, f"{name}e", 1, wait=False), name=f"{name}e")
        elif kind == "handle" and other > 4:
            graph.on_error(handler("answer"), name="graph_handler")
            continue
        else:
            continue
        steps.append(step)
        places.append(step)
    if not steps:
        return None
    steps[-1 if responder < 5 else responder % len(steps)].respond()
    return graph


def told(work: Any, plan: Plan, diary: Diary) -> Outcome:
    diary.clear()
    plan.reported.clear()
    try:
        kind, value = "reply", work()
    except ModelyardError as error:
        kind, value = type(error).__name__, (str(error).partition("event ")[0], str(error).partition(": ")[2])
        cause = error.__cause__
        value = (*value, type(cause).__name__)
    reported = [f"{type(each).__name__} {each.facts.get('step')}" for each in plan.reported]
    return kind, value, list(diary), reported


def event(number: int) -> Event:
    return Event({"x": number, "seen": []}, id="e1")


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(moves=plans(), responder=st.integers(0, 7), number=st.integers(0, 11), wait=st.booleans())
def test_all_executions_agree(moves: list[tuple[Any, ...]], responder: int, number: int, wait: bool) -> None:
    diary = Diary()
    graph = build(moves, diary, wait=wait, responder=responder)
    if graph is None:
        return
    try:
        plan = graph.open()
    except GraphInvalid:
        return
    slow = told(lambda: plan.interpret(event(number), trace=[]), plan, diary)
    assert told(lambda: plan.interpret(event(number)), plan, diary)[:2] == slow[:2]
    if not plan.is_async:
        assert told(lambda: plan.run(event(number)), plan, diary) == slow

    async def awaited() -> Any:
        try:
            return await plan.run_async(event(number))
        finally:
            await plan.drain()

    fast = told(lambda: run_in_background(awaited()), plan, diary)
    assert fast[:2] == slow[:2]
    if plan.entry_region < 0 and all(node.region < 0 for node in plan.nodes):
        assert fast == slow
    rows = graph.map([event(number).body])
    if slow[0] == "reply":
        assert list(rows) == [slow[1]]
        replies = list(plan.stream(event(number)))
        assert replies == (slow[1] if plan.streams else [slow[1]] if replies else [])
    else:
        assert type(rows.errors[0]).__name__ == slow[0]
