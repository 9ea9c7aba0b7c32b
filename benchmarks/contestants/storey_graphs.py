"""storey, the stream engine under MLRun: request and reply through `emit` with an awaited result."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from protocol import INPUTS, Case, answer
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


def _emitting(flow: Callable[[], list[Any]]) -> Case:
    async def send(numbers: Iterable[int]) -> list[Any]:
        controller = build_flow(flow()).run()
        replies = [await controller.emit(number, await_result=True) for number in numbers]
        await controller.terminate()
        await controller.await_termination()
        return replies

    def run(count: int) -> None:
        asyncio.run(send(range(count)))

    return Case(run, lambda: asyncio.run(send(INPUTS)))


def _chain() -> list[Any]:
    return [AsyncEmitSource(), Map(add), Map(double), Map(subtract), Complete()]


def _branch() -> list[Any]:
    source, join, end = AsyncEmitSource(), Join(), Complete()
    ways = [Map(add), Map(double), Map(subtract)]
    for way in ways:
        way.to(join)
    join.to(end)
    return [source, *([way] for way in ways)]


answer({"async chain": lambda: _emitting(_chain), "branch": lambda: _emitting(_branch)})
