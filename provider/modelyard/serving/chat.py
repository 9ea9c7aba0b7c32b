"""Chat completions as OpenAI's clients ask for them, answered by a graph."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from random import getrandbits
from time import time
from typing import Any, NamedTuple

import msgspec
import orjson

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs import Chat, Response
from modelyard.serving.errors import HttpRefusal, MethodNotAllowed, PathNotFound, ReplyInvalid, RequestMalformed
from modelyard.serving.events import EventFront
from modelyard.serving.limits import Admission
from modelyard.serving.replies import Reply, Streamed, encode, error_reply
from modelyard.serving.requests import Request
from modelyard.serving.unreadable import UNREADABLE

__all__ = ["COMPLETIONS", "MODELS", "ChatFront", "ChatModelUnknown", "ChatRefused"]

COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/models"
_LOG = logging.getLogger("modelyard.serving.chat")
_SIDES = ("refusal", "tool_calls", "annotations")
"""What a reply may say besides its content; it goes into the message as it is."""
_CODES = {429: "rate_limit_exceeded", 404: "not_found"}


class ChatModelUnknown(HttpRefusal):
    """Raised when a client asks for a model that the graph is not called."""

    kind = ErrorKind.NOT_FOUND
    status = 404

    def __init__(self, model: str, known: str) -> None:
        super().__init__(f"no model is called {model!r:.80}", mend=f"Served: {known}.", facts={"model": model})


class ChatRefused(HttpRefusal):
    """Raised when the graph answered with a `Response` whose status says no."""

    def __init__(self, response: Response) -> None:
        told = response.body if isinstance(response.body, str) else encode(response.body).decode()
        super().__init__(told)
        self._code = response.status

    @property
    def code(self) -> int:
        """The status that the graph gave."""
        return self._code


class _Asked(msgspec.Struct):
    model: str
    messages: list[dict[str, Any]]
    stream: bool | None = None
    n: int | None = None
    stream_options: dict[str, Any] | None = None


class _Said(NamedTuple):
    """One reply, or one piece of it."""

    content: str | None = None
    finish: str = ""
    usage: Mapping[str, Any] | None = None
    sides: Mapping[str, Any] = {}


class ChatFront:
    """Makes an event of each chat request, and a completion of the graph's reply.

    Parameters
    ----------
    chat
        What the graph declares.
    events
        Who runs the events.
    admission
        Who is let in.
    """

    def __init__(self, chat: Chat, events: EventFront, admission: Admission) -> None:
        self._chat = chat
        self._events = events
        self._admission = admission
        self._since = int(time())

    async def answer(self, request: Request) -> Reply | Streamed:
        """Return the response to a request for a completion, or for the models; errors in OpenAI's form."""
        try:
            if request.path == COMPLETIONS:
                _only(request, "POST")
                async with self._admission:
                    return await self._completion(request)
            _only(request, "GET", "HEAD")
            return Reply(200, encode(self._models(request.path)))
        except Exception as error:  # noqa: BLE001 (a client gets JSON, whatever happens)
            return chat_error(error, request)

    def _models(self, path: str) -> dict[str, Any]:
        told = {"id": self._chat.model, "object": "model", "created": self._since, "owned_by": self._chat.owner}
        if path == MODELS:
            return {"object": "list", "data": [told]}
        asked = path.removeprefix(f"{MODELS}/")
        if asked != self._chat.model:
            raise ChatModelUnknown(asked, self._chat.model)
        return told

    async def _completion(self, request: Request) -> Reply | Streamed:
        body, asked = _read(await request.body())
        if asked.model != self._chat.model:
            raise ChatModelUnknown(asked.model, self._chat.model)
        head = {"id": f"chatcmpl-{getrandbits(96):024x}", "created": int(time()), "model": self._chat.model}
        if asked.stream:
            return await self._streamed(body, asked, head, request)
        event, reply = await self._events.ask(body, request)
        if event.status == 204 and reply is None:
            said = _Said(None, "content_filter")
        else:
            said = _joined([self._said(each) for each in (reply if self._events.plan.streams else [reply])])
        message = {"role": "assistant", "content": said.content, "refusal": None, **said.sides}
        choice = {"index": 0, "message": message, "finish_reason": said.finish or "stop", "logprobs": None}
        completion = {**head, "object": "chat.completion", "choices": [choice]}
        return Reply(200, encode(completion | ({"usage": said.usage} if said.usage else {})))

    async def _streamed(self, body: Any, asked: _Asked, head: Mapping[str, Any], request: Request) -> Streamed:
        replies = self._events.stream(body, request)
        begun = list[_Said]()
        # the first piece is waited for, so that what goes wrong before it has a status of its own
        with suppress(StopAsyncIteration):
            begun.append(self._said(await anext(replies)))
        head = {**head, "object": "chat.completion.chunk"}
        with_usage = bool((asked.stream_options or {}).get("include_usage"))
        pieces = self._pieces(begun, replies, head, request, with_usage=with_usage)
        return Streamed(pieces, content_type=b"text/event-stream")

    async def _pieces(
        self,
        begun: list[_Said],
        replies: AsyncIterator[Any],
        head: Mapping[str, Any],
        request: Request,
        *,
        with_usage: bool,
    ) -> AsyncIterator[bytes]:
        finish, usage = "stop" if begun else "content_filter", None
        yield _chunk(head, {"role": "assistant", "content": ""})
        try:
            async for said in _chained(begun, replies, self._said):
                finish, usage = said.finish or finish, said.usage or usage
                if said.content or said.sides:
                    yield _chunk(head, {**({"content": said.content} if said.content else {}), **said.sides})
        except Exception as error:  # noqa: BLE001 (the status went out long ago)
            yield b"data: " + chat_error(error, request).body + b"\n\n"
            return
        yield _chunk(head, {}, finish)
        if with_usage and usage:
            yield b"data: " + encode({**head, "choices": [], "usage": usage}) + b"\n\n"
        yield b"data: [DONE]\n\n"

    def _said(self, reply: Any) -> _Said:
        if isinstance(reply, Response):
            if reply.status >= 400:
                raise ChatRefused(reply)
            reply = reply.body
        if isinstance(reply, str):
            return _Said(reply)
        if not isinstance(reply, Mapping) or not isinstance(reply.get("content", ""), str | None):
            told = f"a chat's reply is a text, or a mapping with content, not {type(reply).__name__}"
            raise ReplyInvalid(self._events.plan.graph, "", told)
        sides = {name: reply[name] for name in _SIDES if name in reply}
        return _Said(reply.get("content"), str(reply.get("finish_reason") or ""), reply.get("usage"), sides)


async def _chained(begun: list[_Said], replies: AsyncIterator[Any], read: Any) -> AsyncIterator[_Said]:
    for each in begun:
        yield each
    async for reply in replies:
        yield read(reply)


def _joined(parts: list[_Said]) -> _Said:
    texts = [each.content for each in parts if each.content is not None]
    sides = {name: value for each in parts for name, value in each.sides.items()}
    finish = next((each.finish for each in reversed(parts) if each.finish), "")
    usage = next((each.usage for each in reversed(parts) if each.usage), None)
    return _Said("".join(texts) if texts else None, finish, usage, sides)


def _chunk(head: Mapping[str, Any], delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return b"data: " + encode({**head, "choices": [choice]}) + b"\n\n"


def _read(raw: bytes) -> tuple[Any, _Asked]:
    form, mend = "a request for a chat completion", "Send model and messages, each with its role."
    try:
        body = msgspec.json.decode(raw)
        asked = msgspec.convert(body, _Asked)
    except UNREADABLE as error:
        raise RequestMalformed(str(error), form=form, mend=mend) from None
    if not asked.messages or not all(isinstance(each.get("role"), str) for each in asked.messages):
        raise RequestMalformed("messages is a list of at least one message with its role", form=form, mend=mend)
    if asked.n not in (None, 1):
        raise RequestMalformed(f"the server makes one choice, not n={asked.n}", form=form, mend="Leave n out.")
    return body, asked


def chat_error(error: Exception, request: Request) -> Reply:
    """Return an error as OpenAI's clients read it.

    Parameters
    ----------
    error
        What went wrong.
    request
        For the log.
    """
    reply = error_reply(error)
    if reply.status >= 500:
        _LOG.log(logging.ERROR, "%s %s", request.method, request.path, exc_info=error)
    text = str(error) if isinstance(error, ModelyardError) else orjson.loads(reply.body)["error"]["message"]
    kind = "server_error" if reply.status >= 500 else "invalid_request_error"
    code = "model_not_found" if isinstance(error, ChatModelUnknown) else _CODES.get(reply.status)
    param = "model" if isinstance(error, ChatModelUnknown) else None
    told = {"message": text, "type": kind, "param": param, "code": code}
    return reply._replace(body=encode({"error": told}))


def _only(request: Request, *methods: str) -> None:
    if request.path not in (MODELS, COMPLETIONS) and not request.path.startswith(f"{MODELS}/"):
        raise PathNotFound(request.path)
    if request.method not in methods:
        raise MethodNotAllowed(request.method, request.path, ", ".join(methods))
