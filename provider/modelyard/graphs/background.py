"""One event loop in one background thread, for coroutine steps that are called from ordinary code."""

import asyncio
import logging
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Thread
from typing import Any

__all__ = ["run_in_background", "running_loop"]

_LOG = logging.getLogger("modelyard.graphs")


def run_in_background(work: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of `work`, awaited on the background loop; also from inside a notebook's running loop.

    Examples
    --------
    >>> async def double(number):
    ...     return number * 2
    >>> run_in_background(double(21))
    42
    """
    loop = _loop(os.getpid())
    if running_loop() is loop:  # a coroutine step asks another graph, and waits: its own loop cannot serve both
        with ThreadPoolExecutor(1) as aside:
            error, result = aside.submit(asyncio.run, _boxed(work)).result()
    else:
        error, result = asyncio.run_coroutine_threadsafe(_boxed(work), loop).result()
    if error is not None:
        raise error
    return result


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread; None if none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _boxed(work: Coroutine[Any, Any, Any]) -> tuple[BaseException | None, Any]:
    try:
        return None, await work
    except (KeyboardInterrupt, SystemExit) as error:
        return error, None  # raised in there it would stop the loop, and everybody else's work with it


@cache
def _loop(process: int) -> asyncio.AbstractEventLoop:
    """Return the loop of a process: a forked one has none of its parent's threads."""
    loop = asyncio.new_event_loop()
    Thread(target=_serve, args=[loop], name="modelyard-graph-steps", daemon=True).start()
    return loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            loop.run_forever()
        except (KeyboardInterrupt, SystemExit) as error:  # of a task that nobody waits for
            _LOG.error("a step raised %s where nobody waits for it", type(error).__name__)
