"""The floor: the same steps called one after the other by hand."""

import asyncio
from typing import Any

import plain_groups
from protocol import INPUTS, Case, answer
from steps import add, add_later, double, double_later, subtract, subtract_later


def chain(count: int) -> None:
    """Three calls, nested."""
    for number in range(count):
        subtract(double(add(number)))


def branch(count: int) -> None:
    """Three calls on one input, gathered."""
    for number in range(count):
        _ = [add(number), double(number), subtract(number)]


def chain_async(count: int) -> None:
    """Call the same in a coroutine."""

    async def run() -> None:
        for number in range(count):
            subtract(double(add(number)))

    asyncio.run(run())


def chain_awaited(count: int) -> None:
    """Three awaits."""

    async def run() -> None:
        for number in range(count):
            await subtract_later(await double_later(await add_later(number)))

    asyncio.run(run())


def chained() -> list[Any]:
    """Return what the chain answers."""
    return [subtract(double(add(number))) for number in INPUTS]


def branched() -> list[Any]:
    """Return what the branches answer."""
    return [[add(number), double(number), subtract(number)] for number in INPUTS]


def batch() -> Case:
    """Predict, without the steps around it."""
    from scored import CENTERED, MODEL, round_off, told

    def run(count: int) -> None:
        for _ in range(count):
            MODEL.predict(CENTERED)

    return Case(run, lambda: told(round_off(MODEL.predict(CENTERED))))


def batch_by_hand() -> Case:
    """Run the three vectorised steps by hand."""
    from scored import MATRIX, MODEL, center, round_off, told

    def run(count: int) -> None:
        for _ in range(count):
            round_off(MODEL.predict(center(MATRIX)))

    return Case(run, lambda: told(round_off(MODEL.predict(center(MATRIX)))))


answer(
    {
        "chain": lambda: Case(chain, chained),
        "async chain": lambda: Case(chain_async, chained),
        "async chain of coroutines": lambda: Case(chain_awaited, chained),
        "branch": lambda: Case(branch, branched),
        "batch of 10,000 rows": batch,
        "batch of 10,000 rows by hand": batch_by_hand,
        "router by path": plain_groups.router,
        "vote of 3": plain_groups.vote,
        "vote of 3, two against one": plain_groups.vote_split,
        "vote of 3 models, 1 row": plain_groups.vote_on_row,
        "vote of 3 models, 10,000 rows": plain_groups.vote_on_rows,
        "vote of 3 steps with models, 1 row": plain_groups.vote_on_row,
        "vote of 3 steps with models, 10,000 rows": plain_groups.vote_on_rows,
        "model, 10,000 rows": plain_groups.model_on_rows,
    }
)
