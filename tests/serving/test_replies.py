"""What a step may say about its HTTP response: status, headers, and a body that is no JSON."""

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from modelyard.graphs import Context, Event, EventInvalid, Graph, Response
from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.ensembles import Mean
from modelyard.serving.local import LocalServer
from modelyard.serving.replies import encode


def asked(graph: Graph, body: Any = None) -> httpx.Response:
    with LocalServer(graph.open()) as server:
        return httpx.post(server.url, json=body)


def replying(answer: Any) -> Graph:
    graph = Graph("g")
    graph.to(lambda body: answer, name="answer")
    return graph


def test_a_response_has_its_status_and_headers() -> None:
    answer = asked(replying(Response({"id": 7}, 201, {"Location": "/flights/7"})))
    assert (answer.status_code, answer.json(), answer.headers["location"]) == (201, {"id": 7}, "/flights/7")
    assert answer.headers.get_list("content-type") == ["application/json"]


@pytest.mark.parametrize(
    ("body", "content_type", "sent"),
    [
        ("id;late\n7;yes\n", "text/csv", b"id;late\n7;yes\n"),
        ("größer", "text/plain; charset=utf-8", "größer".encode()),
        (b"\x89PNG", "image/png", b"\x89PNG"),
        ({"title": "no"}, "application/problem+json", b'{"title":"no"}'),
        ("text", "application/json", b'"text"'),
    ],
)
def test_a_content_type_of_its_own_replaces_json(body: Any, content_type: str, sent: bytes) -> None:
    answer = asked(replying(Response(body, headers={"Content-Type": content_type})))
    assert (answer.content, answer.headers.get_list("content-type")) == (sent, [content_type])


@pytest.mark.parametrize("answer", [Response(None, 204), Response({"dropped": True}, 204), Response(None, 304)])
def test_a_status_without_a_body_has_none(answer: Response) -> None:
    said = asked(replying(answer))
    assert (said.status_code, said.content) == (answer.status, b"")
    assert not {"content-type", "content-length"} & set(said.headers)


def test_a_filtered_event_is_answered_with_204_and_nothing_else() -> None:
    graph = Graph("g")
    graph.filter(lambda body: body > 3, name="large")
    small, large = asked(graph, 2), asked(graph, 5)
    assert (small.status_code, small.content, "content-type" in small.headers) == (204, b"", False)
    assert (large.status_code, large.json()) == (200, 5)


def test_the_status_of_the_event_is_that_of_the_reply() -> None:
    def accept(event: Event) -> Event:
        event.status = 202
        return event

    graph = Graph("g")
    graph.to(accept, full_event=True)
    answer = asked(graph, {"job": 1})
    assert (answer.status_code, answer.json()) == (202, {"job": 1})


def refuse(body: Any) -> Any:
    raise EventInvalid("no flight", field="carrier")


async def refuse_later(body: Any) -> Any:
    raise EventInvalid("no flight", field="carrier")


def explain(event: Event, context: Context) -> Response:
    return context.response({"why": str(event.error), "step": event.origin}, status=422, headers={"x-hint": "see docs"})


async def explain_later(event: Event, context: Context) -> Response:
    return explain(event, context)


@pytest.mark.parametrize("step", [refuse, refuse_later])
@pytest.mark.parametrize("handler", [explain, explain_later])
@pytest.mark.parametrize("whole_graph", [True, False])
@pytest.mark.parametrize("early", [True, False])
def test_an_error_handler_says_status_and_headers(
    step: Callable[..., Any], handler: Callable[..., Any], whole_graph: bool, early: bool
) -> None:
    graph = Graph("g")
    first = graph.to(step, name="check")
    if early:
        first.respond().to(lambda body: body, name="after")
    if whole_graph:
        graph.on_error(handler)
    else:
        first.on_error(handler)
    answer = asked(graph, {})
    assert (answer.status_code, answer.headers["x-hint"]) == (422, "see docs")
    assert answer.json() == {"why": "carrier: no flight.", "step": "check"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Response(1, 99), "a reply's status is a number from 200 to 599, not 99"),
        (Response(1, "200"), "a reply's status is a number from 200 to 599, not '200'"),  # type: ignore[arg-type]
        (Response(1, 200, {"x y": "1"}), "a reply has no header 'x y' of a step's own"),
        (Response(1, 200, {"Content-Length": "1"}), "a reply has no header 'Content-Length' of a step's own"),
        (
            Response(1, 200, {"x-a": "1\r\nset-cookie: a=b"}),
            "the header x-a is one line of Latin text, not '1\\r\\nset-cookie: a=b'",
        ),
        (Response(1, 200, {"x-a": 5}), "the header x-a is one line of Latin text, not 5"),  # type: ignore[dict-item]
    ],
)
def test_what_http_cannot_carry_is_a_defect_of_the_step(answer: Response, message: str) -> None:
    said = asked(replying(answer))
    assert (said.status_code, said.json()["error"]["type"]) == (500, "ResponseInvalid")
    assert said.json()["error"]["message"] == message
    assert "set-cookie" not in said.headers


def test_columns_of_answers_are_written_as_their_mappings() -> None:
    answers = AnswerColumns({"label": np.array(["late", "early"]), "probability": np.array([0.5, np.nan])})
    assert encode(answers) == b'[{"label":"late","probability":0.5},{"label":"early","probability":null}]'
    assert encode({"all": answers, 1: 2}) == (
        b'{"all":[{"label":"late","probability":0.5},{"label":"early","probability":null}],"1":2}'
    )


def broken(body: Any) -> Any:
    raise ValueError("no model today")


def test_a_header_names_the_members_without_which_an_ensemble_answered() -> None:
    graph = Graph("g")
    members = {"a": lambda body: 4.0, "b": broken, "c d,ö": broken, "e": lambda body: 6.0}
    graph.ensemble(Mean, name="mean", members=members, on_member_error="answer")
    answer = asked(graph, {})
    assert (answer.status_code, answer.json()) == (200, 5.0)
    assert answer.headers["x-modelyard-failed"] == "mean.b, mean.c%20d%2C%C3%B6"


def test_no_header_speaks_of_members_where_all_answered() -> None:
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": lambda body: 4.0}, on_member_error="answer")
    answer = asked(graph, {})
    assert (answer.json(), "x-modelyard-failed" in answer.headers) == (4.0, False)
