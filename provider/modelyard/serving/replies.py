"""Writes replies and errors as HTTP responses: as JSON, where a step does not say otherwise."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
import orjson

from modelyard.errors import ErrorKind, ModelyardError, outcome_of
from modelyard.graphs import Event, Response, StepFailed
from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.serving.errors import (
    AccessRefused,
    EncodingUnsupported,
    HttpRefusal,
    MethodNotAllowed,
    Overloaded,
    ReplyInvalid,
    ResponseInvalid,
)

__all__ = ["FAILED", "JSON", "Reply", "Streamed", "encode", "error_reply", "event_reply", "failed_members"]

JSON = b"application/json"
"""The content type of what `encode` returns."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OWN = ("content-length", "transfer-encoding", "connection")
FAILED = b"x-modelyard-failed"
"""The header that names the members without which ensembles answered."""
_EMPTY = (204, 304)
"""Statuses of which HTTP says that they have no body."""


class Reply(NamedTuple):
    """A whole HTTP response."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    close: bool = False
    content_type: bytes = JSON

    @property
    def has_body(self) -> bool:
        """Whether HTTP lets a response of this status have one."""
        return self.status not in _EMPTY

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """All headers, those that describe the body included; a status without a body has none of these."""
        if not self.has_body:
            return [*self.headers]
        length = str(len(self.body)).encode()
        return [(b"content-type", self.content_type), (b"content-length", length), *self.headers]


class Streamed(NamedTuple):
    """An HTTP response whose body comes in pieces.

    Parameters
    ----------
    pieces
        What is sent, piece by piece, each as soon as it is there.
    status, headers, content_type
        As for `Reply`.
    """

    pieces: AsyncIterator[bytes]
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = JSON

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """All headers; the length is not known."""
        return [(b"content-type", self.content_type), (b"cache-control", b"no-cache"), *self.headers]


def encode(value: Any) -> bytes:
    """Return `value` as JSON; NumPy arrays and scalars, dates and structs included, nan as null.

    Raises
    ------
    TypeError
        Something in it has no image in JSON.

    Examples
    --------
    >>> encode({"label": 1, "share": float("nan")})
    b'{"label":1,"share":null}'
    """
    try:
        return orjson.dumps(value, _builtin, orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        # keys that are no text are rare, and asking for them slows every reply down
        return orjson.dumps(value, _builtin, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _builtin(value: Any) -> Any:
    return value.tolist() if isinstance(value, AnswerColumns) else msgspec.to_builtins(value)


def event_reply(graph: str, event: Event, result: Any) -> Reply:
    """Return the response to an event: the graph's reply as JSON, with the status and headers of a `Response`.

    A `Response` with a content type of its own has its text or bytes sent as they are. Where ensembles answered without
    some of their members, the header ``x-modelyard-failed`` names these: ``GROUP.MEMBER``, with commas between.

    Parameters
    ----------
    graph
        The graph's name.
    event
        The event, after the graph has run; its ``status``, if set, is that of the response.
    result
        What the graph replied.

    Raises
    ------
    ReplyInvalid
        The reply has no image in JSON.
    ResponseInvalid
        HTTP has no such status or header.

    Examples
    --------
    >>> reply = event_reply("g", Event(), Response("hello", 201, {"Content-Type": "text/plain"}))
    >>> reply.status, reply.content_type, reply.body
    (201, b'text/plain', b'hello')
    """
    own = result if isinstance(result, Response) else Response(result, event.status or 200)
    if not isinstance(own.status, int) or not 200 <= own.status <= 599:
        raise ResponseInvalid(graph, event.id, f"a reply's status is a number from 200 to 599, not {own.status!r}")
    headers, content_type = list[tuple[bytes, bytes]](), JSON
    if event.metadata and (failed := ", ".join(failed_members(event.metadata))):
        headers.append((FAILED, failed.encode()))
    for name, value in own.headers.items():
        field = _field(graph, event, name, value)
        if field[0] == b"content-type":
            content_type = field[1]
        else:
            headers.append(field)
    if own.status in _EMPTY:
        return Reply(own.status, b"", tuple(headers))
    if content_type != JSON and isinstance(own.body, bytes | str):
        body = own.body.encode() if isinstance(own.body, str) else own.body
        return Reply(own.status, body, tuple(headers), content_type=content_type)
    try:
        return Reply(own.status, encode(own.body), tuple(headers), content_type=content_type)
    except TypeError as error:
        raise ReplyInvalid(graph, event.id, str(error)) from error


def failed_members(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield ``GROUP.MEMBER`` of each member without which an ensemble answered; encoded, as names are any text.

    Parameters
    ----------
    metadata
        An event's, after the graph has run.

    Examples
    --------
    >>> list(failed_members({"vote": {"answered": ["a"], "failed": {"b": "is ill"}}}))
    ['vote.b']
    """
    for group, told in metadata.items():
        failed = told.get("failed") if isinstance(told, dict) and "answered" in told else None
        if isinstance(failed, dict):
            yield from (quote(f"{group}.{member}", safe="") for member in failed)


def _field(graph: str, event: Event, name: object, value: object) -> tuple[bytes, bytes]:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.lower() in _OWN:
        raise ResponseInvalid(graph, event.id, f"a reply has no header {name!r:.60} of a step's own")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise ResponseInvalid(graph, event.id, f"the header {name} is one line of Latin text, not {value!r:.60}")
    return name.lower().encode("latin-1"), value.encode("latin-1")


def error_reply(error: BaseException) -> Reply:
    """Return the reply that tells a client what went wrong; never a traceback.

    Examples
    --------
    >>> from modelyard.serving.errors import BodyTooLarge
    >>> reply = error_reply(BodyTooLarge(8))
    >>> reply.status, reply.close
    (413, True)
    """
    if not isinstance(error, ModelyardError):
        told = {"type": "InternalError", "kind": str(ErrorKind.INTERNAL), "message": "the server failed; see its log"}
        return Reply(outcome_of(ErrorKind.INTERNAL).http, orjson.dumps({"error": told}))
    record = error.record()
    facts = dict(record.facts)
    told = {
        "type": facts.pop("cause", record.type) if isinstance(error, StepFailed) else record.type,
        "kind": str(record.kind),
        "message": record.message,
        "mend": record.mend,
        "graph": facts.pop("graph", ""),
        "step": facts.pop("step", ""),
        "event": facts.pop("event", ""),
    }
    body = {name: value for name, value in told.items() if value}
    if facts:
        body["facts"] = msgspec.to_builtins(facts, enc_hook=str)
    status = error.code if isinstance(error, HttpRefusal) else error.outcome.http
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, EncodingUnsupported):
        headers = ((b"accept-encoding", error.accepted.encode()),)
    elif isinstance(error, MethodNotAllowed):
        headers = ((b"allow", error.allowed.encode()),)
    elif isinstance(error, Overloaded):
        headers = ((b"retry-after", str(error.retry_after).encode()),)
    elif isinstance(error, AccessRefused):
        headers = ((b"www-authenticate", error.challenge.encode()),)
    return Reply(status, encode({"error": body}), headers, close=status in (408, 413))
