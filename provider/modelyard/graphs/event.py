"""The event: what travels through a graph."""

from collections.abc import Mapping
from random import getrandbits
from typing import Any

__all__ = ["Event"]


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

    Attributes
    ----------
    error
        What went wrong, while an error handler looks at the event.
    origin
        The name of the step that failed.

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
        "error",
        "headers",
        "key",
        "metadata",
        "method",
        "origin",
        "path",
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
        self.error: BaseException | None = None
        self.origin = ""

    @property
    def id(self) -> str:
        """The event's id; stays the same once asked for."""
        if not self._id:
            self._id = f"{getrandbits(64):016x}"
        return self._id

    def __repr__(self) -> str:
        return f"Event(id={self.id!r}, path={self.path!r}, body={self.body!r})"
