"""What crosses a process border: results, errors with their types, and what cannot cross."""

import asyncio
from collections.abc import Iterator
from typing import Any

import probe_parcels
import pytest

from modelyard.graphs import EventInvalid, Graph, StepFailed
from modelyard.graphs.parcels import Unreadable, portable


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    with Graph("g") as graph:
        graph.to(probe_parcels.perform, concurrency="process", timeout=60)
        yield graph


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("ambiguous", "the step raised Ambiguous: one. The error itself was lost: "),
        ("lambda", "its result, of type function, cannot leave its process: Can't pickle local object"),
        ("trap", "what the step gave cannot be read outside of its process: RuntimeError: a trap."),
        ("stop", "the step raised RuntimeError: the step raised StopIteration."),
        ("value", "the step raised ValueError: value."),
        ("refuse", "body: must be kind, got 'refuse'. Ask again."),
    ],
)
def test_what_goes_wrong_in_a_process_arrives_as_what_it_is(graph: Graph, body: str, expected: str) -> None:
    with pytest.raises(StepFailed) as caught:
        graph.test(body)
    assert expected in str(caught.value)


def test_a_body_that_cannot_be_read_in_the_process_is_told(graph: Graph) -> None:
    with pytest.raises(StepFailed, match="what the step is given cannot be read in its process: RuntimeError: a trap"):
        graph.test(probe_parcels.Trap())


def test_an_error_of_ours_keeps_its_type_and_facts_on_the_way(graph: Graph) -> None:
    with pytest.raises(StepFailed) as caught:
        graph.test("refuse")
    cause = caught.value.cause
    assert type(cause) is EventInvalid
    assert (cause.what, cause.facts, caught.value.outcome.http) == (
        "must be kind, got 'refuse'",
        {"field": "body"},
        422,
    )


def test_what_one_event_cannot_send_costs_no_other_its_process(graph: Graph) -> None:
    async def scenario() -> list[Any]:
        bodies = ("slow", "ambiguous", "slow", "lambda", "slow", "trap")
        return await asyncio.gather(*(graph.run(body) for body in bodies), return_exceptions=True)

    found = asyncio.run(scenario())
    assert [each if isinstance(each, str) else type(each.cause).__name__ for each in found] == [
        "slow",
        "Unsendable",
        "slow",
        "Unsendable",
        "slow",
        "Unsendable",
    ]


def test_a_step_in_a_thread_that_runs_out_of_items_fails_and_does_not_wait_for_ever() -> None:
    graph = Graph("g")
    graph.to(lambda body: next(iter(body)), name="first", concurrency="thread")
    with pytest.raises(StepFailed, match="the step raised RuntimeError: the step raised StopIteration") as caught:
        graph.test([])
    assert isinstance(caught.value.cause, RuntimeError)
    assert isinstance(caught.value.cause.__cause__, StopIteration)
    assert graph.test([7]) == 7


def test_an_error_that_crosses_as_it_is_stays_itself() -> None:
    error = ValueError("no")
    assert portable(error) is error
    assert Unreadable("gone").why == "gone"
