"""storey, the stream engine under MLRun: request and reply through `emit` with an awaited result."""

import asyncio
from collections.abc import Callable
from typing import Any

from protocol import answer
from steps import add, double, subtract
from storey import AsyncEmitSource, Complete, Flow, Map, build_flow
from storey.dtypes import _termination_obj


class Join(Flow):  # type: ignore[misc]
    """Waits for three bodies of one event: storey has no step of its own for that, and MLRun's does the same."""

    def __init__(self) -> None:
        super().__init__(full_event=True)
        self._parts: dict[str, list[Any]] = {}

    async def _do(self, event: Any) -> Any:
        if event is _termination_obj:
            return await self._do_downstream(event)
        parts = self._parts.setdefault(event.id, [])
        parts.append(event.body)
        if len(parts) == 3:
            del self._parts[event.id]
            event.body = parts
            return await self._do_downstream(event)
        return None


def _emitting(flow: Callable[[], list[Any]], expected: Callable[[int], Any]) -> Callable[[int], None]:
    async def run(count: int) -> None:
        controller = build_flow(flow()).run()
        for number in range(count):
            reply = await controller.emit(number, await_result=True)
            if number == 20:
                assert reply == expected(number), reply
        await controller.terminate()
        await controller.await_termination()

    return lambda count: asyncio.run(run(count))


def _chain() -> list[Any]:
    return [AsyncEmitSource(), Map(add), Map(double), Map(subtract), Complete()]


def _branch() -> list[Any]:
    source, join, end = AsyncEmitSource(), Join(), Complete()
    ways = [Map(add), Map(double), Map(subtract)]
    for way in ways:
        way.to(join)
    join.to(end)
    return [source, *([way] for way in ways)]


answer(
    {
        "async chain": _emitting(_chain, lambda number: number * 2 - 1),
        "branch": _emitting(_branch, lambda number: [number + 1, number * 2, number - 3]),
    }
)
