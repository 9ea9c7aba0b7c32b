"""The event: what travels through a graph."""

from collections.abc import Mapping
from random import getrandbits
from typing import Any, final

from modelyard.graphs.isolation import isolated

__all__ = ["Event"]


@final
class Event:
    """One request or message on its way through a graph.

    Parameters
    ----------
    body
        What the next step takes.
    id
        Identifies the event in errors and records; made when first asked for, if not given.
    key
        What belongs together: the entity that the event is about.
    path, method, headers, content_type
        How it arrived; header names are lower case.
    timestamp
        When it happened, in seconds since 1970; None if the sender did not say.
    metadata
        What steps want to hand on besides the body.
    deadline
        When the reply is no longer wanted, on the clock of ``time.monotonic()``; no step starts after it.

    Attributes
    ----------
    error
        What went wrong, while an error handler looks at the event.
    origin
        The name of the step that failed.
    status
        The reply's HTTP status, where the graph said one: 204 if the event was filtered out and there is no reply.

    Examples
    --------
    >>> event = Event({"x": 1}, id="a7")
    >>> event.body, event.id, event.path
    ({'x': 1}, 'a7', '/')
    """

    __slots__ = (
        "_id",
        "body",
        "content_type",
        "deadline",
        "error",
        "headers",
        "key",
        "metadata",
        "method",
        "origin",
        "path",
        "status",
        "timestamp",
    )

    def __init__(
        self,
        body: Any = None,
        *,
        id: str = "",  # noqa: A002 (the name that every event system gives it)
        key: str | None = None,
        path: str = "/",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        content_type: str = "",
        timestamp: float | None = None,
        metadata: dict[str, Any] | None = None,
        deadline: float | None = None,
    ) -> None:
        self._id = id
        self.body = body
        self.key = key
        self.path = path
        self.method = method
        self.headers: Mapping[str, str] = headers if headers is not None else {}
        self.content_type = content_type
        self.timestamp = timestamp
        self.metadata: dict[str, Any] = metadata if metadata is not None else {}
        self.deadline = deadline
        self.error: BaseException | None = None
        self.origin = ""
        self.status = 0

    @property
    def id(self) -> str:
        """The event's id; stays the same once asked for."""
        if not self._id:
            self._id = f"{getrandbits(64):016x}"
        return self._id

    def branch(self, body: Any) -> "Event":
        """Return the same event with another body, for one branch; id, headers and deadline are the same.

        Examples
        --------
        >>> event = Event({"x": 1}, id="a7")
        >>> event.branch(2).id, event.branch(2).body
        ('a7', 2)
        """
        other = Event(
            body,
            id=self.id,
            key=self.key,
            path=self.path,
            method=self.method,
            headers=self.headers,
            content_type=self.content_type,
            timestamp=self.timestamp,
            metadata=isolated(self.metadata),
            deadline=self.deadline,
        )
        other.error, other.origin = self.error, self.origin
        return other

    def __repr__(self) -> str:
        return f"Event(id={self.id!r}, path={self.path!r}, body={self.body!r})"
