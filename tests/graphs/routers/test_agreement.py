"""Groups answer the same compiled, interpreted, awaited, traced and in batches; random graphs, failing members."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.errors import ModelyardError
from modelyard.graphs import Event, Graph, Plan, RouterStrategy
from modelyard.graphs.background import run_in_background
from modelyard.graphs.ensembles import Mean, Median, Vote


def step(kind: str, amount: int, waits: bool) -> Any:
    def work(body: Any) -> Any:
        if kind == "fails" and body["x"] % 3 == amount % 3:
            raise ValueError(f"refused {body['x']}")
        if kind == "spoils":
            body["x"] += amount
            body.setdefault("seen", []).append(amount)
            return body
        return {**body, "x": body["x"] + amount}

    async def later(body: Any) -> Any:
        await asyncio.sleep(0)
        return work(body)

    return later if waits else work


class Remainder(RouterStrategy):
    """Routes by what is left of a division; some routes are not there."""

    def __init__(self, members: tuple[str, ...], wide: bool = False) -> None:
        self.names = [*members, "missing"] if wide else [*members]

    def select_body(self, body: Any) -> str:
        index: int = body["x"] % len(self.names)
        return self.names[index]


class All(RouterStrategy):
    """Sends each event to all."""

    def __init__(self, members: tuple[str, ...]) -> None:
        self.names = [*members]

    def select(self, event: Event) -> Any:
        return self.names


def reread(body: Any) -> Any:
    """Make a body of whatever a group answered."""
    if isinstance(body, Mapping) and "x" in body and not isinstance(body["x"], Mapping):
        return {"x": int(body["x"])}
    return {"x": len(repr(body)) % 7}


members = st.lists(
    st.tuples(st.sampled_from(["plus", "spoils", "fails", "graph", "late"]), st.integers(-2, 5)), min_size=1, max_size=3
)
groups = st.tuples(
    st.sampled_from(["route", "wide", "all", "mean", "median", "vote"]),
    members,
    st.sampled_from(["fail", "answer"]),
    st.booleans(),
)


def built(description: Any, *, waits: bool) -> Graph:
    graph = Graph("g")
    place: Any = graph
    for index, (kind, parts, policy, handled) in enumerate(description):
        made = {f"m{number}": member(what, amount, waits) for number, (what, amount) in enumerate(parts)}
        name = f"group{index}"
        if kind in ("route", "wide"):
            place = place.router(Remainder, name=name, routes=made, wide=kind == "wide")
        elif kind == "all":
            place = place.router(All, name=name, routes=made)
        else:
            strategy = {"mean": Mean, "median": Median, "vote": Vote}[kind]
            place = place.ensemble(strategy, name=name, members=made, field="x", on_member_error=policy)
        if handled:
            place.on_error(
                lambda event: {"x": 1, "told": event.origin}, name=f"handle{index}", continue_at=f"read{index}"
            )
        place = place.to(reread, name=f"read{index}")
    return graph


def member(what: str, amount: int, waits: bool) -> Any:
    if what == "graph":
        inner = Graph("inner")
        inner.to(step("plus", amount, waits), name="more").to(step("fails", amount, False), name="maybe")
        return inner
    return step("plus" if what == "late" else what, amount, waits and what != "plus")


def outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except ModelyardError as error:
        return (type(error).__name__, error.what, error.facts["step"], error.error_kind)


def outcomes(plan: Plan, x: int) -> list[Any]:
    found = [
        outcome(lambda: plan.interpret(Event({"x": x}))),
        outcome(lambda: plan.interpret(Event({"x": x}), [])),
        outcome(lambda: run_in_background(plan.run_async(Event({"x": x})))),
    ]
    if not plan.is_async:
        found.append(outcome(lambda: plan.run(Event({"x": x}))))
        found.append(outcome(lambda: plan.compiled({"x": x}, None) if plan.compiled else plan.run(Event({"x": x}))))
    return found


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(groups, min_size=1, max_size=2), st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_every_way_of_running_says_the_same(description: Any, bodies: list[int]) -> None:
    plain, waiting = built(description, waits=False), built(description, waits=True)
    with plain.open() as sync, waiting.open() as waits:
        for x in bodies:
            every = outcomes(sync, x) + outcomes(waits, x)
            assert all(each == every[0] for each in every), every
    for graph in (plain, waiting):
        rows = graph.map([{"x": x} for x in bodies])
        assert [outcome(partial(rows.__getitem__, row)) for row in range(len(bodies))] == [
            outcome(partial(graph.test, {"x": x})) for x in bodies
        ]
        graph.close()
