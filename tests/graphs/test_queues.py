"""Queues: one worker, in the order of the events."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from modelyard.graphs import Event, queues
from modelyard.graphs.queues import EventQueue


def test_two_events_that_come_first_at_the_same_time_have_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2)
    begun, seen = list[str](), list[Any]()

    class LateThread(threading.Thread):
        def __init__(self, **given: Any) -> None:
            begun.append(given["name"])
            with suppress(threading.BrokenBarrierError):  # nobody else gets here
                together.wait(0.5)
            super().__init__(**given)

    monkeypatch.setattr(queues, "Thread", LateThread)
    events = EventQueue("late", 10, 0.0)
    events.work = lambda event: seen.append(event.body)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(events.put, [Event(1), Event(2)]))

    assert begun == ["modelyard-queue-late"]
    events.close()
    assert sorted(seen) == [1, 2]
