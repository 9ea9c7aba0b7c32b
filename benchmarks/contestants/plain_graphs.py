"""The floor: the same steps called one after the other by hand."""

import asyncio
from typing import Any

from protocol import INPUTS, Case, answer
from scored import CENTERED, MATRIX, MODEL, center, round_off, told
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


def batch(count: int) -> None:
    """Predict, without the steps around it."""
    for _ in range(count):
        MODEL.predict(CENTERED)


def batch_steps(count: int) -> None:
    """Run the three vectorised steps by hand."""
    for _ in range(count):
        round_off(MODEL.predict(center(MATRIX)))


def chained() -> list[Any]:
    """Return what the chain answers."""
    return [subtract(double(add(number))) for number in INPUTS]


def branched() -> list[Any]:
    """Return what the branches answer."""
    return [[add(number), double(number), subtract(number)] for number in INPUTS]


def scored() -> list[float]:
    """Return what the batch answers."""
    return told(round_off(MODEL.predict(CENTERED)))


answer(
    {
        "chain": Case(chain, chained),
        "async chain": Case(chain_async, chained),
        "async chain of coroutines": Case(chain_awaited, chained),
        "branch": Case(branch, branched),
        "batch of 10,000 rows": Case(batch, scored),
        "batch of 10,000 rows by hand": Case(batch_steps, scored),
    }
)
