"""Wraps what a step asks for around its call, when the graph opens; a step that asks for nothing is called as it is.

From the outside in: condition, input and result path, cache, fallback, circuit breaker, max in flight, retries,
timeout and concurrency, validation, the step.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from modelyard.graphs.bodies import part_of, with_part
from modelyard.graphs.breaker import Breaker
from modelyard.graphs.caching import ResultCache
from modelyard.graphs.calls import StepCall, step_call
from modelyard.graphs.definition import Node
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.event import Event
from modelyard.graphs.failures import PathMissing, StepTimeout, ValueMismatch
from modelyard.graphs.isolation import isolated
from modelyard.graphs.pools import ProcessWorkers, ThreadWorkers, payload_of
from modelyard.graphs.retrying import body_in, exceptions_of, retried, retried_async, spare

__all__ = ["Policies"]

Call = Callable[[Any], Any]
AsyncCall = Callable[[Any], Awaitable[Any]]
_FAILED = (Exception, SystemExit)


class Policies:
    """The wrapping of one plan's steps, and the workers that they share.

    Parameters
    ----------
    graph
        The graph's name.
    threads, processes
        How many workers there are; see `Resources`.
    """

    def __init__(self, graph: str, *, threads: int = 32, processes: int = 0) -> None:
        self.graph = graph
        self.threads = ThreadWorkers(threads)
        self.processes = ProcessWorkers(processes)
        self.breakers: dict[str, Breaker] = {}
        self._dedicated: list[ProcessWorkers] = []

    def close(self) -> None:
        """End the workers."""
        self.threads.close()
        for workers in (self.processes, *self._dedicated):
            workers.close()

    def wrapped(self, node: Node, call: StepCall) -> StepCall:
        """Return the call with everything around it that the node asks for.

        Raises
        ------
        GraphInvalid
            It asks for something that cannot be.
        """
        settings = node.settings
        if settings.validate:
            call = call._replace(function=self._validated(node, call))
        if not settings.wraps:
            return call
        if call.yields:
            raise GraphInvalid(self.graph, "a step that yields has no settings of this kind", step=node.name)
        is_async = call.is_async or settings.concurrency != "inline"
        run = self._placed(node, call)
        if settings.retries:
            run, is_async = self._retrying(node, run, is_async=is_async)
        if settings.max_in_flight:
            run = _limited_async(run, settings.max_in_flight) if is_async else _limited(run, settings.max_in_flight)
        if settings.circuit_breaker:
            breaker = self.breakers[node.name] = Breaker(settings.circuit_breaker)
            run = _broken_async(run, breaker) if is_async else _broken(run, breaker)
        if settings.fallback:
            run, is_async = self._with_fallback(node, run, is_async=is_async, full_event=call.full_event)
        if settings.cache:
            kept = ResultCache(settings.cache)
            run = _cached_async(run, kept) if is_async else _cached(run, kept)
        if settings.input_path or settings.result_path:
            places = (settings.input_path, settings.result_path)
            run = _located_async(run, *places) if is_async else _located(run, *places)
        if settings.condition is not None:
            asked = self._condition(node)
            run = _conditional_async(run, asked) if is_async else _conditional(run, asked)
        return call._replace(function=run, is_async=is_async)

    def _validated(self, node: Node, call: StepCall) -> Call:
        takes, gives, function = call.takes, None if call.yields else call.gives, call.function
        if takes is None and gives is None:
            rule = "validate needs an annotation of what the step takes or gives"
            raise GraphInvalid(self.graph, rule, step=node.name)

        async def validated_async(body: Any) -> Any:
            return _converted(await function(_converted(body, takes, "")), gives, "its result: ")

        if call.is_async and not call.yields:
            return validated_async
        return lambda body: _converted(function(_converted(body, takes, "")), gives, "its result: ")

    def _placed(self, node: Node, call: StepCall) -> Call:
        settings, function = node.settings, call.function
        if call.is_async:
            if settings.concurrency != "inline":
                raise GraphInvalid(self.graph, "a coroutine runs on the event loop: inline", step=node.name)
            return _timed(function, settings.timeout) if settings.timeout else function
        if settings.concurrency == "thread":
            threads, seconds = self.threads, settings.timeout
            return lambda body: threads.call(function, body, seconds)
        if settings.concurrency != "inline":
            return self._in_process(node, call)
        if settings.timeout:
            raise GraphInvalid(
                self.graph,
                "a plain function that runs inline cannot be timed out",
                step=node.name,
                mend='Say concurrency="thread" (it is abandoned) or "process" (it is killed).',
            )
        return function

    def _in_process(self, node: Node, call: StepCall) -> Call:
        workers, seconds = self.processes, node.settings.timeout
        if node.settings.concurrency == "dedicated":
            workers = ProcessWorkers(1)
            self._dedicated.append(workers)
        try:
            use = call.function if node.kind == "model" else node.use
            arguments = {} if node.kind == "model" else node.arguments
            payload = payload_of(use, arguments, full_event=call.full_event)
        except Exception as error:  # noqa: BLE001 (pickle raises whatever it likes)
            raise GraphInvalid(
                self.graph,
                f"the step cannot be sent to a process: {error}",
                step=node.name,
                mend="Make it a function or class at the top of a module.",
            ) from None
        return lambda body: workers.call(payload, body, seconds)

    def _with_fallback(self, node: Node, run: Call, *, is_async: bool, full_event: bool) -> tuple[Call, bool]:
        fallback = node.settings.fallback
        assert fallback is not None  # noqa: S101 (who calls has looked)
        if fallback.use is None:
            other = StepCall(lambda body: isolated(fallback.value))
        else:
            other = step_call(self.graph, f"{node.name} (fallback)", fallback.use, {}, full_event=full_event)
        if not is_async and not other.is_async:
            return _fallen(run, other.function), False

        async def either(body: Any) -> Any:
            again = spare(body)
            try:
                return await run(body) if is_async else run(body)
            except _FAILED:
                result = other.function(again())
                return await result if other.is_async else result

        return either, True

    def _retrying(self, node: Node, run: Call, *, is_async: bool) -> tuple[Call, bool]:
        retry = node.settings.retries
        assert retry is not None  # noqa: S101 (who calls has looked)
        qualify = exceptions_of(self.graph, node.name, retry)
        if is_async:
            return retried_async(run, retry, qualify), True
        if retry.attempts == 1 or not retry.base:
            return retried(run, retry, qualify), False
        return retried_async(_awaitable(run), retry, qualify), True  # no other event waits while this one does

    def _condition(self, node: Node) -> Callable[[Any], bool]:
        condition = node.settings.condition
        if isinstance(condition, str) and ":" not in condition:

            def field(body: Any) -> bool:
                try:
                    return bool(part_of(body, condition))
                except PathMissing:
                    return False

            return field
        call = step_call(self.graph, f"{node.name} (condition)", condition, {}, full_event=False)
        if call.is_async or call.yields:
            raise GraphInvalid(self.graph, "a condition is a plain function", step=node.name)
        return call.function


def _converted(value: Any, kind: Any, what: str) -> Any:
    if kind is None:
        return value
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueMismatch(f"{what}{error}", is_input=not what) from None


def _awaitable(run: Call) -> AsyncCall:
    async def awaited(body: Any) -> Any:
        return run(body)

    return awaited


def _timed(run: AsyncCall, seconds: float) -> AsyncCall:
    async def timed(body: Any) -> Any:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await run(body)
        except TimeoutError:
            if limit.expired():
                raise StepTimeout(seconds, "cancelled") from None
            raise

    return timed


def _limited(run: Call, most: int) -> Call:
    gate = threading.BoundedSemaphore(most)

    def limited(body: Any) -> Any:
        with gate:
            return run(body)

    return limited


def _limited_async(run: AsyncCall, most: int) -> AsyncCall:
    gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def limited(body: Any) -> Any:
        loop = asyncio.get_running_loop()
        gate = gates.get(loop)
        if gate is None:
            gate = gates.setdefault(loop, asyncio.Semaphore(most))
        async with gate:
            return await run(body)

    return limited


def _broken(run: Call, breaker: Breaker) -> Call:
    def broken(body: Any) -> Any:
        breaker.enter()
        try:
            result = run(body)
        except _FAILED as error:
            breaker.failed(error)
            raise
        except BaseException:
            breaker.given_up()
            raise
        breaker.succeeded()
        return result

    return broken


def _broken_async(run: AsyncCall, breaker: Breaker) -> AsyncCall:
    async def broken(body: Any) -> Any:
        breaker.enter()
        try:
            result = await run(body)
        except _FAILED as error:
            breaker.failed(error)
            raise
        except BaseException:
            breaker.given_up()
            raise
        breaker.succeeded()
        return result

    return broken


def _fallen(run: Call, other: Call) -> Call:
    def fallen(body: Any) -> Any:
        again = spare(body)
        try:
            return run(body)
        except _FAILED:
            return other(again())

    return fallen


def _cached(run: Call, kept: ResultCache) -> Call:
    def cached(argument: Any) -> Any:
        key = kept.key(body_in(argument))
        found, result = kept.find(key)
        if not found:
            result = run(argument)
            kept.keep(key, body_in(result))  # on a later event the body goes on, in that event's own envelope
        return result

    return cached


def _cached_async(run: AsyncCall, kept: ResultCache) -> AsyncCall:
    async def cached(argument: Any) -> Any:
        key = kept.key(body_in(argument))
        found, result = kept.find(key)
        if not found:
            result = await run(argument)
            kept.keep(key, body_in(result))  # on a later event the body goes on, in that event's own envelope
        return result

    return cached


def _part(argument: Any, source: str) -> Any:
    """Return the part of a body; of an event, the same event with that part as its body."""
    if not isinstance(argument, Event):
        return part_of(argument, source)
    event = argument.branch(part_of(argument.body, source))
    event.metadata = argument.metadata
    return event


def _located(run: Call, source: str, target: str) -> Call:
    def located(argument: Any) -> Any:
        body = body_in(argument)
        result = run(_part(argument, source) if source else argument)
        return with_part(body, target, body_in(result)) if target else result

    return located


def _located_async(run: AsyncCall, source: str, target: str) -> AsyncCall:
    async def located(argument: Any) -> Any:
        body = body_in(argument)
        result = await run(_part(argument, source) if source else argument)
        return with_part(body, target, body_in(result)) if target else result

    return located


def _conditional(run: Call, asked: Callable[[Any], bool]) -> Call:
    def conditional(argument: Any) -> Any:
        return run(argument) if asked(body_in(argument)) else argument

    return conditional


def _conditional_async(run: AsyncCall, asked: Callable[[Any], bool]) -> AsyncCall:
    async def conditional(argument: Any) -> Any:
        return await run(argument) if asked(body_in(argument)) else argument

    return conditional
