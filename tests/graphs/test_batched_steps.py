"""Models and ensembles inside a graph are asked once for what one turn of the loop brought."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from modelyard.graphs import EventInvalid, Graph, Resources, StepFailed
from modelyard.graphs.batching import Batching
from modelyard.graphs.ensembles import Mean
from modelyard.graphs.event import Event
from modelyard.graphs.models import LoadedModel, Model, ModelCard
from modelyard.graphs.routers import ByField


class Sums:
    """A regression that adds up a row's features, and remembers how many rows it was asked about."""

    def __init__(self, calls: list[int], factor: float) -> None:
        self.calls, self.factor = calls, factor

    def predict(self, matrix: Any) -> Any:
        self.calls.append(len(matrix))
        if (matrix == -1).any():
            raise ValueError("minus one")
        return np.asarray(matrix.sum(axis=1) * self.factor, dtype=float)


class Shelf:
    """Gives ``models:/FACTOR/1``."""

    def __init__(self) -> None:
        self.calls: dict[str, list[int]] = {}

    def load(self, reference: str) -> LoadedModel:
        factor = reference.split("/")[1]
        card = ModelCard(("a", "b"), ("double", "double"), "matrix", "regression", (), "y", "", "")
        calls = self.calls.setdefault(factor, [])
        return LoadedModel(Sums(calls, float(factor)), card, digest="", name=reference)


def parse(body: Any) -> Any:
    if body["a"] < -1:
        raise EventInvalid("is at least -1", field="a")
    return [body["a"], body["b"]]


def ask(graph: Graph, shelf: Shelf, bodies: Sequence[Any], **batching: Any) -> list[Any]:
    """Return what each body gives, as one turn of a loop asks for them."""
    sizes: list[tuple[str, int]] = []
    told = Batching(observe=lambda step, size: sizes.append((step, size)), **batching)
    plan = graph.open(Resources(models=shelf, batching=told))
    for calls in shelf.calls.values():
        calls.clear()

    async def scene() -> list[Any]:
        work = (plan.run_async(Event(body)) for body in bodies)
        return await asyncio.gather(*work, return_exceptions=True)

    with plan:
        found = asyncio.run(scene())
    shelf.calls["observed"] = [size for _, size in sizes]
    return found


def test_the_model_behind_a_plain_step_is_asked_once() -> None:
    graph, shelf = Graph("sums"), Shelf()
    graph.to(parse).model("sum", "models:/2/1").to(lambda answer: answer["label"] + 1, name="add")
    bodies = [{"a": number, "b": 1} for number in range(5)]
    assert ask(graph, shelf, bodies) == [3.0, 5.0, 7.0, 9.0, 11.0]
    assert shelf.calls == {"2": [5], "observed": [5]}


def test_an_event_that_fails_leaves_the_others_alone() -> None:
    graph, shelf = Graph("sums"), Shelf()
    graph.to(parse).model("sum", "models:/1/1").to(lambda answer: answer["label"], name="label")
    found = ask(graph, shelf, [{"a": 1, "b": 1}, {"a": -2, "b": 1}, {"a": -1, "b": 1}, {"a": 4, "b": 1}])
    assert [found[0], found[3]] == [2.0, 5.0]
    assert isinstance(found[1], StepFailed)
    assert (found[1].facts["step"], found[2].facts["step"]) == ("parse", "sum")
    assert "minus one" in str(found[2])
    # all three rows at once, and then one by one to find the bad one
    assert shelf.calls["1"] == [3, 1, 1, 1]


def test_a_call_takes_no_more_than_the_limit_and_who_is_alone_does_not_wait() -> None:
    graph, shelf = Graph("sums"), Shelf()
    graph.model("sum", "models:/1/1").to(lambda answer: answer["label"], name="label")
    rows = [[number, 0] for number in range(7)]
    assert ask(graph, shelf, rows, limit=3) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert shelf.calls["1"] == [3, 3, 1]
    assert ask(graph, shelf, rows, alone=lambda: True) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert shelf.calls["1"] == [1] * 7


def test_several_rows_in_one_body_are_a_call_of_their_own() -> None:
    graph, shelf = Graph("sums"), Shelf()
    graph.model("sum", "models:/1/1")
    assert ask(graph, shelf, [[[1, 1], [2, 2]], [3, 3]]) == [[{"label": 2.0}, {"label": 4.0}], {"label": 6.0}]
    assert sorted(shelf.calls["1"]) == [1, 2]


def test_each_member_of_an_ensemble_is_asked_once() -> None:
    graph, shelf = Graph("mean"), Shelf()
    graph.to(parse).ensemble(Mean, name="mean", members={"one": "models:/1/1", "three": "models:/3/1"})
    bodies = [{"a": number, "b": 0} for number in range(4)]
    expected = graph.open(Resources(models=Shelf()))
    assert ask(graph, shelf, bodies) == [expected.run(Event(body)) for body in bodies]
    assert (shelf.calls["1"], shelf.calls["3"], shelf.calls["observed"]) == ([4], [4], [4])


def test_a_member_that_is_asked_by_path_answers_alone() -> None:
    graph, shelf = Graph("mean"), Shelf()
    graph.ensemble(Mean, name="mean", members={"one": "models:/1/1", "three": "models:/3/1"})
    plan = graph.open(Resources(models=shelf, batching=Batching()))

    async def scene() -> Any:
        return await plan.run_async(Event([1, 1], path="/v2/models/three/infer"))

    with plan:
        assert asyncio.run(scene()) == {"label": 6.0}
    assert shelf.calls == {"1": [], "3": [1]}


def test_the_routes_of_a_router_gather_for_themselves() -> None:
    graph, shelf = Graph("routes"), Shelf()
    graph.router(ByField, name="pick", field="to", routes={"one": "models:/1/1", "two": "models:/2/1"})
    bodies = [{"to": "one" if number % 2 else "two", "a": number, "b": 0} for number in range(6)]
    assert ask(graph, shelf, bodies) == [{"label": float(number * (1 if number % 2 else 2))} for number in range(6)]
    assert (shelf.calls["1"], shelf.calls["2"]) == ([3], [3])


def test_what_takes_no_batches_stays_as_it_is() -> None:
    class Echo(Model):
        def predict(self, inputs: Any) -> Any:
            return inputs

    graph, shelf = Graph("echo"), Shelf()
    graph.model("echo", Echo)
    plan = graph.open(Resources(models=shelf, batching=Batching()))
    with plan:
        assert not plan.is_async
        assert plan.run(Event([7])) == [7]


@pytest.mark.parametrize("header", [{}, {"x-other": "1"}])
def test_a_header_that_names_no_version_does_not_keep_a_row_from_its_batch(header: dict[str, str]) -> None:
    graph, shelf = Graph("sums"), Shelf()
    graph.model("sum", "models:/1/1")
    plan = graph.open(Resources(models=shelf, batching=Batching()))
    shelf.calls["1"].clear()

    async def scene() -> list[Any]:
        events = [Event([number, 0], path="/v2/models/sum/infer", headers=header) for number in range(3)]
        return await asyncio.gather(*(plan.run_async(event) for event in events))

    with plan:
        assert asyncio.run(scene()) == [{"label": 0.0}, {"label": 1.0}, {"label": 2.0}]
    assert shelf.calls["1"] == [3]
