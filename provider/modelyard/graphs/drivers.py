"""Drives the interpreter: gives it what it waits for, in this thread or on an event loop."""

import asyncio
from collections.abc import Generator
from typing import Any

from modelyard.graphs.failures import FAILURES
from modelyard.graphs.tokens import Gather, Reply, Steps

__all__ = ["advance", "advance_async", "is_cancelled"]


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
    end = await _driven(steps, replies=True)
    return end if isinstance(end, Reply) else None


async def _driven(steps: Generator[Any, Any, Any], *, replies: bool) -> Any:
    """Run on to the next reply if there may be `replies`, or to the end, and return what it says."""
    result: Any = None
    error: BaseException | None = None
    while True:
        try:
            demand = steps.send(result) if error is None else steps.throw(error)
        except StopIteration as end:
            return end.value
        if replies and isinstance(demand, Reply):
            return demand
        result = error = None
        try:
            result = await (_gather(demand) if isinstance(demand, Gather) else demand)
        except FAILURES as raised:
            if is_cancelled(raised):
                steps.close()  # a cancelled request starts no further step
                raise
            error = raised
        except BaseException:
            steps.close()
            raise


def is_cancelled(error: BaseException) -> bool:
    """Whether an error means that the request is cancelled, rather than some work of a step's own."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def _gather(demand: Gather) -> list[Any]:
    tasks = [asyncio.ensure_future(_branch(branch)) for branch in demand.branches]
    try:
        found = []
        for task in tasks:
            arrivals = await task
            if isinstance(arrivals, BaseException):
                raise arrivals
            found.append(arrivals)
        return found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _branch(steps: Steps) -> Any:
    try:
        return await _driven(steps, replies=False)
    except (KeyboardInterrupt, SystemExit) as error:
        return error  # raised in a task of its own it would stop the event loop
