"""Compiled, awaited, mapped and streamed execution agree with the interpreter, on random graphs."""

import asyncio
import re
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


def marking(diary: Diary, name: str, *, wait: bool) -> Any:
    """Return a step that takes the event, changes it, and says what branches before it have left on it."""

    def step(event: Event) -> Event:
        diary.append(f"{name} {event.body!r} {event.metadata} {event.id} {event.path}")
        event.metadata.setdefault("marks", []).append(name)
        event.path += f"/{name}"
        event.body = {**event.body, "seen": [*event.body["seen"], *event.metadata["marks"]]}
        return event

    async def waiting(event: Event) -> Event:
        await asyncio.sleep(0)
        return step(event)

    return waiting if wait else step


def generating(diary: Diary, name: str, *, at: int, wait: bool) -> Any:
    """Return a generator of events that may break off."""

    def items(body: Any) -> Any:
        for each in range(body["x"] % 4):
            diary.append(f"{name} {each}")
            if at > 5 and each == 1:
                raise LookupError(f"{name} ran dry")
            yield {**body, "x": body["x"] + each}

    async def waiting(body: Any) -> Any:
        for each in items(body):
            await asyncio.sleep(0)
            yield each

    return waiting if wait else items


def handler(kind: str) -> Any:
    def handle(event: Event) -> Any:
        assert isinstance(event.error, ValueError | LookupError | ModelyardError)
        if kind == "again":
            raise event.error
        if kind == "breaks":
            raise KeyError(event.origin)
        if kind == "goes on":
            event.body = {"x": 7, "seen": [event.origin, type(event.error).__name__]}
            return event
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
            "event",
            "generate",
            "batch",
            "inner",
            "continue",
            "both",
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
            graph.on_error(handler(("answer", "again", "breaks")[other % 3]), name="graph_handler")
            continue
        elif kind == "event":
            step = place.to(marking(diary, name, wait=wait), name=name, full_event=True)
        elif kind == "generate":
            step = place.to(generating(diary, name, at=other, wait=wait), name=name)
        elif kind == "batch":
            step = place.batch(other % 3, name=name).to(
                lambda body: {"x": sum(each["x"] for each in body), "seen": [len(body)]}, name=f"{name}j"
            )
        elif kind == "inner":
            inner = Graph("inner", cycle_bound=2)
            first = inner.to(failing(diary, f"{name}.a", other % 3), name="a")
            first.to(plus(diary, f"{name}.b", 1, wait=wait), name="b")
            if other > 3:
                inner.on_error(handler(("answer", "again", "breaks", "answer")[other % 4]), name="inner_handler")
            step = place.to(inner, name=name)
        elif kind == "continue":
            step = place.to(failing(diary, name, other % 3), name=name)
            end = step.to(plus(diary, f"{name}e", 5, wait=wait and other % 2 == 1), name=f"{name}e")
            step.on_error(handler("goes on") if other % 2 else None, name=f"{name}h", continue_at=end.name)
            step = end
        elif kind == "both":
            choice = place.choice(lambda body: ("a", ["a", "b"], ["b"], "b", "c")[body["x"] % 5], name=name)
            step = choice.when("a").to(mutating(diary, f"{name}a"), name=f"{name}a")
            places.append(choice.when("b").to(plus(diary, f"{name}b", 3, wait=wait), name=f"{name}b"))
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
        # where branches run at the same time, the path that led into a cycle tells their steps in another order
        said = re.sub(r" times: .*? Raise", " times. Raise", str(error))
        kind, value = type(error).__name__, (said.partition("event ")[0], said.partition(": ")[2])
        cause = error.__cause__
        value = (*value, type(cause).__name__)
    reported = [f"{type(each).__name__} {each.facts.get('step')}" for each in plan.reported]
    return kind, value, list(diary), reported


def event(number: int) -> Event:
    return Event({"x": number, "seen": []}, id="e1")


def opened(moves: list[tuple[Any, ...]], diary: Diary, *, wait: bool, responder: int) -> tuple[Graph, Plan] | None:
    graph = build(moves, diary, wait=wait, responder=responder)
    if graph is None:
        return None
    try:
        return graph, graph.open()
    except GraphInvalid:
        return None


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(moves=plans(), responder=st.integers(0, 7), number=st.integers(0, 11), wait=st.booleans())
def test_all_executions_agree(moves: list[tuple[Any, ...]], responder: int, number: int, wait: bool) -> None:
    diary = Diary()
    found = opened(moves, diary, wait=wait, responder=responder)
    if found is None:
        return
    graph, plan = found
    slow = told(lambda: plan.interpret(event(number), trace=[]), plan, diary)
    assert told(lambda: plan.interpret(event(number)), plan, diary)[:2] == slow[:2]
    assert told(lambda: plan.run(event(number)), plan, diary)[:2] == slow[:2]
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
    rows = graph.map([event(number).body, event(number).body], at_once=2)

    async def streamed() -> list[Any]:
        return [reply async for reply in plan.stream_async(event(number))]

    if slow[0] == "reply":
        assert list(rows) == [slow[1], slow[1]]
        replies = list(plan.stream(event(number)))
        assert replies == (slow[1] if plan.streams else [slow[1]] if replies else [])
        assert run_in_background(streamed()) == replies
    else:
        assert [type(error).__name__ for error in rows.errors.values()] == [slow[0]] * 2
        for stream in (lambda: list(plan.stream(event(number))), lambda: run_in_background(streamed())):
            assert told(stream, plan, diary)[:2] == slow[:2]
    graph.close()
    plan.close()


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(moves=plans(), responder=st.integers(0, 7), number=st.integers(0, 11))
def test_a_graph_with_coroutines_does_what_the_same_graph_without_does(
    moves: list[tuple[Any, ...]], responder: int, number: int
) -> None:
    diary = Diary()
    plain, waiting = (opened(moves, diary, wait=wait, responder=responder) for wait in (False, True))
    if plain is None or waiting is None:
        assert plain is waiting
        return
    one = told(lambda: plain[1].run(event(number)), plain[1], diary)
    other = told(lambda: waiting[1].run(event(number)), waiting[1], diary)
    assert other[:2] == one[:2]
    assert sorted(other[3]) == sorted(one[3])
    same_order = waiting[1].entry_region < 0 and all(node.region < 0 for node in waiting[1].nodes)
    assert not same_order or other == one


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(moves=plans(), responder=st.integers(0, 7), number=st.integers(0, 11), wait=st.booleans())
def test_the_senders_body_is_left_as_it_was_by_a_batch(
    moves: list[tuple[Any, ...]], responder: int, number: int, wait: bool
) -> None:
    found = opened(moves, Diary(), wait=wait, responder=responder)
    if found is None:
        return
    bodies = [event(number).body]
    found[0].map(bodies)
    assert bodies == [event(number).body]
