"""What a worker does for its supervisor, without the supervisor: the messages are what counts."""

import asyncio
import json
from threading import Event
from typing import Any, ClassVar

import pytest

from modelyard.errors import ErrorKind, ErrorRecord, ForeignError
from modelyard.graphs import EventInvalid, Graph
from modelyard.graphs.models import Model
from modelyard.serving.access import Access
from modelyard.serving.application import Application
from modelyard.serving.control import Call, Report, Told
from modelyard.serving.relay import Relay, ask_here


class Counting(Model):
    """Knows how often models of its kind were loaded; the third one fails."""

    loads = 0
    number = 0
    closed: ClassVar[list[int]] = []

    def load(self) -> None:
        type(self).loads += 1
        if type(self).loads == 3:
            raise EventInvalid("is the third", field="load")
        self.number = type(self).loads

    def predict(self, inputs: Any) -> Any:
        return self.number

    def close(self) -> None:
        if self.number:
            self.closed.append(self.number)


@pytest.fixture
def application() -> Application:
    Counting.loads = 0
    Counting.closed.clear()
    graph = Graph("counting")
    graph.model("count", Counting)
    access = Access({"infer": ["correct-horse-battery"]})
    return Application(graph.open(), access=access)


def test_a_request_without_a_connection_is_answered_without_a_token(application: Application) -> None:
    call = Call(7, "ask", method="POST", target="/a%20b?x=1", headers=(("x-request-id", "e1"),), body=b"{}")
    told = asyncio.run(ask_here(application, call))
    assert (told.id, told.status, told.body) == (7, 200, b"1")
    assert dict(told.headers)["content-type"] == "application/json"
    gone = asyncio.run(ask_here(application, Call(8, "ask", target="/none")))
    assert (gone.status, json.loads(gone.body)["error"]["type"]) == (404, "PathNotFound")


async def done(relay: Relay, sent: "asyncio.Queue[Report]", call: Call) -> Told:
    relay.begin(call)
    told = (await asyncio.wait_for(sent.get(), 60)).told
    assert told is not None
    return told


async def said(application: Application) -> bytes:
    return (await ask_here(application, Call(0, "ask", method="POST", body=b"{}"))).body


def test_a_model_is_prepared_and_serves_when_the_supervisor_says_so(application: Application) -> None:
    async def scene() -> None:
        sent = asyncio.Queue[Report]()
        relay = Relay(application, sent.put_nowait)
        assert await done(relay, sent, Call(1, "prepare", "count", ticket=5)) == Told(1)
        assert await said(application) == b"1"
        assert await done(relay, sent, Call(2, "serve", "count", ticket=5)) == Told(2)
        assert await said(application) == b"2"
        failed = await done(relay, sent, Call(3, "prepare", "count", ticket=6))
        assert failed.error is not None
        assert "is the third" in failed.error.message
        assert await done(relay, sent, Call(4, "drop", "count", ticket=6)) == Told(4)
        unknown = await done(relay, sent, Call(5, "prepare", "other", ticket=7))
        assert unknown.error is not None
        assert unknown.error.kind is ErrorKind.NOT_FOUND
        assert (await done(relay, sent, Call(6, "serve", "count", ticket=6))).error is not None
        assert await said(application) == b"2"

    asyncio.run(scene())


def test_what_is_tried_is_loaded_anew_with_what_answers_or_none_of_them_is(application: Application) -> None:
    graph = Graph("counting")
    graph.model("count", Counting)
    tried = Application(graph.open())

    async def scene() -> None:
        sent = asyncio.Queue[Report]()
        relay = Relay(application, sent.put_nowait, lambda: tried)
        assert (await said(application), await said(tried)) == (b"1", b"2")
        refused = await done(relay, sent, Call(1, "prepare", "count", ticket=1))  # the first of the two fails
        assert refused.error is not None
        assert await done(relay, sent, Call(2, "prepare", "count", ticket=2)) == Told(2)
        assert (await said(application), await said(tried)) == (b"1", b"2")
        assert await done(relay, sent, Call(3, "serve", "count", ticket=2)) == Told(3)
        assert (await said(application), await said(tried)) == (b"4", b"5")
        assert await done(relay, sent, Call(4, "prepare", "count", ticket=3)) == Told(4)
        assert await done(relay, sent, Call(5, "drop", "count", ticket=3)) == Told(5)
        assert await done(relay, sent, Call(6, "prepare", "count", ticket=4)) == Told(6)
        relay.end()
        assert (await said(application), await said(tried)) == (b"4", b"5")

    asyncio.run(scene())
    assert sorted(Counting.closed) == [1, 2, 6, 7, 8, 9]


def test_what_nobody_waits_for_any_more_is_dropped_when_it_is_ready(application: Application) -> None:
    begun, go = Event(), Event()

    class Slow(Counting):
        def load(self) -> None:
            super().load()
            if type(self).loads > 1:
                begun.set()
                assert go.wait(60)

    Slow.loads = 0
    graph = Graph("counting")
    graph.model("count", Slow)
    slow = Application(graph.open())

    async def scene() -> None:
        sent = asyncio.Queue[Report]()
        relay = Relay(slow, sent.put_nowait)
        relay.begin(Call(1, "prepare", "count", ticket=1))
        assert await asyncio.to_thread(begun.wait, 60)
        assert await done(relay, sent, Call(2, "drop", "count", ticket=1)) == Told(2)
        go.set()
        assert (await asyncio.wait_for(sent.get(), 60)).told == Told(1)
        assert (await done(relay, sent, Call(3, "serve", "count", ticket=1))).error is not None
        assert await said(slow) == b"1"

    asyncio.run(scene())


def test_who_has_all_workers_load_waits_for_what_became_of_it(application: Application) -> None:
    async def scene() -> list[Any]:
        sent = asyncio.Queue[Report]()
        relay = Relay(application, sent.put_nowait)
        application.service.relay = relay.load
        asked = [asyncio.ensure_future(application.service.load("count", {"version": ""})) for _ in range(3)]
        reports = [await asyncio.wait_for(sent.get(), 20) for _ in range(3)]
        calls = [report.call for report in reports if report.call]
        assert [(call.action, call.model) for call in calls] == [("load", "count")] * 3
        refused = ErrorRecord("ReloadIncomplete", ErrorKind.CONFLICT, "1 of 2 workers did not")
        relay.settle(Told(calls[1].id, refused))
        relay.settle(Told(calls[0].id))
        relay.settle(Told(99))  # of a call that nobody waits for any more
        relay.end()
        return await asyncio.gather(*asked, return_exceptions=True)

    well, incomplete, ending = asyncio.run(scene())
    assert well is None
    assert isinstance(incomplete, ForeignError)
    assert (str(incomplete), incomplete.error_kind) == ("1 of 2 workers did not.", ErrorKind.CONFLICT)
    assert isinstance(ending, ForeignError)
    assert (str(ending), ending.error_kind) == ("the worker ends. Ask again.", ErrorKind.UNAVAILABLE)
