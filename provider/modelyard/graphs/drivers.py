"""Drives the interpreter: gives it what it waits for, in this thread or on an event loop."""

import asyncio
from collections.abc import Generator
from typing import Any

from modelyard.graphs.machine import Gather, Reply, Steps

__all__ = ["advance", "advance_async"]


def advance(steps: Generator[Any, Any, None]) -> Reply | None:
    """Run on to the next reply; None at the end."""
    try:
        demand = next(steps)
    except StopIteration:
        return None
    if isinstance(demand, Reply):
        return demand
    raise AssertionError(f"a plan without coroutines waits for {demand!r}")


async def advance_async(steps: Generator[Any, Any, None]) -> Reply | None:
    """Run on to the next reply, awaiting what must be awaited; None at the end."""
    result: Any = None
    error: Exception | None = None
    try:
        while True:
            demand = steps.send(result) if error is None else steps.throw(error)
            if isinstance(demand, Reply):
                return demand
            result = error = None
            try:
                result = await (_gather(demand) if isinstance(demand, Gather) else demand)
            except Exception as raised:  # noqa: BLE001 (it is the interpreter's to judge)
                error = raised
    except StopIteration:
        return None
    except asyncio.CancelledError:
        steps.close()  # a cancelled request starts no further step
        raise


async def _gather(demand: Gather) -> list[Any]:
    tasks = [asyncio.ensure_future(_branch(branch)) for branch in demand.branches]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _branch(steps: Steps) -> Any:
    result: Any = None
    error: Exception | None = None
    try:
        while True:
            demand = steps.send(result) if error is None else steps.throw(error)
            result = error = None
            try:
                result = await (_gather(demand) if isinstance(demand, Gather) else demand)
            except Exception as raised:  # noqa: BLE001 (it is the interpreter's to judge)
                error = raised
    except StopIteration as end:
        return end.value
    except asyncio.CancelledError:
        steps.close()
        raise
