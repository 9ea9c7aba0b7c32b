import asyncio
import os
import threading
import time
from typing import Any

import pytest
from probe_hazards import kill

from modelyard.errors import ErrorKind
from modelyard.graphs import (
    CircuitBreaker,
    CircuitOpen,
    Event,
    Fallback,
    Graph,
    StepFailed,
    StepTimeout,
    ValueMismatch,
    WorkerLost,
    breaker,
)


class Flaky:
    """Fails so many times, then works."""

    def __init__(self, failures: int, error: type[Exception] = ConnectionError) -> None:
        self.left, self.calls, self.error = failures, 0, error

    def do(self, body: Any) -> Any:
        self.calls += 1
        if self.left > 0:
            self.left -= 1
            raise self.error("down")
        return body


def cause_of(graph: Graph, body: Any = 1) -> BaseException | None:
    with pytest.raises(StepFailed) as caught:
        graph.test(body)
    return caught.value.__cause__


def one(step: Any, **settings: Any) -> Graph:
    graph = Graph("g")
    graph.to(step, name="s", **settings)
    return graph


def test_retries_until_it_works_and_only_on_what_qualifies() -> None:
    flaky = Flaky(2)
    assert one(flaky, retries={"attempts": 3, "base": 0.001}).test(7) == 7
    assert flaky.calls == 3
    flaky = Flaky(9)
    assert isinstance(cause_of(one(flaky, retries={"attempts": 4, "base": 0.0})), ConnectionError)
    assert flaky.calls == 4
    flaky = Flaky(9, KeyError)
    assert isinstance(cause_of(one(flaky, retries={"on": ["ConnectionError"], "base": 0.0})), KeyError)
    assert flaky.calls == 1


def test_an_awaited_step_is_retried() -> None:
    flaky = Flaky(1)

    async def later(body: Any) -> Any:
        return flaky.do(body)

    assert one(later, retries={"attempts": 2, "base": 0.0}).test(3) == 3


def test_a_fallback_is_a_value_or_a_step() -> None:
    assert one(Flaky(9), fallback={"late": None}).test(1) == {"late": None}
    assert one(Flaky(9), fallback=lambda body: body * 2).test(4) == 8
    assert one(Flaky(9), fallback=Fallback(use="operator:neg"), retries={"base": 0.0}).test(4) == -4


def test_a_circuit_opens_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(breaker, "monotonic", lambda: now)
    flaky = Flaky(3)
    graph = one(flaky, circuit_breaker=CircuitBreaker(failures=3, seconds=0.05))
    for _ in range(3):
        assert isinstance(cause_of(graph), ConnectionError)
    error = cause_of(graph)
    assert isinstance(error, CircuitOpen)
    assert error.outcome.http == 503
    assert "the step kept failing: ConnectionError: down" in str(error)
    assert flaky.calls == 3
    now += 0.04
    assert isinstance(cause_of(graph), CircuitOpen)
    now += 0.02
    assert graph.test(5) == 5
    assert flaky.calls == 4
    flaky.left = 1
    assert isinstance(cause_of(graph), ConnectionError)
    assert graph.test(6) == 6


def test_a_circuit_opens_by_rate() -> None:
    results = iter([True, False, True, False])

    def step(body: Any) -> Any:
        if not next(results):
            raise ConnectionError
        return body

    graph = one(step, circuit_breaker={"failures": 99, "rate": 0.5, "window": 4, "seconds": 60})
    for expected in (True, False, True, False):
        assert (graph.test(1) == 1) if expected else isinstance(cause_of(graph), ConnectionError)
    assert isinstance(cause_of(graph), CircuitOpen)


def test_results_are_cached_by_key_for_a_time_up_to_a_number() -> None:
    counter = Flaky(0)
    graph = one(counter, cache={"key": "id", "size": 2})
    first = graph.test({"id": 1, "x": []})
    first["x"].append("changed by whoever got it")
    assert graph.test({"id": 1, "x": [5]}) == {"id": 1, "x": []}
    assert counter.calls == 1
    graph.test({"id": 2})
    graph.test({"id": 3})
    graph.test({"id": 1})
    assert counter.calls == 4
    counter = Flaky(0)
    graph = one(counter, cache={"seconds": 0.001})
    graph.test(1)
    time.sleep(0.005)
    graph.test(1)
    assert (graph.test(1), graph.test(1.0), graph.test(True)) == (1, 1.0, True)
    assert counter.calls >= 4


def test_a_condition_passes_a_step_by() -> None:
    graph = one(lambda body: {**body, "done": True}, condition="vip")
    assert graph.test({"vip": True}) == {"vip": True, "done": True}
    assert graph.test({"vip": False}) == {"vip": False}
    assert graph.test({}) == {}
    assert one(lambda body: -body, condition=lambda body: body > 3).test(2) == 2


def test_paths_take_a_part_and_put_the_result_back() -> None:
    graph = one(sum, input_path="a.row", result_path="b.sum")
    body = {"a": {"row": [1, 2]}, "b": {"old": 0}, "c": 1}
    assert graph.test(body) == {"a": {"row": [1, 2]}, "b": {"old": 0, "sum": 3}, "c": 1}
    assert body["b"] == {"old": 0}
    with pytest.raises(StepFailed, match=r"the body has no 'a\.row': 'row' is missing\. Found: x") as caught:
        graph.test({"a": {"x": 1}})
    assert caught.value.error_kind is ErrorKind.INVALID


def test_a_type_is_checked_at_run_time_if_asked() -> None:
    def double(number: int) -> int:
        return 2 * number

    graph = one(double, validate=True)
    assert graph.test(4) == 8
    error = cause_of(graph, "four")
    assert isinstance(error, ValueMismatch)
    assert str(error) == "Expected `int`, got `str`."


def test_max_in_flight_bounds_how_many_are_inside() -> None:
    inside = most = 0

    async def step(body: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.002)
        inside -= 1
        return body

    graph = one(step, max_in_flight=2)

    async def run() -> list[Any]:
        return await asyncio.gather(*(graph.run(number) for number in range(8)))

    assert asyncio.run(run()) == list(range(8))
    assert most == 2


def test_a_coroutine_is_cancelled_at_its_timeout() -> None:
    seen = []

    async def step(body: Any) -> Any:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    error = cause_of(one(step, timeout=0.01))
    assert isinstance(error, StepTimeout)
    assert error.outcome.http == 504
    assert seen == ["cancelled"]


def test_a_thread_is_abandoned_at_its_timeout_and_others_go_on() -> None:
    gate = threading.Event()

    def step(body: Any) -> Any:
        if body == "slow":
            gate.wait(60)
        return threading.current_thread().name

    graph = one(step, concurrency="thread", timeout=1.0)  # enough for a thread to begin, however busy the machine is
    assert isinstance(cause_of(graph, "slow"), StepTimeout)
    assert graph.test("fast") == "modelyard-step"
    gate.set()


@pytest.mark.parametrize("concurrency", ["process", "dedicated"])
def test_a_process_that_dies_or_hangs_takes_only_its_event_along(concurrency: str) -> None:
    with one(kill, concurrency=concurrency, timeout=3.0).open() as plan:

        async def run(bodies: list[str]) -> list[Any]:
            work = (plan.run_async(Event(body)) for body in bodies)
            return await asyncio.gather(*work, return_exceptions=True)

        first, dead, bad = asyncio.run(run(["ok", "die", "bad"]))
        assert first != os.getpid()
        assert isinstance(dead.__cause__, WorkerLost)
        assert dead.outcome.http == 503
        assert isinstance(bad.__cause__, ValueError)
        hung, later = asyncio.run(run(["hang", "ok"]))
        assert isinstance(hung.__cause__, StepTimeout)
        assert "was killed" in str(hung)
        assert isinstance(later, int | StepFailed)
        assert isinstance(asyncio.run(run(["ok"]))[0], int)


def test_a_deadline_is_checked_between_steps_and_bounds_what_is_awaited() -> None:
    started = []

    async def slow(body: Any) -> Any:
        started.append("slow")
        await asyncio.sleep(30)

    graph = Graph("g")
    graph.to(slow).to(lambda body: started.append("next"), name="next")
    with pytest.raises(StepFailed, match=r"step slow, .*the event's deadline passed") as caught:
        graph.open().interpret(Event(1, deadline=time.monotonic() + 0.5))
    assert caught.value.error_kind is ErrorKind.TIMEOUT
    with pytest.raises(StepFailed, match="deadline passed"):
        graph.open().interpret(Event(1, deadline=time.monotonic() - 1))
    assert started == ["slow"]


def test_a_cancelled_request_starts_no_further_step() -> None:
    started: list[str] = []

    async def scenario(branch: bool) -> None:
        inside = asyncio.Event()

        async def first(body: Any) -> Any:
            started.append("first")
            inside.set()
            await asyncio.sleep(30)

        graph = Graph("g")
        step = graph.to(first)
        if branch:
            step = step.merge(graph.to(lambda body: body, name="other"))
        step.to(lambda body: started.append("next"), name="next")
        task = asyncio.ensure_future(graph.run(1))
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for branch in (False, True):
        started.clear()
        asyncio.run(scenario(branch))
        assert started == ["first"]
