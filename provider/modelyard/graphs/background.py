"""Event loops in background threads, one for each purpose, for coroutines that are called from ordinary code."""

import asyncio
import logging
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

__all__ = ["background_loop", "run_in_background", "running_loop"]

_LOG = logging.getLogger("modelyard.graphs")
_LOOPS: dict[tuple[int, str], asyncio.AbstractEventLoop] = {}
"""Loops by the process and the purpose that they are for: a forked process has none of its parent's threads."""


def run_in_background(work: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of `work`, awaited on the background loop; also from inside a notebook's running loop.

    Examples
    --------
    >>> async def double(number):
    ...     return number * 2
    >>> run_in_background(double(21))
    42
    """
    loop = background_loop("graph-steps")
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


def background_loop(purpose: str) -> asyncio.AbstractEventLoop:
    """Return this process's loop for a purpose; it runs in a thread called ``modelyard-<purpose>``."""
    loop = _LOOPS.get((os.getpid(), purpose))
    return _begun(purpose) if loop is None else loop


def _begun(purpose: str) -> asyncio.AbstractEventLoop:
    made = asyncio.new_event_loop()
    loop = _LOOPS.setdefault((os.getpid(), purpose), made)
    if loop is made:
        Thread(target=_serve, args=[loop], name=f"modelyard-{purpose}", daemon=True).start()
    else:  # another thread asked first at the same time
        made.close()
    return loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            loop.run_forever()
        except (KeyboardInterrupt, SystemExit) as error:  # of a task that nobody waits for
            _LOG.error("a step raised %s where nobody waits for it", type(error).__name__)
