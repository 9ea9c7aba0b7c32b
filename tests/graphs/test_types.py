"""Types between neighbours when the graph opens, and of bodies and results at run time if asked."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, Optional, Protocol, TypedDict

import msgspec
import pytest

from modelyard.errors import ErrorKind
from modelyard.graphs import Graph, GraphInvalid, StepFailed, ValueMismatch
from modelyard.graphs.typing_checks import fits


class Flight(msgspec.Struct):
    number: str
    distance: float = 0.0


@dataclass
class Point:
    x: int


class Row(TypedDict):
    x: int


class Sized(Protocol):
    def size(self) -> int: ...


@pytest.mark.parametrize(
    ("gives", "takes", "expected"),
    [
        (int, int, True),
        (int, float, True),
        (bool, int, True),
        (float, int, False),
        (str, int, False),
        (None, int, False),
        (Optional[int], int, True),  # noqa: UP045 (the old way to write it)
        (int | None, str, False),
        (int, str | int, True),
        (Any, int, True),
        (int, object, True),
        (list[int], list[int], True),
        (list[int], list[str], False),
        (list[Any], list[str], True),
        (list, list[str], True),
        (dict[str, int], dict[str, str], False),
        (dict[str, list[int]], dict[str, list[str]], False),
        (dict[str, int], Mapping[str, int], True),
        (dict, Flight, False),
        (Flight, dict, False),
        (Flight, Flight, True),
        (dict, Row, True),
        (Row, dict, True),
        (Row, int, False),
        (Annotated[int, "units"], str, False),
        (Annotated[int, "units"], int, True),
        (Literal["a"], str, True),
        (Point, Sized, True),
        (object, int, True),
    ],
)
def test_fits(gives: Any, takes: Any, expected: bool) -> None:
    assert fits(gives, takes) is expected


@pytest.mark.parametrize(
    ("gives", "takes", "expected"),
    [(dict, Flight, True), (dict, Point, True), (str, date, True), (str, int, False), (list[str], list[date], True)],
)
def test_what_is_converted_fits_more(gives: Any, takes: Any, expected: bool) -> None:
    assert fits(gives, takes, converted=True) is expected


def made(body: Any) -> dict[str, Any]:
    return {"number": body}


def distance(flight: Flight) -> float:
    return flight.distance


def words(body: Any) -> Iterator[str]:
    yield str(body)


async def words_later(body: Any) -> AsyncIterator[str]:
    yield str(body)


def number(body: int) -> int:
    return body


def test_neighbours_are_checked_where_they_meet() -> None:
    def refused(build: Any) -> str:
        graph = Graph("g")
        build(graph)
        with pytest.raises(GraphInvalid) as caught:
            graph.open()
        return str(caught.value).partition(". Put")[0]

    assert (
        refused(lambda g: g.to(made).to(distance))
        == "graph g, step distance: it takes Flight, and 'made' gives dict[str, typing.Any]"
    )
    assert refused(lambda g: g.to(words).to(number)) == "graph g, step number: it takes int, and 'words' gives str"
    assert (
        refused(lambda g: g.to(words_later).to(number))
        == "graph g, step number: it takes int, and 'words_later' gives str"
    )
    assert (
        refused(lambda g: g.to(words).filter(bool).to(number))
        == "graph g, step number: it takes int, and 'bool' gives str"
    )
    assert (
        refused(lambda g: g.to(words).batch().to(number))
        == "graph g, step number: it takes int, and 'batch' gives list"
    )
    inner = Graph("inner")
    inner.to(number)
    assert refused(lambda g: g.to(made).to(inner)) == (
        "graph g, step inner.number: it takes int, and 'made' gives dict[str, typing.Any]"
    )


def test_what_a_setting_changes_is_not_checked_by_the_annotation() -> None:
    graph = Graph("g")
    graph.to(made).to(number, input_path="number")
    assert graph.test(7) == 7
    graph = Graph("g")
    graph.to(made, fallback=3).to(number)
    graph.open().close()
    graph = Graph("g")
    graph.to(number, result_path="x").to(number, name="next")
    with pytest.raises(GraphInvalid, match="it takes int, and 'number' gives dict"):
        graph.open()


@pytest.mark.parametrize("is_async", [False, True])
def test_bodies_are_converted_if_asked(is_async: bool) -> None:
    async def distance_later(flight: Flight) -> float:
        await asyncio.sleep(0)
        return distance(flight)

    graph = Graph("g")
    graph.to(made).to(distance_later if is_async else distance, name="distance", validate=True)
    assert graph.test("UA 15") == 0.0
    with pytest.raises(
        StepFailed, match=r"step distance, event .*: Expected `str`, got `int` - at `\$\.number`"
    ) as caught:
        graph.test(15)
    assert type(caught.value.cause) is ValueMismatch
    assert caught.value.outcome.http == 422


@pytest.mark.parametrize("is_async", [False, True])
def test_results_are_checked_if_asked_and_a_wrong_one_is_the_steps_fault(is_async: bool) -> None:
    def count(body: Any) -> int:
        return body  # type: ignore[no-any-return]

    async def count_later(body: Any) -> int:
        return count(body)

    graph = Graph("g")
    graph.to(count_later if is_async else count, name="count", validate=True)
    assert graph.test(3) == 3
    with pytest.raises(StepFailed, match=r"step count, event .*: its result: Expected `int`, got `str`") as caught:
        graph.test("three")
    assert caught.value.error_kind is ErrorKind.USER_CODE
    assert caught.value.outcome.http == 500


def test_a_batch_of_rows_is_validated_as_well() -> None:
    graph = Graph("g")
    graph.to(number, validate=True, vectorised=True)
    rows = graph.map([1, "two", 3])
    assert list(rows) == [1, None, 3]
    assert [str(error.__cause__) for error in rows.errors.values()] == ["Expected `int`, got `str`."]
    assert rows.vectorised is False
