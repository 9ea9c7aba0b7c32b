import asyncio
import json
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest
from local_service import LocalService, local_service

from modelyard.errors import ErrorKind
from modelyard.graphs import Event, Graph, GraphInvalid, Plan, Resources, StepFailed
from modelyard.graphs.background import run_in_background
from modelyard.graphs.steps import HttpCall


@pytest.fixture(scope="module")
def service() -> Iterator[LocalService]:
    with local_service() as running:
        yield running


def calling(service: LocalService, **arguments: Any) -> Graph:
    graph = Graph("g")
    graph.to(HttpCall, name="ask", **{"url": service.url, "back_off": 0.001, **arguments}).respond()
    return graph


def asked(plan: Plan, body: Any, **more: Any) -> Any:
    return run_in_background(plan.settle_async(Event(body, **more)))


def answer(service: LocalService, body: Any, **arguments: Any) -> Any:
    with calling(service, **arguments).open() as plan:
        return asked(plan, body)


def refused(service: LocalService, body: Any, **arguments: Any) -> StepFailed:
    with calling(service, **arguments).open() as plan, pytest.raises(StepFailed) as caught:
        asked(plan, body)
    return caught.value


def test_the_whole_body_is_sent_and_the_json_of_the_reply_is_the_answer(service: LocalService) -> None:
    assert answer(service, {"x": [1, None]}, path="/echo") == {
        "method": "POST",
        "path": "/echo",
        "query": {},
        "body": {"x": [1, None]},
    }
    assert answer(service, {"x": 1}, path="/echo", method="GET")["body"] is None


def test_templates_fill_path_query_headers_and_body(service: LocalService) -> None:
    reply = answer(
        service,
        {"user": {"id": "../a/b?c"}, "rows": [1, 2], "n": 7},
        path="/echo/{user.id}/x",
        query={"n": "{n}", "q": "a&b={n}"},
        headers={"X-Number": "no {n}"},
        json={"rows": "{rows}", "note": "n={n}", "fixed": [True, "{n}"]},
    )
    assert reply["path"] == "/echo/..%2Fa%2Fb%3Fc/x"
    assert reply["query"] == {"n": "7", "q": "a&b=7"}
    assert reply["body"] == {"rows": [1, 2], "note": "n=7", "fixed": [True, 7]}
    assert service.requests[-1]["headers"]["x-number"] == "no 7"


@pytest.mark.parametrize("wrong", [None, {"a": 1}, [1], ""])
def test_what_has_no_place_in_an_address_is_refused_and_not_sent(service: LocalService, wrong: Any) -> None:
    sent = len(service.requests)
    error = refused(service, {"id": wrong}, path="/echo/{id}", method="DELETE")
    assert (type(error.cause).__name__, error.outcome.http) == ("FieldUnfit", 422)
    assert len(service.requests) == sent


def test_truth_values_are_written_as_json_writes_them(service: LocalService) -> None:
    reply = answer(service, {"late": True}, path="/echo", query={"late": "{late}"})
    assert reply["query"] == {"late": "true"}


def test_a_body_cannot_lead_elsewhere(service: LocalService) -> None:
    assert answer(service, {"id": ".."}, path="/echo/{id}/x")["path"] == "/echo/%2E%2E/x"
    assert answer(service, {"id": "@evil:80/"}, path="/{id}")["path"] == "/%40evil%3A80%2F"
    error = refused(service, {"id": "x\r\nx-evil: 1"}, headers={"x-id": "{id}"})
    assert (error.outcome.http, "headers.x-id: must be printable ASCII" in str(error)) == (422, True)
    assert refused(service, {}, path="/moved", attempts=1).facts["status"] == 302
    assert answer(service, {"id": "{secret.__class__}"}, path="/echo", json={"id": "{id}"})["body"] == {
        "id": "{secret.__class__}"
    }


def test_the_events_id_goes_along(service: LocalService) -> None:
    with calling(service, path="/echo").open() as plan:
        asked(plan, {}, id="event-7")
    assert service.requests[-1]["headers"]["x-request-id"] == "event-7"


def test_secrets_are_asked_for_by_name_and_never_told(service: LocalService) -> None:
    class Secrets:
        def secret(self, name: str) -> str:
            return {"API_TOKEN": "s3cr3t"}[name]

    graph = calling(service, path="/status/500", secrets={"Authorization": "Bearer {API_TOKEN}"}, attempts=1)
    assert "s3cr3t" not in str(graph.to_spec())
    with graph.open(Resources(secrets=Secrets())) as plan, pytest.raises(StepFailed) as caught:
        asked(plan, {})
    assert service.requests[-1]["headers"]["authorization"] == "Bearer s3cr3t"
    assert "s3cr3t" not in f"{caught.value} {caught.value.facts}"
    with pytest.raises(GraphInvalid, match="must name a secret in braces"):
        calling(service, secrets={"authorization": "Bearer"}).open()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ErrorKind.INVALID),
        (401, ErrorKind.DENIED),
        (403, ErrorKind.DENIED),
        (404, ErrorKind.NOT_FOUND),
        (408, ErrorKind.TIMEOUT),
        (409, ErrorKind.CONFLICT),
        (418, ErrorKind.INVALID),
        (429, ErrorKind.EXHAUSTED),
        (500, ErrorKind.UNAVAILABLE),
        (504, ErrorKind.TIMEOUT),
    ],
)
def test_a_status_that_says_no_is_told_as_such(service: LocalService, status: int, kind: ErrorKind) -> None:
    error = refused(service, {}, path=f"/status/{status}", attempts=1)
    assert (error.error_kind, error.facts["status"]) == (kind, status)
    assert f'POST {service.url}/status/{status}: the reply has the status {status}: {{"said": "no"}}' in str(error)


def test_a_status_can_mean_an_answer(service: LocalService) -> None:
    assert answer(service, {}, path="/status/404", statuses={"404": {"known": False}}) == {"known": False}
    assert answer(service, {}, path="/status/404", statuses={"404": None}) is None


def test_what_fails_for_a_while_is_tried_again(service: LocalService) -> None:
    assert answer(service, {}, path="/flaky/2/a") == {"tries": 3}
    error = refused(service, {}, path="/flaky/2/b", attempts=2)
    assert "the reply has the status 503" in str(error)
    assert "(tried 2 times)" in str(error)
    assert service.tries["/flaky/2/b"] == 2
    refused(service, {}, path="/flaky/2/c", retry_on=[])
    assert service.tries["/flaky/2/c"] == 1


def test_a_slow_or_missing_service(service: LocalService) -> None:
    begin = perf_counter()
    error = refused(service, {}, path="/slow/120", seconds=0.05, attempts=2)
    assert perf_counter() - begin < 40
    assert (error.error_kind, error.outcome.http) == (ErrorKind.TIMEOUT, 504)
    assert "there was no reply within 0.05 s (tried 2 times)" in str(error)
    error = refused(service, {}, url="http://127.0.0.1:9", attempts=2)
    assert (error.error_kind, error.facts["attempts"]) == (ErrorKind.UNAVAILABLE, 2)


def test_connections_are_kept(service: LocalService) -> None:
    before = service.connections
    with calling(service, path="/echo").open() as plan:
        for _ in range(5):
            asked(plan, {})

        async def here() -> None:
            await plan.run_async(Event({}))

        asyncio.run(here())  # another loop, the same connection
        asyncio.run(here())
    assert service.connections == before + 1


def test_a_list_is_asked_in_parallel_and_answered_in_order(service: LocalService) -> None:
    with calling(service, each=True, path="/meet/4/{s}", method="GET", parallel=4).open() as plan:
        seconds = [0.2, 0.01, 0.2, 0.1]
        assert asked(plan, [{"s": each} for each in seconds]) == [{"slept": each} for each in seconds]
        assert asked(plan, []) == []
    before = service.connections
    answer(service, [{"s": 0.01}] * 6, each=True, path="/slow/{s}", parallel=2)
    assert service.connections - before <= 2
    error = refused(service, [{"s": 0}, {"s": "x/../../status/404"}], each=True, path="/status/{s}", attempts=1)
    assert isinstance(error, StepFailed)
    assert refused(service, {}, each=True).outcome.http == 422


def test_other_forms_of_answers(service: LocalService) -> None:
    assert answer(service, {}, path="/text", answer="text") == "plain words"
    error = refused(service, {}, path="/text")
    assert (error.outcome.http, "the reply is no JSON" in str(error)) == (503, True)
    whole = answer(service, {}, path="/text", answer="whole")
    assert (whole["status"], whole["headers"]["content-type"], whole["body"]) == (200, "text/plain", "plain words")
    assert answer(service, {}, path="/echo", answer="whole")["body"]["path"] == "/echo"


def test_the_answer_goes_into_the_body(service: LocalService) -> None:
    graph = Graph("g")
    graph.to(
        HttpCall, url=service.url, path="/echo/{id}", method="GET", input_path="user", result_path="more"
    ).respond()
    with graph.open() as plan:
        reply = asked(plan, {"user": {"id": 7}, "x": 1})
    assert reply == {"user": {"id": 7}, "x": 1, "more": {"method": "GET", "path": "/echo/7", "query": {}, "body": None}}
    assert json.dumps(graph.to_spec().steps[0].arguments) == json.dumps(
        {"url": service.url, "path": "/echo/{id}", "method": "GET"}
    )


def test_a_request_that_is_given_up_is_cancelled(service: LocalService) -> None:
    async def main(plan: Plan) -> float:
        begin = perf_counter()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await plan.run_async(Event({}))
        return perf_counter() - begin

    with calling(service, path="/slow/120").open() as plan:
        assert asyncio.run(main(plan)) < 40
