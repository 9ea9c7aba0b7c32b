"""Writes replies and errors as JSON."""

from typing import Any, NamedTuple

import msgspec
import orjson

from modelyard.errors import ErrorKind, ModelyardError, outcome_of
from modelyard.graphs import StepFailed
from modelyard.serving.errors import HttpRefusal, MethodNotAllowed

__all__ = ["Reply", "encode", "error_reply"]


class Reply(NamedTuple):
    """A whole HTTP response."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    close: bool = False


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
        return orjson.dumps(value, msgspec.to_builtins, orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        # keys that are no text are rare, and asking for them slows every reply down
        return orjson.dumps(value, msgspec.to_builtins, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


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
    status = error.status if isinstance(error, HttpRefusal) else error.outcome.http
    headers = ((b"allow", error.allowed.encode()),) if isinstance(error, MethodNotAllowed) else ()
    return Reply(status, encode({"error": body}), headers, close=status == 413)
