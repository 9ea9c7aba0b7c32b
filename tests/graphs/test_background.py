"""Background loops: one for each purpose and process, whoever asks first."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelyard.graphs.background import background_loop, run_in_background


def test_who_asks_first_at_the_same_time_gets_the_same_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    together, made = threading.Barrier(2), asyncio.new_event_loop

    def slowly() -> asyncio.AbstractEventLoop:
        together.wait(60)
        return made()

    monkeypatch.setattr(asyncio, "new_event_loop", slowly)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(background_loop, ["probe-of-tests"] * 2)

    assert first is second
    assert [each.name for each in threading.enumerate()].count("modelyard-probe-of-tests") == 1


def test_each_purpose_has_a_loop_of_its_own() -> None:
    async def name_of_thread() -> str:
        return threading.current_thread().name

    assert run_in_background(name_of_thread()) == "modelyard-graph-steps"
    work = asyncio.run_coroutine_threadsafe(name_of_thread(), background_loop("probe-of-others"))
    assert work.result(60) == "modelyard-probe-of-others"
