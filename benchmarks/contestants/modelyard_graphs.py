"""Our own graphs, through `Graph.test`, `Graph.run` and `Graph.map`."""

import asyncio
from collections.abc import Callable
from typing import Any

from protocol import answer
from scored import MATRIX, MODEL, center, predict, round_off
from steps import add, add_later, double, double_later, subtract, subtract_later

from modelyard.graphs import Graph


def _chain(*steps: Callable[[Any], Any]) -> Graph:
    graph = Graph("bench")
    graph.to(steps[0]).to(steps[1]).to(steps[2]).respond()
    assert graph.test(20) == 39
    return graph


def _branch() -> Graph:
    graph = Graph("branch")
    graph.parallel(add=add, double=double, subtract=subtract).respond()
    assert graph.test(20) == {"add": 21, "double": 40, "subtract": 17}
    return graph


def _batch() -> Graph:
    graph = Graph("batch")
    graph.to(center, vectorised=True).to(predict, vectorised=True).to(round_off, vectorised=True).respond()
    assert (graph.map(MATRIX).values == round_off(MODEL.predict(center(MATRIX)))).all()
    assert graph.map(MATRIX).vectorised
    return graph


def _tested(graph: Graph) -> Callable[[int], None]:
    def run(count: int) -> None:
        for number in range(count):
            graph.test(number)

    return run


def _awaited(graph: Graph) -> Callable[[int], None]:
    async def run(count: int) -> None:
        for number in range(count):
            await graph.run(number)

    return lambda count: asyncio.run(run(count))


def _mapped(graph: Graph) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in range(count):
            graph.map(MATRIX)

    return run


answer(
    {
        "chain": _tested(_chain(add, double, subtract)),
        "async chain": _awaited(_chain(add, double, subtract)),
        "async chain, awaited steps": _awaited(_chain(add_later, double_later, subtract_later)),
        "branch": _tested(_branch()),
        "async branch": _awaited(_branch()),
        "batch": _mapped(_batch()),
    }
)
