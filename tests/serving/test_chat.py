"""Chat completions, asked for by OpenAI's own client."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openai
import pytest

from modelyard.graphs import Context, Graph
from modelyard.serving.local import LocalServer

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def polite(body: dict[str, Any], context: Context) -> Any:
    last = body["messages"][-1]["content"]
    if last == "crash":
        raise RuntimeError("no")
    if last == "busy":
        return context.response("come back later", status=429, headers={})
    if last == "wrong":
        return 3
    if last == "tools":
        call = {"id": "c1", "type": "function", "function": {"name": "fly", "arguments": "{}"}}
        return {"content": None, "tool_calls": [call], "finish_reason": "tool_calls"}
    return {"content": f"You said {last} at {body.get('temperature')}.", "usage": USAGE}


async def wordy(body: dict[str, Any]) -> AsyncIterator[Any]:
    for word in body["messages"][-1]["content"].split():
        if word == "crash":
            raise RuntimeError("no")
        yield f"{word} "
    yield {"finish_reason": "length", "usage": USAGE}


def is_polite(body: dict[str, Any]) -> bool:
    return bool(body["messages"][-1]["content"] != "damn")


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    graph = Graph("chat").chat("polite-1", owner="us")
    graph.filter(is_polite).to(polite)
    with (
        LocalServer(graph.open()) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def streaming() -> Iterator[openai.OpenAI]:
    graph = Graph("words").chat("wordy-1")
    graph.to(wordy)
    with (
        LocalServer(graph.open()) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


def asked(client: openai.OpenAI, text: str, model: str = "polite-1", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def test_a_completion_is_the_graphs_reply(client: openai.OpenAI) -> None:
    completion = asked(client, "hello", temperature=0.5)
    assert completion.choices[0].message.content == "You said hello at 0.5."
    assert (completion.choices[0].finish_reason, completion.model, completion.object) == (
        "stop",
        "polite-1",
        "chat.completion",
    )
    assert completion.id.startswith("chatcmpl-")
    assert completion.usage.total_tokens == 5


def test_tools_are_handed_on(client: openai.OpenAI) -> None:
    choice = asked(client, "tools").choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert choice.message.tool_calls[0].function.name == "fly"


def test_what_is_filtered_out_says_so(client: openai.OpenAI) -> None:
    choice = asked(client, "damn").choices[0]
    assert (choice.finish_reason, choice.message.content) == ("content_filter", None)


def test_one_reply_streams_as_one_piece(client: openai.OpenAI) -> None:
    pieces = [piece.choices[0] for piece in asked(client, "hello", stream=True)]
    assert [each.delta.content for each in pieces] == ["", "You said hello at None.", None]
    assert [each.finish_reason for each in pieces] == [None, None, "stop"]


def test_replies_stream_as_they_come(streaming: openai.OpenAI) -> None:
    told = asked(streaming, "one two", "wordy-1", stream=True, stream_options={"include_usage": True})
    pieces = list(told)
    assert [each.delta.content for piece in pieces for each in piece.choices] == ["", "one ", "two ", None]
    assert pieces[-2].choices[0].finish_reason == "length"
    assert (pieces[-1].choices, pieces[-1].usage.total_tokens) == ([], 5)
    whole = asked(streaming, "one two", "wordy-1")
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("one two ", "length")


def test_the_stream_ends_as_clients_expect(streaming: openai.OpenAI) -> None:
    body = {"model": "wordy-1", "messages": [{"role": "user", "content": "one"}], "stream": True}
    answer = httpx.post(f"{streaming.base_url}chat/completions", json=body)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.endswith("data: [DONE]\n\n")
    assert "usage" not in answer.text


def test_a_stream_that_breaks_says_so(streaming: openai.OpenAI) -> None:
    pieces = iter(asked(streaming, "one crash", "wordy-1", stream=True))
    assert [next(pieces).choices[0].delta.content for _ in range(2)] == ["", "one "]
    with pytest.raises(openai.APIError, match="the step raised RuntimeError: no"):
        next(pieces)
    with pytest.raises(openai.InternalServerError):  # before the first piece there is a status
        asked(streaming, "crash", "wordy-1", stream=True)


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    assert [(each.id, each.owned_by) for each in client.models.list()] == [("polite-1", "us")]
    assert client.models.retrieve("polite-1").id == "polite-1"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


@pytest.mark.parametrize(
    ("text", "more", "kind", "status", "code", "message"),
    [
        (
            "hello",
            {"model": "gpt"},
            openai.NotFoundError,
            404,
            "model_not_found",
            "no model is called 'gpt'. Served: polite-1.",
        ),
        ("crash", {}, openai.InternalServerError, 500, None, "the step raised RuntimeError: no"),
        (
            "wrong",
            {},
            openai.InternalServerError,
            500,
            None,
            "a chat's reply is a text, or a mapping with content, not int",
        ),
        ("busy", {}, openai.RateLimitError, 429, "rate_limit_exceeded", "come back later"),
        ("hello", {"n": 2}, openai.BadRequestError, 400, None, "the server makes one choice, not n=2"),
    ],
)
def test_errors_are_the_ones_that_clients_know(
    client: openai.OpenAI,
    text: str,
    more: dict[str, Any],
    kind: type[openai.APIStatusError],
    status: int,
    code: str | None,
    message: str,
) -> None:
    with pytest.raises(kind) as caught:
        asked(client, text, **more)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert message in str(caught.value)
    assert caught.value.type == ("server_error" if status >= 500 else "invalid_request_error")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"model": "polite-1"}',
        b'{"model": "polite-1", "messages": []}',
        b'{"model": "polite-1", "messages": [{}]}',
    ],
)
def test_what_is_no_chat_is_refused(client: openai.OpenAI, body: bytes) -> None:
    answer = httpx.post(f"{client.base_url}chat/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("the body is not a request for a chat completion: ")
    assert httpx.get(f"{client.base_url}chat/completions").status_code == 405
