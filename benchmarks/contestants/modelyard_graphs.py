"""Our own graphs, through `Graph.test`, `Graph.run` and `Graph.map`."""

import asyncio
from collections.abc import Callable
from typing import Any

import modelyard_groups
from protocol import INPUTS, Case, answer
from steps import add, add_later, double, double_later, subtract, subtract_later

from modelyard.graphs import Event, Graph


def _chain(*steps: Callable[[Any], Any]) -> Graph:
    graph = Graph("bench")
    graph.to(steps[0]).to(steps[1]).to(steps[2]).respond()
    return graph


def _branch() -> Graph:
    graph = Graph("branch")
    graph.parallel(add=add, double=double, subtract=subtract, into="list").respond()
    return graph


def _guarded() -> Graph:
    graph = Graph("guarded")
    graph.to(_add_to_event, full_event=True).to(double).to(subtract).respond()
    graph.on_error(_told_error)
    return graph


def _add_to_event(event: Event) -> Event:
    event.body += 1
    return event


def _told_error(event: Event) -> str:
    return str(event.error)


def _tested(graph: Graph) -> Case:
    def run(count: int) -> None:
        for number in range(count):
            graph.test(number)

    return Case(run, lambda: [graph.test(number) for number in INPUTS])


def _awaited(graph: Graph) -> Case:
    async def run(count: int) -> None:
        for number in range(count):
            await graph.run(number)

    async def answers() -> list[Any]:
        return [await graph.run(number) for number in INPUTS]

    return Case(lambda count: asyncio.run(run(count)), lambda: asyncio.run(answers()))


def _batch() -> Case:
    from scored import MATRIX, center, predict, round_off, told

    graph = Graph("batch")
    graph.to(center, vectorised=True).to(predict, vectorised=True).to(round_off, vectorised=True).respond()
    assert graph.map(MATRIX).vectorised

    def run(count: int) -> None:
        for _ in range(count):
            graph.map(MATRIX)

    return Case(run, lambda: told(graph.map(MATRIX).values))


answer(
    {
        "chain": lambda: _tested(_chain(add, double, subtract)),
        "chain with event and handler": lambda: _tested(_guarded()),
        "async chain": lambda: _awaited(_chain(add, double, subtract)),
        "async chain of coroutines": lambda: _awaited(_chain(add_later, double_later, subtract_later)),
        "branch": lambda: _tested(_branch()),
        "async branch": lambda: _awaited(_branch()),
        "batch of 10,000 rows": _batch,
        "router by path": modelyard_groups.router,
        "vote of 3": modelyard_groups.vote,
        "vote of 3, two against one": modelyard_groups.vote_split,
        "vote of 3 models, 1 row": modelyard_groups.vote_of_models_on_row,
        "vote of 3 models, 10,000 rows": modelyard_groups.vote_of_models_on_rows,
        "vote of 3 steps with models, 1 row": modelyard_groups.vote_on_row,
        "vote of 3 steps with models, 10,000 rows": modelyard_groups.vote_on_rows,
        "model, 10,000 rows": modelyard_groups.model_on_rows,
    }
)
