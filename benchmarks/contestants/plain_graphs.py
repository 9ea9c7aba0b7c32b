"""The floor: the same steps called one after the other by hand."""

import asyncio

from protocol import answer
from scored import MATRIX, MODEL, center, round_off
from steps import add, add_later, double, double_later, subtract, subtract_later


def chain(count: int) -> None:
    """Three calls, nested."""
    for number in range(count):
        subtract(double(add(number)))


def branch(count: int) -> None:
    """Three calls on one input, gathered."""
    for number in range(count):
        _ = {"add": add(number), "double": double(number), "subtract": subtract(number)}


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
        MODEL.predict(MATRIX)


def batch_steps(count: int) -> None:
    """Run the three vectorised steps by hand."""
    for _ in range(count):
        round_off(MODEL.predict(center(MATRIX)))


answer(
    {
        "chain": chain,
        "async chain": chain_async,
        "async chain, awaited steps": chain_awaited,
        "branch": branch,
        "batch": batch,
        "batch, steps by hand": batch_steps,
    }
)
