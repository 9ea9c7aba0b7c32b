"""Requests and replies of a graph, written down one after the other: for tests with what really came."""

import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs.background import run_in_background
from modelyard.graphs.context import Response
from modelyard.graphs.errors import StepFailed
from modelyard.graphs.event import Event
from modelyard.graphs.failures import HandlerFailed
from modelyard.graphs.plan import Plan

__all__ = ["Exchange", "ExchangeLog", "ExchangesInvalid", "exchange", "read_exchanges", "recorded", "safe_headers"]

_LOG = logging.getLogger("modelyard.graphs")
_SECRET = re.compile(r"auth|cookie|token|secret|passw|credential|signature|session|api-?key|(^|-)key$", re.IGNORECASE)


class Exchange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request, and what came of it.

    Parameters
    ----------
    id, path, method, headers, key, timestamp, body
        The event, as `modelyard.graphs.Event` has it; headers that may hold a secret are left out.
    reply
        What the graph answered; of a graph that streams, the list of its replies.
    status
        The HTTP status that goes with it: 204 if the event was filtered out.
    error
        The type of what a step raised; empty if there was a reply.
    message
        What the error said.
    """

    id: str
    body: Any = None
    path: str = "/"
    method: str = "POST"
    headers: dict[str, str] = {}
    key: str | None = None
    timestamp: float | None = None
    reply: Any = None
    status: int = 200
    error: str = ""
    message: str = ""

    def event(self) -> Event:
        """Return the same event again."""
        return Event(
            msgspec.json.decode(msgspec.json.encode(self.body)),
            id=self.id,
            path=self.path,
            method=self.method,
            headers=dict(self.headers),
            key=self.key,
            timestamp=self.timestamp,
        )


class ExchangesInvalid(ModelyardError):
    """Raised when a file does not hold exchanges."""

    kind = ErrorKind.INVALID

    def __init__(self, path: str, rule: str) -> None:
        super().__init__(rule, where=path, mend="Record it again: modelyard graphs test NAME --record FILE.")


def safe_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that hold no secret, by their names.

    Examples
    --------
    >>> safe_headers({"Authorization": "Bearer x", "X-Api-Key": "y", "accept": "*/*"})
    {'accept': '*/*'}
    """
    return {name.lower(): value for name, value in headers.items() if not _SECRET.search(name)}


def exchange(plan: Plan, event: Event) -> Exchange:
    """Run one event to its end, and return what came of it; what a step raises is part of it.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("g")
    >>> step = graph.to(lambda body: 10 / body, name="divide").respond()
    >>> with graph.open() as plan:
    ...     found = exchange(plan, Event(5)), exchange(plan, Event(0))
    >>> [(each.reply, each.status, each.error) for each in found]
    [(2.0, 200, ''), (None, 500, 'ZeroDivisionError')]
    """
    asked = _asked(event)
    try:
        reply = run_in_background(plan.settle_async(event)) if plan.is_async else plan.run(event)
    except ModelyardError as error:
        return _refused(asked, error)
    return _answered(asked, event, reply)


def _asked(event: Event) -> Exchange:
    return Exchange(
        id=event.id,
        body=_json(event.body),  # now: a step may change the body
        path=event.path,
        method=event.method,
        headers=safe_headers(event.headers),
        key=event.key,
        timestamp=event.timestamp,
    )


def _answered(asked: Exchange, event: Event, reply: Any) -> Exchange:
    status = event.status or 200
    if isinstance(reply, Response):
        reply, status = reply.body, reply.status
    if isinstance(reply, list):
        reply = [each.body if isinstance(each, Response) else each for each in reply]
    return msgspec.structs.replace(asked, reply=_json(reply), status=status)


def _refused(asked: Exchange, error: ModelyardError) -> Exchange:
    cause = error.cause if isinstance(error, StepFailed | HandlerFailed) else error
    return msgspec.structs.replace(asked, status=error.outcome.http, error=type(cause).__name__, message=str(error))


def _json(value: Any) -> Any:
    """Return a copy of JSON values alone."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=_plain))


def _plain(value: Any) -> Any:
    for method in ("tolist", "to_pylist"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise NotImplementedError(f"a {type(value).__name__} is no JSON value")


class ExchangeLog:
    """A file of exchanges as JSON lines, to be written.

    What cannot be written (a reply that is no JSON, a full disk) is counted and logged, and never told to the sender.

    Parameters
    ----------
    path
        The file; what it holds stays, and new exchanges come after it.

    Attributes
    ----------
    written, lost
        How many exchanges were written, and could not be.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.written = self.lost = 0
        self._lock = Lock()
        self._stream = self.path.open("ab")

    def write(self, found: Exchange) -> None:
        """Write one exchange."""
        line = msgspec.json.encode(found) + b"\n"
        try:
            with self._lock:
                self._stream.write(line)
                self._stream.flush()
                self.written += 1
        except (OSError, ValueError) as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Count an exchange that could not be written."""
        self.lost += 1
        _LOG.warning("%s: an exchange is not written: %s", self.path, error)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> "ExchangeLog":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def recorded(plan: Plan, log: ExchangeLog) -> Plan:
    """Let a plan write down every exchange from now on, whoever runs it: a server, for example; replies stay the same.

    Parameters
    ----------
    plan
        The open graph; it is the plan that is returned.
    log
        Where the exchanges go; it stays open.
    """
    run, run_async, stream, stream_async = plan.run, plan.run_async, plan.stream, plan.stream_async

    def run_recorded(event: Event) -> Any:
        with _taken_down(log, event) as found:
            found.append(reply := run(event))
        return reply

    async def run_recorded_async(event: Event) -> Any:
        if plan.streams:  # the replies are written down where they come
            return await run_async(event)
        with _taken_down(log, event) as found:
            found.append(reply := await run_async(event))
        return reply

    def stream_recorded(event: Event) -> Iterator[Any]:
        replies: list[Any] = []
        with _taken_down(log, event) as found:
            for reply in stream(event):
                replies.append(reply)
                yield reply
            found.append(replies)

    async def stream_recorded_async(event: Event) -> AsyncIterator[Any]:
        replies: list[Any] = []
        with _taken_down(log, event) as found:
            async for reply in stream_async(event):
                replies.append(reply)
                yield reply
            found.append(replies)

    vars(plan).update(
        run=run_recorded, run_async=run_recorded_async, stream=stream_recorded, stream_async=stream_recorded_async
    )
    return plan


@contextmanager
def _taken_down(log: ExchangeLog, event: Event) -> Iterator[list[Any]]:
    """Write one exchange down: with the reply that the block puts into the list, or with the error that it raises."""
    asked = _tried(log, partial(_asked, event))
    found: list[Any] = []
    try:
        yield found
    except ModelyardError as error:
        _keep(log, asked, partial(_refused, error=error))
        raise
    if found:
        _keep(log, asked, partial(_answered, event=event, reply=found[0]))


def _tried(log: ExchangeLog, make: Callable[[], Exchange]) -> Exchange | None:
    try:
        return make()
    except Exception as error:  # noqa: BLE001 (the reply must not suffer)
        log.fail(error)
        return None


def _keep(log: ExchangeLog, asked: Exchange | None, make: Callable[[Exchange], Exchange]) -> None:
    if asked is not None and (found := _tried(log, partial(make, asked))) is not None:
        log.write(found)


def read_exchanges(source: str | Path | Iterable[bytes]) -> Iterator[Exchange]:
    """Yield the exchanges of a file.

    Raises
    ------
    ExchangesInvalid
        The file is missing, or a line of it is no exchange.
    """
    place = str(source) if isinstance(source, str | Path) else "exchanges"
    try:
        lines = Path(source).read_bytes().splitlines() if isinstance(source, str | Path) else source
    except OSError as error:
        raise ExchangesInvalid(place, f"the file cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line, type=Exchange)
        except msgspec.DecodeError as error:
            raise ExchangesInvalid(f"{place}:{number}", f"the line is no exchange: {error}") from None
