"""The Open Inference Protocol over HTTP: its paths below ``/v2``, its bodies, its errors."""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
import orjson

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.serving.errors import HttpRefusal, MethodNotAllowed, PathNotFound, RequestMalformed
from modelyard.serving.inference.messages import (
    LENGTH_HEADER,
    InferenceRequest,
    InferenceResponse,
    read_request,
    write_response,
)
from modelyard.serving.inference.service import FAILED_PARAMETER, InferenceService, ModelMetadata
from modelyard.serving.replies import FAILED, Reply, Streamed, error_reply
from modelyard.serving.requests import Request
from modelyard.serving.unreadable import UNREADABLE

__all__ = ["InferenceFront"]

_LOG = logging.getLogger("modelyard.serving.inference")
_EMPTY = Reply(200, b"")
_OCTETS = b"application/octet-stream"
_EVENTS = b"text/event-stream"
_LENGTH = LENGTH_HEADER.encode()
_MOST_KEPT = 1024


class InferenceFront:
    """Answers the protocol's requests; the ones that are none of its own it leaves to others.

    Parameters
    ----------
    service
        Who knows the answers.
    fallback
        Answers ``POST`` requests for a model whose body holds no tensors: rows, as web clients send them.
    """

    def __init__(self, service: InferenceService, fallback: Callable[[Request, Any], Any] | None = None) -> None:
        self._service = service
        self._fallback = fallback
        self._inferences: dict[str, tuple[str, str]] = {}

    def answer(self, request: Request) -> Coroutine[Any, Any, Reply | Streamed]:
        """Return what waits for the answer to a request below ``/v2``; errors in the protocol's own form.

        Parameters
        ----------
        request
            Its path begins with ``/v2``.
        """
        known = self._inferences.get(request.path)
        return self._answer(request) if known is None else self._infer(request, *known)

    async def _answer(self, request: Request) -> Reply | Streamed:
        try:
            return await self._found(request)
        except Exception as error:  # noqa: BLE001 (a client gets JSON, whatever happens)
            return protocol_error(error, request)

    async def _found(self, request: Request) -> Reply | Streamed:
        match request.segments[1:]:
            case []:
                return _get(request, lambda: self._service.server()._asdict())
            case ["health", "live"]:
                return _probe(request, True)
            case ["health", "ready"]:
                return _probe(request, self._service.ready())
            case ["repository", "index"]:
                return await self._index(request)
            case ["repository", "models", name, "load" | "unload" as action]:
                return await self._repository(request, name, action)
            case ["statistics"]:
                raise MethodNotAllowed(request.method, request.path, "GET, HEAD")
            case ["models"]:
                return _get(request, lambda: {"models": [each.name for each in self._service.index(ready=False)]})
            case ["models", name, "versions", version, *rest]:
                return await self._model(request, name, version, rest)
            case ["models", name, *rest]:
                return await self._model(request, name, "", rest)
        raise PathNotFound(request.path)

    async def _model(self, request: Request, name: str, version: str, rest: list[str]) -> Reply | Streamed:
        match rest:
            case [] if request.method in ("GET", "HEAD"):
                return _get(request, lambda: _described(self._service.model(name, version)))
            case ["ready"]:
                return _probe(request, self._service.model_ready(name, version))
            case ["infer"]:
                return await self._infer(request, name, version)
            case ["infer_stream"]:
                return await self._stream(request, name, version)
        self._service.model_ready(name, version)  # who is not there has no operations
        if request.method == "POST" and self._fallback is not None:
            answered: Reply | Streamed = await self._fallback(request, None)
            return answered
        if rest:
            raise PathNotFound(request.path)
        raise MethodNotAllowed(request.method, request.path, "GET, HEAD")

    async def _infer(self, request: Request, name: str, version: str) -> Reply | Streamed:
        # The hot path: each coroutine between the server and the model costs time, so it looks after its errors itself
        try:
            _only(request, "POST")
            raw = await request.body()
            length = request.header(_LENGTH)
            try:
                asked = _identified(read_request(raw, length), request)
            except HttpRefusal:
                if self._fallback is None or length or _has_tensors(raw):
                    raise
                self._service.model_ready(name, version)
                answered: Reply | Streamed = await self._fallback(request, raw)
                return answered
            response = await self._service.infer(name, version, asked, request)
            if len(self._inferences) < _MOST_KEPT:  # paths come from outside: what is kept has a bound
                self._inferences[request.path] = (name, version)
            return _written(response, asked)
        except Exception as error:  # noqa: BLE001 (a client gets JSON, whatever happens)
            return protocol_error(error, request)

    async def _stream(self, request: Request, name: str, version: str) -> Streamed:
        _only(request, "POST")
        asked = _identified(read_request(await request.body(), request.header(_LENGTH)), request)
        self._service.model_ready(name, version)
        request.path = request.path.rstrip("/").removesuffix("_stream")  # to the graph it is a prediction
        answers = self._service.stream(name, version, asked, request)
        return Streamed(_events(answers, asked, request), content_type=_EVENTS)

    async def _index(self, request: Request) -> Reply:
        _only(request, "POST")
        ready = _object(await request.body()).get("ready", False)
        if not isinstance(ready, bool):
            raise RequestMalformed("ready is true or false", form="a repository request", mend="Send {} or nothing.")
        states = [each._asdict() for each in self._service.index(ready=ready)]
        return Reply(200, orjson.dumps(states))

    async def _repository(self, request: Request, name: str, action: str) -> Reply:
        _only(request, "POST")
        parameters = _object(await request.body()).get("parameters", {})
        if not isinstance(parameters, dict):
            raise RequestMalformed("parameters is an object", form="a repository request", mend="Send {} or nothing.")
        if action == "load":
            await self._service.load(name, parameters)
        else:
            await self._service.unload(name)
        return _EMPTY


def protocol_error(error: Exception, request: Request) -> Reply:
    """Return an error as the protocol has it: its text under ``error``, and what modelyard adds under ``details``."""
    reply = error_reply(error)
    if reply.status >= 500:
        known = isinstance(error, ModelyardError) and error.error_kind is not ErrorKind.INTERNAL
        _LOG.log(logging.WARNING if known else logging.ERROR, "%s %s", request.method, request.path, exc_info=error)
    details = orjson.loads(reply.body)["error"]
    text = str(error) if isinstance(error, ModelyardError) else details["message"]
    return reply._replace(body=orjson.dumps({"error": text, "details": details}))


def _identified(asked: InferenceRequest, request: Request) -> InferenceRequest:
    if asked.id:
        return asked
    return asked._replace(id=request.name) if request.header(b"x-request-id") else asked


def _written(response: InferenceResponse, asked: InferenceRequest) -> Reply:
    body, length = write_response(response, asked)
    failed = response.parameters.get(FAILED_PARAMETER, "") if response.parameters else ""
    headers = ((FAILED, failed.encode()),) if failed else ()
    if not length:
        return Reply(200, body, headers)
    return Reply(200, body, ((_LENGTH, str(length).encode()), *headers), content_type=_OCTETS)


async def _events(
    answers: AsyncIterator[InferenceResponse], asked: InferenceRequest, request: Request
) -> AsyncIterator[bytes]:
    """Yield server-sent events; an error after the first one is an event of its own, and the last."""
    plain = asked._replace(outputs=(), parameters={})
    try:
        async for answer in answers:
            yield b"data: " + write_response(answer, plain)[0] + b"\n\n"
    except Exception as error:  # noqa: BLE001 (the status went out long ago)
        yield b"event: error\ndata: " + protocol_error(error, request).body + b"\n\n"


def _has_tensors(raw: bytes) -> bool:
    """Whether a body is meant as the protocol's: an object whose inputs are described one by one."""
    try:
        body = msgspec.json.decode(raw)
    except UNREADABLE:
        return False
    if not isinstance(body, dict) or "inputs" not in body:
        return False
    inputs = body["inputs"]
    return not isinstance(inputs, list) or not inputs or (isinstance(inputs[0], dict) and "datatype" in inputs[0])


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw) if raw else {}
    except UNREADABLE as error:
        raise RequestMalformed(str(error)) from None
    if not isinstance(body, dict):
        raise RequestMalformed("it is an object", form="a repository request", mend="Send {} or nothing.")
    return body


def _described(model: ModelMetadata) -> dict[str, Any]:
    return {
        **model._asdict(),
        "inputs": [each._asdict() for each in model.inputs],
        "outputs": [each._asdict() for each in model.outputs],
    }


def _get(request: Request, tell: Callable[[], Any]) -> Reply:
    _only(request, "GET", "HEAD")
    return Reply(200, orjson.dumps(tell()))


def _probe(request: Request, said: bool) -> Reply:
    _only(request, "GET", "HEAD")
    name = request.segments[-1]
    return Reply(200 if said else 503, orjson.dumps({name: said}))


def _only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(request.method, request.path, ", ".join(methods))
