"""CloudEvents over HTTP, binary and structured, as events of a graph; the reply is a CloudEvent, too."""

from typing import Any

import msgspec

from modelyard.graphs import Event
from modelyard.graphs.errors import LibraryMissing
from modelyard.serving.errors import RequestMalformed
from modelyard.serving.event_ids import EVENT_ID, is_event_id
from modelyard.serving.replies import Reply
from modelyard.serving.requests import Request
from modelyard.serving.unreadable import UNREADABLE

__all__ = ["REPLY_TYPE", "is_cloud_event", "read_cloud_event", "written_cloud_event"]

STRUCTURED = "application/cloudevents+json"
REPLY_TYPE = "io.modelyard.reply"
_OWN = ("id", "source", "type", "specversion", "time", "datacontenttype", "dataschema")
_MEND = "Send the attributes id, source, type and specversion as ce- headers, or a structured event."


def is_cloud_event(request: Request) -> bool:
    """Whether a request says that it is a CloudEvent, in either mode."""
    return "ce-specversion" in request.headers or request.media_type == STRUCTURED


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
    try:
        from cloudevents.core.bindings.http import HTTPMessage, from_http_event
        from cloudevents.core.exceptions import BaseCloudEventException
    except ModuleNotFoundError as error:
        raise LibraryMissing("cloudevents", "a CloudEvent", "serving") from error
    _complete(request, raw)
    try:
        read: Any = from_http_event(HTTPMessage(dict(request.headers), raw))
    except (BaseCloudEventException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RequestMalformed(" ".join(str(error).split()), form="a CloudEvent", mend=_MEND) from None
    if not is_event_id(str(read.get_id())):
        raise RequestMalformed(f"its id is {EVENT_ID}, not {read.get_id()!r:.80}", form="a CloudEvent", mend=_MEND)
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


def _complete(request: Request, raw: bytes) -> None:
    """Refuse an event without an id: libraries make one up, and then no retry is known as one."""
    if "ce-specversion" in request.headers:
        there: Any = {name.removeprefix("ce-") for name in request.headers if name.startswith("ce-")}
    else:
        try:
            there = msgspec.json.decode(raw)
        except UNREADABLE as error:
            raise RequestMalformed(str(error), form="a CloudEvent", mend=_MEND) from None
    missing = [name for name in ("id", "source", "type") if name not in there]
    if missing:
        raise RequestMalformed(f"it has no {' and no '.join(missing)}", form="a CloudEvent", mend=_MEND)


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
