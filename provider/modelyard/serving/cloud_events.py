"""CloudEvents over HTTP, binary, structured and in batches, as events of a graph; the reply is one or a batch, too."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from modelyard.graphs import Event
from modelyard.graphs.errors import LibraryMissing
from modelyard.serving.errors import RequestMalformed, RowsExceeded
from modelyard.serving.event_ids import EVENT_ID, is_event_id
from modelyard.serving.replies import Reply
from modelyard.serving.requests import Request
from modelyard.serving.unreadable import UNREADABLE

__all__ = [
    "BATCH",
    "ERROR_TYPE",
    "REPLY_TYPE",
    "is_cloud_event",
    "read_cloud_batch",
    "read_cloud_event",
    "written_cloud_batch",
    "written_cloud_event",
]

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
REPLY_TYPE, ERROR_TYPE = "io.modelyard.reply", "io.modelyard.error"
_OWN = ("id", "source", "type", "specversion", "time", "datacontenttype", "dataschema")
_MEND = "Send the attributes id, source, type and specversion as ce- headers, or a structured event."


def is_cloud_event(request: Request) -> bool:
    """Whether a request says that it is a CloudEvent, in either mode, or a batch of them."""
    return "ce-specversion" in request.headers or request.media_type in (STRUCTURED, BATCH)


def read_cloud_event(request: Request, raw: bytes) -> Event:
    """Return the event in a CloudEvent.

    Its id and time are those of the event; the extension ``partitionkey``, or the subject, is its key. Source, type,
    subject and the extensions are its metadata.

    Parameters
    ----------
    request
        What came before the body.
    raw
        The body.

    Raises
    ------
    RequestMalformed
        It is none: an attribute is missing or wrong, or its data is not JSON though it says so.
    """
    headers = dict(request.headers)
    there: Any = {name.removeprefix("ce-") for name in headers if name.startswith("ce-")}
    if "ce-specversion" not in headers:
        there = _decoded(raw)
    return _event(request, headers, raw, there)


def read_cloud_batch(request: Request, raw: bytes, limit: int) -> list[Event]:
    """Return the events in a batch of CloudEvents.

    Parameters
    ----------
    request
        What came before the body.
    raw
        The body.
    limit
        The most events.

    Raises
    ------
    RowsExceeded
        There are more.
    RequestMalformed
        It is no list, or one of them is no CloudEvent: nobody could tell whose answer is whose.
    """
    listed = _decoded(raw)
    if not isinstance(listed, list):
        raise RequestMalformed("it is no list", form="a batch of CloudEvents", mend=_MEND)
    if len(listed) > limit:
        raise RowsExceeded(len(listed), limit)
    headers = {"content-type": STRUCTURED}
    return [
        _event(request, headers, msgspec.json.encode(each), each, f"a batch of CloudEvents (event {index})")
        for index, each in enumerate(listed)
    ]


def _event(request: Request, headers: Mapping[str, str], raw: bytes, there: Any, form: str = "a CloudEvent") -> Event:
    """Return one event; `there` has the names of its attributes."""
    try:
        from cloudevents.core.bindings.http import HTTPMessage, from_http_event
        from cloudevents.core.exceptions import BaseCloudEventException
    except ModuleNotFoundError as error:
        raise LibraryMissing("cloudevents", "a CloudEvent", "serving") from error
    # libraries make an id up, and then no retry is known as one
    missing = [name for name in ("id", "source", "type") if not isinstance(there, set | dict) or name not in there]
    if missing:
        raise RequestMalformed(f"it has no {' and no '.join(missing)}", form=form, mend=_MEND)
    try:
        read: Any = from_http_event(HTTPMessage(dict(headers), raw))
    except (BaseCloudEventException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RequestMalformed(" ".join(str(error).split()), form=form, mend=_MEND) from None
    if not is_event_id(str(read.get_id())):
        raise RequestMalformed(f"its id is {EVENT_ID}, not {read.get_id()!r:.80}", form=form, mend=_MEND)
    attributes = dict(read.get_attributes())
    time = read.get_time()
    key = attributes.get("partitionkey") or attributes.get("subject")
    return Event(
        read.get_data(),
        id=str(read.get_id()),
        key=None if key is None else str(key),
        path=request.path,
        method=request.method,
        headers=request.headers,
        content_type=read.get_datacontenttype() or "application/json",
        timestamp=None if time is None else time.timestamp(),
        metadata={
            "source": read.get_source(),
            "type": read.get_type(),
            **{name: value for name, value in attributes.items() if name not in _OWN},
        },
        deadline=request.deadline,
    )


def _decoded(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE as error:
        raise RequestMalformed(str(error), form="a CloudEvent", mend=_MEND) from None


def written_cloud_event(reply: Reply, event: Event, graph: str) -> Reply:
    """Return a reply with the attributes of a CloudEvent in binary mode; a failure or no content stays as it is."""
    if reply.status >= 300 or reply.status == 204:
        return reply
    told = (
        (b"ce-specversion", "1.0"),
        (b"ce-id", f"{event.id}-reply"),
        (b"ce-source", f"/graphs/{graph}"),
        (b"ce-type", REPLY_TYPE),
    )
    fields = tuple((name, text.encode("ascii", "replace")) for name, text in told)
    return reply._replace(headers=(*reply.headers, *fields))


def written_cloud_batch(answers: Iterable[tuple[Event, Reply]], graph: str) -> Reply:
    """Return the answers to a batch as a batch, one event for each in the same order.

    A failure is an event of the type `ERROR_TYPE` with the error as its data and its status as an extension; an event
    that the graph filtered out has an answer without data.

    Parameters
    ----------
    answers
        What was asked, and what it would have got alone.
    graph
        Who answers.
    """
    told, failed = list[Mapping[str, Any]](), 0
    for event, reply in answers:
        bad = reply.status >= 400
        failed += bad
        kind = {"type": ERROR_TYPE, "status": reply.status} if bad else {"type": REPLY_TYPE}
        own = {"specversion": "1.0", "id": f"{event.id}-reply", "source": f"/graphs/{graph}", **kind}
        told.append({**own, **_data(reply)})
    headers = ((b"x-rows-failed", str(failed).encode()),) if failed else ()
    return Reply(200, msgspec.json.encode(told), headers, content_type=BATCH.encode())


def _data(reply: Reply) -> dict[str, Any]:
    if not reply.has_body:
        return {}
    kind = reply.content_type.decode("latin-1")
    if "json" in kind:
        return {"datacontenttype": kind, "data": msgspec.Raw(reply.body)}
    try:
        return {"datacontenttype": kind, "data": reply.body.decode()}
    except UnicodeDecodeError:
        return {"datacontenttype": kind, "data_base64": b64encode(reply.body).decode()}
