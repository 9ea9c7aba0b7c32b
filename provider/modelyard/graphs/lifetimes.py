"""Opens what a graph's steps need when it starts, and closes it when it stops."""

import asyncio
import atexit
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from typing import Any, NamedTuple, Protocol
from weakref import WeakSet

from modelyard.errors import ModelyardError
from modelyard.graphs.background import run_in_background, running_loop
from modelyard.graphs.errors import GraphInvalid, OpeningFailed

__all__ = ["Opened", "close_at_exit"]


class _Way(NamedTuple):
    """How something is left again: the call, whether it is awaited, and the loop that it was entered on."""

    leave: Callable[[], Any]
    is_async: bool = False
    loop: asyncio.AbstractEventLoop | None = None


class Opened:
    """The resources of an open graph, and its steps that are context managers themselves.

    Parameters
    ----------
    graph
        The graph's name.
    factories
        Name → what makes the resource: a context manager, plain or async, a coroutine, or anything else.
    """

    def __init__(self, graph: str, factories: Mapping[str, Callable[[], Any]]) -> None:
        self.graph = graph
        self.values: dict[str, Any] = {}
        self.getters = {name: self._getter(name) for name in factories}
        self._factories = factories
        self._owners: list[tuple[str, Any]] = []
        self._ways: list[_Way] = []

    def own(self, name: str, step: Any) -> None:
        """Open a step, too, when the graph starts."""
        self._owners.append((name, step))

    def start(self) -> None:
        """Open everything, resources first; async ones on the background loop.

        Raises
        ------
        OpeningFailed
            One of them could not be opened; those before it are closed again.
        """
        try:
            for what, make, keep in self._all():
                with _told(self.graph, what):
                    keep(self._entered(make()))
        except BaseException:
            self.close()
            raise

    async def start_async(self) -> None:
        """Open everything, resources first, on the running loop.

        Raises
        ------
        OpeningFailed
            One of them could not be opened; those before it are closed again.
        """
        try:
            for what, make, keep in self._all():
                with _told(self.graph, what):
                    keep(await self._entered_here(make()))
        except BaseException:
            await self.close_async()
            raise

    def close(self) -> None:
        """Close everything, in the reverse order; also if closing one fails."""
        ways, self._ways = self._ways, []
        with ExitStack() as stack:
            for way in ways:
                stack.callback(_leave, way)

    async def close_async(self) -> None:
        """Close everything, in the reverse order, those that were opened on the running loop there."""
        ways, self._ways = self._ways, []
        async with AsyncExitStack() as stack:
            for way in ways:
                stack.push_async_callback(_leave_async, way)

    def _all(self) -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], None]]]:
        for name, factory in self._factories.items():
            yield f"the resource {name!r}", factory, lambda value, name=name: self.values.__setitem__(name, value)  # type: ignore[misc]
        for name, step in self._owners:
            what = "" if getattr(step, "tells_where", False) else f"the step {name!r}"
            yield what, lambda step=step: step, lambda value: None  # type: ignore[misc]

    def _entered(self, value: Any) -> Any:
        if not hasattr(value, "__aenter__") and _is_awaitable(value):
            value = run_in_background(_awaited(value))
        if hasattr(value, "__aenter__") and not getattr(value, "enters_either_way", False):
            entered = run_in_background(value.__aenter__())
            self._ways.append(_Way(lambda: value.__aexit__(None, None, None), is_async=True))
            return entered
        return self._entered_plain(value)

    async def _entered_here(self, value: Any) -> Any:
        if not hasattr(value, "__aenter__") and _is_awaitable(value):
            value = await value
        if hasattr(value, "__aenter__"):
            entered = await value.__aenter__()
            loop = asyncio.get_running_loop()
            self._ways.append(_Way(lambda: value.__aexit__(None, None, None), is_async=True, loop=loop))
            return entered
        return self._entered_plain(value)

    def _entered_plain(self, value: Any) -> Any:
        if not hasattr(value, "__enter__"):
            return value
        entered = value.__enter__()
        self._ways.append(_Way(lambda: value.__exit__(None, None, None)))
        return entered

    def _getter(self, name: str) -> Callable[[], Any]:
        def get() -> Any:
            if name not in self.values:
                rule = f"the resource {name!r} is not open yet while steps are built, nor after the graph is closed"
                raise GraphInvalid(self.graph, rule, mend="Ask for it in do, or in __enter__.")
            return self.values[name]

        return get


class _told:  # noqa: N801 (it is used like a function)
    """Turns what a block raises into `OpeningFailed`, unless what is opened tells that itself."""

    def __init__(self, graph: str, what: str) -> None:
        self._graph, self._what = graph, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and (self._what or not isinstance(error, ModelyardError)):
            raise OpeningFailed(self._graph, self._what, error) from error


def _is_awaitable(value: Any) -> bool:
    return inspect.isawaitable(value)


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _leave(way: _Way) -> None:
    if not way.is_async:
        way.leave()
    elif way.loop is not None and way.loop.is_running():
        if way.loop is running_loop():
            raise RuntimeError("opened on this event loop: close it with close_async")
        asyncio.run_coroutine_threadsafe(_awaited(way.leave()), way.loop).result()
    else:
        run_in_background(_awaited(way.leave()))


async def _leave_async(way: _Way) -> None:
    if way.is_async and way.loop is asyncio.get_running_loop():
        await way.leave()
    else:
        await asyncio.to_thread(_leave, way)


class _Closable(Protocol):
    def close(self) -> None:
        """Close it; a second time does nothing."""
        ...


_OPEN: WeakSet[Any] = WeakSet()


def close_at_exit(plan: _Closable) -> None:
    """Close a plan, that nobody else closes, when the interpreter ends."""
    _OPEN.add(plan)


@atexit.register
def _close_all() -> None:
    with ExitStack() as stack:  # whatever goes wrong with one, the others are closed
        for plan in list(_OPEN):
            stack.callback(plan.close)
