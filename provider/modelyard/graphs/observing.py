"""Times the calls of steps for whoever watches; a graph that nobody watches is not touched."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

__all__ = ["Observe", "observed", "observed_async"]

Observe = Callable[[float, BaseException | None], None]
"""Takes the seconds that a call took, and the error that it raised."""


def observed(call: Callable[..., Any], observe: Observe) -> Callable[..., Any]:
    """Return a plain call that tells how long it took.

    Examples
    --------
    >>> told = []
    >>> observed(abs, lambda seconds, error: told.append((seconds >= 0, error)))(-2), told
    (2, [(True, None)])
    """

    def timed(*given: Any) -> Any:
        begin = perf_counter()
        try:
            result = call(*given)
        except BaseException as error:
            observe(perf_counter() - begin, error)
            raise
        observe(perf_counter() - begin, None)
        return result

    return timed


def observed_async(call: Callable[..., Any], observe: Observe) -> Callable[..., Any]:
    """Return a coroutine's call that tells how long it took, its waiting included."""

    async def timed(*given: Any) -> Any:
        begin = perf_counter()
        try:
            result = await call(*given)
        except BaseException as error:
            observe(perf_counter() - begin, error)
            raise
        observe(perf_counter() - begin, None)
        return result

    return timed
