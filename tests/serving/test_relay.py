"""What a worker does for its supervisor, without the supervisor: the messages are what counts."""

import asyncio
import json
from typing import Any

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

    def load(self) -> None:
        type(self).loads += 1
        if type(self).loads == 3:
            raise EventInvalid("is the third", field="load")
        self.number = type(self).loads

    def predict(self, inputs: Any) -> Any:
        return self.number


@pytest.fixture
def application() -> Application:
    Counting.loads = 0
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


def test_a_model_is_loaded_for_the_supervisor_and_a_failure_told(application: Application) -> None:
    async def scene() -> list[Told | None]:
        sent = asyncio.Queue[Report]()
        relay = Relay(application, sent.put_nowait)
        told = []
        for number in (1, 2):
            relay.begin(Call(number, "load", "count"))
            told.append((await asyncio.wait_for(sent.get(), 20)).told)
        return told

    first, second = asyncio.run(scene())
    assert first == Told(1)
    assert second is not None
    assert second.error is not None
    assert "is the third" in second.error.message
    assert asyncio.run(ask_here(application, Call(0, "ask", method="POST", body=b"{}"))).body == b"2"


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
