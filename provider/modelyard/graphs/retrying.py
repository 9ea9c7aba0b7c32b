"""Tries a failing step again: which errors qualify, how long to wait, and what body the next try gets."""

import asyncio
import builtins
import random
from collections.abc import Awaitable, Callable
from typing import Any

from modelyard.graphs.calls import resolve
from modelyard.graphs.errors import GraphInvalid, StepNotFound
from modelyard.graphs.event import Event
from modelyard.graphs.failures import BodyUncopyable
from modelyard.graphs.isolation import isolated
from modelyard.graphs.settings import Retry

__all__ = ["body_in", "exceptions_of", "pause", "retried", "retried_async", "spare"]

Call = Callable[[Any], Any]
AsyncCall = Callable[[Any], Awaitable[Any]]


def body_in(argument: Any) -> Any:
    """Return the body of an event, or the body itself."""
    return argument.body if isinstance(argument, Event) else argument


def exceptions_of(graph: str, step: str, retry: Retry) -> tuple[type[Exception], ...]:
    """Return the exceptions that a retry names.

    Raises
    ------
    GraphInvalid
        One of the names leads to no exception.
    """
    found: list[type[Exception]] = []
    for name in retry.on:
        try:
            kind: Any = getattr(builtins, str(name), None) or resolve(name)
        except StepNotFound:
            kind = None
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            mend = "Name a built-in one, or the dotted path of one: package.module:Name."
            raise GraphInvalid(graph, f"retries on {name!r}, which is no exception", step=step, mend=mend)
        found.append(kind)
    return tuple(found) or (Exception,)


def pause(retry: Retry, attempt: int) -> float:
    """Return the seconds to wait after a failed attempt: full jitter."""
    return random.uniform(0.0, min(retry.cap, retry.base * 2.0 ** (attempt - 1)))  # noqa: S311 (no secret)


def spare(argument: Any) -> Callable[[], Any]:
    """Return what gives the argument as it is now, once more, whatever becomes of it: steps may change their bodies."""
    try:
        kept = isolated(body_in(argument))
    except BodyUncopyable:
        return lambda: argument

    def again() -> Any:
        if not isinstance(argument, Event):
            return isolated(kept)
        argument.body = isolated(kept)
        return argument

    return again


def retried(run: Call, retry: Retry, qualify: tuple[type[Exception], ...]) -> Call:
    """Return the step that is tried again at once."""

    def tried(body: Any) -> Any:
        again = spare(body)
        for _ in range(1, retry.attempts):
            try:
                return run(body)
            except qualify:
                body = again()
        return run(body)

    return tried


def retried_async(run: AsyncCall, retry: Retry, qualify: tuple[type[Exception], ...]) -> AsyncCall:
    """Return the step that is tried again after a pause, in which others go on."""

    async def tried(body: Any) -> Any:
        again = spare(body)
        for attempt in range(1, retry.attempts):
            try:
                return await run(body)
            except qualify:
                await asyncio.sleep(pause(retry, attempt))
                body = again()
        return await run(body)

    return tried
