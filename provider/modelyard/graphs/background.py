"""One event loop in one background thread, for coroutine steps that are called from ordinary code."""

import asyncio
from collections.abc import Coroutine
from functools import cache
from threading import Thread
from typing import Any

__all__ = ["run_in_background"]


def run_in_background(work: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of `work`, awaited on the background loop; also from inside a notebook's running loop.

    Examples
    --------
    >>> async def double(number):
    ...     return number * 2
    >>> run_in_background(double(21))
    42
    """
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="modelyard-graph-steps", daemon=True).start()
    return loop
