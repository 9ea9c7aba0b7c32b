"""Whoever watches learns of every call of every step."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.graphs import EventInvalid, Graph, Resources, StepFailed
from modelyard.graphs.ensembles import Mean
from modelyard.graphs.event import Event


class Watch:
    """Takes down step, whether the seconds are a time, and the error's type."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool, str]] = []

    def step(self, name: str) -> Callable[[float, BaseException | None], None]:
        def observe(seconds: float, error: BaseException | None) -> None:
            self.told.append((name, 0 <= seconds < 20, type(error).__name__ if error else ""))

        return observe


def parse(body: Any) -> Any:
    if body < 0:
        raise EventInvalid("is not negative")
    return body


async def wait(body: Any) -> Any:
    await asyncio.sleep(0)
    return body + 1


def test_plain_and_waiting_steps_are_told_with_their_errors() -> None:
    graph, watch = Graph("watched"), Watch()
    graph.to(parse).to(wait).filter(lambda body: body > 1, name="some")
    with graph.open(Resources(observer=watch)) as plan:
        assert asyncio.run(plan.run_async(Event(1))) == 2
        with pytest.raises(StepFailed):
            asyncio.run(plan.run_async(Event(-1)))
    assert watch.told == [
        ("parse", True, ""),
        ("wait", True, ""),
        ("some", True, ""),
        ("parse", True, "EventInvalid"),
    ]


def test_an_ensemble_and_whole_batches_are_one_call() -> None:
    graph, watch = Graph("watched"), Watch()
    graph.ensemble(Mean, name="mean", members={"one": lambda row: row, "two": lambda row: row * 2})
    with graph.open(Resources(observer=watch)) as plan:
        assert plan.run(Event(2.0)) == 3.0
    assert watch.told == [("mean", True, "")]


def test_who_is_not_watched_runs_the_functions_themselves() -> None:
    graph = Graph("alone")
    graph.to(parse)
    with graph.open() as plan:
        assert plan.nodes[0].call is parse
