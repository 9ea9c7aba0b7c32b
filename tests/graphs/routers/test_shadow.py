"""Shadows: copies that nobody waits for."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from modelyard.graphs import Event, Graph, GraphInvalid, Resources, StepFailed, shadows
from modelyard.graphs.routers import Shadow


class Notes:
    """A recorder that remembers."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any, Any, Any]] = []

    def record(self, event: Event, step: str, rows: Sequence[Any], answers: Sequence[Any]) -> None:
        self.taken.append((step, list(rows), list(answers), event.metadata["pick"]))


class Sink:
    """Counts what is emitted."""

    def __init__(self) -> None:
        self.emitted: list[tuple[str, float, dict[str, str]]] = []

    def emit(self, name: str, value: float, labels: Any) -> None:
        self.emitted.append((name, value, dict(labels)))


def current(body: Any) -> Any:
    body["x"] += 100
    return {"label": body["x"]}


def following(body: Any) -> Any:
    return {"label": -body["x"]}


async def following_later(body: Any) -> Any:
    await asyncio.sleep(0)
    return {"label": -body["x"]}


def shadowed(shadow: Any, **options: Any) -> Graph:
    graph = Graph("g")
    graph.router(Shadow, name="pick", routes={"main": current, "next": shadow}, champion="main", **options)
    return graph


@pytest.mark.parametrize("shadow", [following, following_later, {"use": following, "concurrency": "thread"}])
def test_both_answers_are_recorded_with_their_roles_and_the_reply_is_the_champions(shadow: Any) -> None:
    notes = Notes()
    graph = shadowed(shadow)
    assert graph.test({"x": 1}, resources=Resources(recorder=notes)) == {"label": 101}
    assert notes.taken == [
        ("pick.main", [{"x": 1}], [{"label": 101}], {"route": "main", "role": "champion"}),
        ("pick.next", [{"x": 1}], [{"label": -1}], {"route": "next", "role": "shadow"}),
    ]


def test_several_rows_are_recorded_as_rows() -> None:
    notes = Notes()
    graph = Graph("g")
    routes = {"main": lambda rows: [row + 1 for row in rows], "next": lambda rows: [row - 1 for row in rows]}
    graph.router(Shadow, name="pick", routes=routes, champion="main")
    assert graph.test([1, 2], resources=Resources(recorder=notes)) == [2, 3]
    assert [(step, rows, answers) for step, rows, answers, _ in notes.taken] == [
        ("pick.main", [1, 2], [2, 3]),
        ("pick.next", [1, 2], [0, 1]),
    ]


def test_the_reply_does_not_wait_for_a_shadow_that_hangs() -> None:
    go_on = threading.Event()

    def hanging(body: Any) -> Any:
        assert go_on.wait(60)

    plan = shadowed(hanging).open()
    assert plan.run(Event({"x": 1})) == {"label": 101}
    go_on.set()
    plan.close()


def test_an_awaited_reply_does_not_wait_either() -> None:
    async def ask() -> list[str]:
        order: list[str] = []
        go_on = asyncio.Event()

        async def hanging(body: Any) -> Any:
            await go_on.wait()
            order.append("shadow")

        plan = shadowed(hanging).open()
        assert await plan.run_async(Event({"x": 1})) == {"label": 101}
        order.append("reply")
        go_on.set()
        await plan.drain()
        plan.close()
        return order

    assert asyncio.run(ask()) == ["reply", "shadow"]


def test_a_shadow_that_fails_is_counted_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    sink, notes = Sink(), Notes()
    plan = shadowed(lambda body: 1 / 0).open(Resources(metrics=sink, recorder=notes))
    with caplog.at_level(logging.WARNING, logger="modelyard.graphs"):
        assert plan.run(Event({"x": 1})) == {"label": 101}
        plan.settle()
    shadows: Any = plan.groups["pick"].shadows  # type: ignore[union-attr]
    assert (shadows.failed, shadows.answered, shadows.dropped) == (1, 0, 0)
    assert caplog.messages == ["the shadow pick.next of graph g failed: division by zero"]
    assert sink.emitted == [("shadow_failed", 1.0, {"graph": "g", "step": "pick", "route": "next"})]
    assert [step for step, *_ in notes.taken] == ["pick.main"]
    plan.close()


def test_events_that_find_no_room_are_dropped_and_counted() -> None:
    go_on, begun = threading.Event(), threading.Event()

    def slow(body: Any) -> Any:
        begun.set()
        assert go_on.wait(60)

    sink = Sink()
    plan = shadowed(slow, queue_size=2).open(Resources(metrics=sink))
    for number in range(5):
        assert plan.run(Event({"x": number})) == {"label": number + 100}
    assert begun.wait(60)
    shadows: Any = plan.groups["pick"].shadows  # type: ignore[union-attr]
    assert shadows.dropped == 3
    go_on.set()
    plan.settle()
    assert shadows.answered == 2
    assert [name for name, *_ in sink.emitted] == ["shadow_dropped"] * 3
    plan.close()


def test_a_failing_champion_fails_the_event_and_shadows_still_see_it() -> None:
    notes = Notes()
    graph = Graph("g")
    graph.router(Shadow, name="pick", routes={"main": lambda body: 1 / 0, "next": following}, champion="main")
    ports = Resources(recorder=notes)
    with pytest.raises(StepFailed, match=r"step pick\.main, .* the step raised ZeroDivisionError"):
        graph.test({"x": 1}, resources=ports)
    graph._plan(ports).settle()
    assert [step for step, *_ in notes.taken] == ["pick.next"]


def test_a_recorder_that_fails_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def record(self, event: Event, step: str, rows: Sequence[Any], answers: Sequence[Any]) -> None:
            raise OSError("disk full")

    graph = shadowed(following)
    with caplog.at_level(logging.ERROR, logger="modelyard.graphs"):
        assert graph.test({"x": 1}, resources=Resources(recorder=Broken())) == {"label": 101}
    assert caplog.messages == ["recording pick.main", "recording pick.next"]


def test_a_sink_of_metrics_that_fails_ends_no_shadow(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Sink):
        def emit(self, name: str, value: float, labels: Any) -> None:
            raise OSError("the sink is gone")

    def failing(body: Any) -> Any:
        raise ValueError("no")

    with shadowed(failing).open(Resources(metrics=Broken())) as plan:
        assert [plan.run(Event({"x": number})) for number in (1, 2)] == [{"label": 101}, {"label": 102}]
        settled = threading.Thread(target=plan.settle, daemon=True)
        settled.start()
        settled.join(60)
        assert not settled.is_alive()
        pick: Any = plan.queues[0]
        assert pick.failed == 2
    assert caplog.text.count("OSError: the sink is gone") == 2


def test_two_events_that_come_first_at_the_same_time_have_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    together, begun = threading.Barrier(2), list[str]()

    class LateThread(threading.Thread):
        def __init__(self, **given: Any) -> None:
            begun.append(given["name"])
            with suppress(threading.BrokenBarrierError):  # nobody else gets here
                together.wait(0.5)
            super().__init__(**given)

    monkeypatch.setattr(shadows, "Thread", LateThread)
    some = shadows.Shadows("g", "pick", 10, {}, None)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(some.put, [shadows.ShadowJob(Event(body), "main", body, None, ()) for body in (1, 2)]))
    some.join()
    some.close()
    assert begun == ["modelyard-shadows-pick"]


def test_a_share_of_the_events_is_shadowed_by_their_id() -> None:
    seen: list[str] = []
    graph = shadowed(lambda event: seen.append(event.id), share=0.3)
    plan = graph.replacing(**{"pick.next": _Seen(seen)}).open()
    for number in range(1000):
        plan.run(Event({"x": 1}, id=f"e{number}"))
    plan.settle()
    first = list(seen)
    assert len(first) == 306
    for number in range(1000):
        plan.run(Event({"x": 1}, id=f"e{number}"))
    plan.settle()
    assert seen[len(first) :] == first
    plan.close()


class _Seen:
    """Takes down the ids of events."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def do_event(self, event: Event) -> None:
        self._seen.append(event.id)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"champion": "x"}, "champion is a route, 'x' is none: main, next"),
        ({"champion": ""}, "champion is a route: main, next"),
        ({"champion": "main", "share": -0.1}, "share is between 0 and 1, not -0.1"),
        ({"champion": "main", "queue_size": 0}, "queue_size is a whole number from 1, not 0"),
        ({"champion": "main", "queue_size": "8"}, "queue_size is a whole number from 1, not '8'"),
    ],
)
def test_wrong_arguments_are_refused_when_the_graph_opens(options: dict[str, Any], told: str) -> None:
    graph = Graph("g")
    graph.router(Shadow, name="pick", routes={"main": current, "next": following}, **options)
    with pytest.raises(GraphInvalid) as caught:
        graph.open()
    assert (caught.value.what, caught.value.where) == (told, "graph g, step pick")


def test_a_champion_alone_has_no_shadow() -> None:
    graph = Graph("g")
    graph.router(Shadow, routes={"main": current}, champion="main")
    with pytest.raises(GraphInvalid, match="a shadow router has routes besides the champion"):
        graph.open()
