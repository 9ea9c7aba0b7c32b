"""A model is asked once for what one turn of the loop brought, and each event gets its own answer."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from modelyard.graphs.batching import MicroBatcher


class Model:
    """Answers rows, and remembers how it was asked."""

    def __init__(self, poison: Any = None) -> None:
        self.calls: list[list[Any]] = []
        self.poison = poison

    def single(self, row: Any) -> Any:
        self.calls.append([row])
        if row == self.poison:
            raise ValueError(f"row {row}")
        return row * 10

    def batch(self, rows: Sequence[Any]) -> list[Any]:
        self.calls.append(list(rows))
        if self.poison in rows:
            raise ValueError("some row")
        return [row * 10 for row in rows]


async def ask(batcher: MicroBatcher, rows: Sequence[Any]) -> list[Any]:
    return await asyncio.gather(*(batcher(row) for row in rows), return_exceptions=True)


def test_what_a_turn_brings_is_one_call() -> None:
    model = Model()
    assert asyncio.run(ask(MicroBatcher(model.single, model.batch), range(7))) == [0, 10, 20, 30, 40, 50, 60]
    assert model.calls == [[0, 1, 2, 3, 4, 5, 6]]


def test_a_call_takes_no_more_than_the_limit_and_nobody_is_left() -> None:
    model = Model()
    sizes: list[int] = []
    batcher = MicroBatcher(model.single, model.batch, limit=3, observe=sizes.append)
    assert asyncio.run(ask(batcher, range(7))) == [0, 10, 20, 30, 40, 50, 60]
    assert model.calls == [[0, 1, 2], [3, 4, 5], [6]]
    assert sizes == [3, 3, 1]


def test_who_is_alone_does_not_wait() -> None:
    model = Model()
    sizes: list[int] = []
    batcher = MicroBatcher(model.single, model.batch, alone=lambda: True, observe=sizes.append)

    async def at_once() -> Any:
        work = batcher(4)
        with pytest.raises(StopIteration) as end:  # it ends without giving the loop a turn
            work.send(None)
        return end.value.value

    assert asyncio.run(at_once()) == 40
    assert model.calls == [[4]]
    assert sizes == [1]


def test_a_poisoned_row_fails_alone() -> None:
    model = Model(poison=2)
    found = asyncio.run(ask(MicroBatcher(model.single, model.batch), range(4)))
    assert [str(each) if isinstance(each, Exception) else each for each in found] == [0, 10, "row 2", 30]
    assert model.calls == [[0, 1, 2, 3], [0], [1], [2], [3]]


def test_another_number_of_answers_is_no_answer() -> None:
    model = Model()
    batcher = MicroBatcher(model.single, lambda rows: [0], limit=8)
    assert asyncio.run(ask(batcher, [1, 2])) == [10, 20]


def test_a_row_that_nobody_waits_for_is_not_asked_for() -> None:
    model = Model()

    async def scene() -> list[Any]:
        batcher = MicroBatcher(model.single, model.batch)
        tasks = [asyncio.ensure_future(batcher(row)) for row in range(3)]
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(scene())
    assert [found[0], found[2]] == [0, 20]
    assert isinstance(found[1], asyncio.CancelledError)
    assert model.calls == [[0, 2]]


def test_an_exception_that_futures_refuse_reaches_the_event() -> None:
    def single(row: Any) -> Any:
        raise StopIteration(row)

    found = asyncio.run(ask(MicroBatcher(single, lambda rows: []), [1]))
    assert repr(found) == """[RuntimeError('the model raised StopIteration(1)')]"""


def test_a_model_that_ends_the_process_leaves_nobody_waiting() -> None:
    def leave(rows: Sequence[Any]) -> list[Any]:
        raise SystemExit(3)

    with pytest.raises(SystemExit) as raised:
        asyncio.run(ask(MicroBatcher(lambda row: row, leave), [1, 2]))
    assert raised.value.code == 3
