"""The compiled function: which graphs get one, what it says, and what is left when it is gone."""

import gc
import linecache
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from modelyard.graphs import Graph, StepFailed
from modelyard.graphs.compiled import source_of


def add(number: int) -> int:
    return number + 1


def halve(number: int) -> float:
    return 1 / number


def spread(number: int) -> Iterator[int]:
    yield from range(number)


def entries() -> list[str]:
    gc.collect()
    return [name for name in linecache.cache if name.startswith("<modelyard graph gone")]


def test_a_chain_is_nothing_but_its_calls() -> None:
    graph = Graph("chain")
    graph.to(add).to(halve)
    with graph.open() as plan:
        source = source_of(plan)
    assert source is not None
    assert [line.strip() for line in source.splitlines()[:6]] == [
        "def run(body, event=None):",
        "i = 0",
        "try:",
        "v1 = f0(body)",
        "i = 1",
        "v2 = f1(v1)",
    ]


@pytest.mark.parametrize("kind", ["cycle", "yields", "flat_map"])
def test_what_is_no_straight_line_is_interpreted(kind: str) -> None:
    graph = Graph("bent", cycle_bound=3)
    if kind == "cycle":
        choice = graph.to(add).choice(lambda number: number < 3, name="more")
        choice.when(True).cycle_to("add")
        choice.when(False).to(halve)
    elif kind == "yields":
        graph.to(spread)
    else:
        graph.flat_map(lambda number: range(number), name="spread")  # noqa: PLW0108 (a class is built)
    with graph.open() as plan:
        assert plan.compiled is None


def test_a_traceback_shows_the_line_that_called_the_step() -> None:
    graph = Graph("shown")
    graph.to(add).to(halve)
    with pytest.raises(StepFailed) as caught:
        graph.test(-1)
    assert caught.value.__cause__ is not None
    frames = traceback.extract_tb(caught.value.__cause__.__traceback__)
    assert [(frame.name, frame.line) for frame in frames] == [
        ("run", "v2 = f1(v1)"),
        ("halve", "return 1 / number"),
    ]


def test_graphs_that_are_gone_leave_no_source_behind() -> None:
    def opened() -> Any:
        graph = Graph("gone")
        graph.to(add).to(halve)
        assert graph.test(1) == 0.5
        return graph

    before = entries()
    graphs = [opened() for _ in range(5)]
    assert len(entries()) == len(before) + 5
    kept = [error_of(graphs[0])]
    del graphs
    assert len(entries()) == len(before) + 1, "the traceback still needs its lines"
    assert "v2 = f1(v1)" in "".join(traceback.format_exception(kept[0]))
    kept.clear()
    assert entries() == before


def error_of(graph: Graph) -> BaseException | None:
    try:
        graph.test(-1)
    except StepFailed as error:
        return error.__cause__
    return None
