"""Takes down how each event ended: its status and how long it took, to be joined with what models saw of it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from modelyard.errors import ModelyardError
from modelyard.graphs import Event, Plan, Response
from modelyard.serving.replies import error_reply

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EVENTS", "EventRow", "RecordedRuns", "Runs", "event_table", "read_events"]

EVENTS = "events"
"""The folder of these records in that of the models'."""
GONE = 499
"""The status of an event for whose reply nobody waited."""


class EventRow(NamedTuple):
    """How one event ended."""

    time: float
    event: str
    method: str
    path: str
    status: int
    seconds: float
    error: str
    step: str


class Runs(Protocol):
    """Runs events; a `modelyard.graphs.Plan` does."""

    def run(self, event: Event) -> Any:
        """Return the reply."""
        ...

    async def run_async(self, event: Event) -> Any:
        """Return the reply, from within an event loop."""
        ...

    def stream_async(self, event: Event) -> AsyncIterator[Any]:
        """Yield the replies as they come."""
        ...


class RecordedRuns:
    """Runs events with a plan, and tells how each of them ended.

    Parameters
    ----------
    plan
        The open graph.
    take
        Takes an event and how it ended; never raises.
    """

    def __init__(self, plan: Plan, take: Callable[[Event, EventRow], None]) -> None:
        self._plan = plan
        self._take = take

    def run(self, event: Event) -> Any:
        """Return the reply to an event."""
        begun = perf_counter()
        try:
            reply = self._plan.run(event)
        except BaseException as error:
            self._failed(event, begun, error)
            raise
        self._ended(event, begun, _status(event, reply))
        return reply

    async def run_async(self, event: Event) -> Any:
        """Return the reply to an event."""
        begun = perf_counter()
        try:
            reply = await self._plan.run_async(event)
        except BaseException as error:
            self._failed(event, begun, error)
            raise
        self._ended(event, begun, _status(event, reply))
        return reply

    async def stream_async(self, event: Event) -> AsyncIterator[Any]:
        """Yield the replies to an event; it has ended when the last one was taken, or nobody takes any more."""
        begun = perf_counter()
        try:
            async for reply in self._plan.stream_async(event):
                yield reply
        except BaseException as error:
            self._failed(event, begun, error)
            raise
        self._ended(event, begun, event.status or 200)

    def _failed(self, event: Event, begun: float, error: BaseException) -> None:
        if not isinstance(error, Exception):  # cancelled, or closed: nobody waits for it
            self._ended(event, begun, GONE)
            return
        step = str(error.facts.get("step") or "") if isinstance(error, ModelyardError) else ""
        cause = error.facts.get("cause") if isinstance(error, ModelyardError) else None
        self._ended(event, begun, error_reply(error).status, str(cause or type(error).__name__), step)

    def _ended(self, event: Event, begun: float, status: int, error: str = "", step: str = "") -> None:
        seconds = perf_counter() - begun
        row = EventRow(time(), event.id, event.method, event.path, status, seconds, error, step)
        self._take(event, row)


def _status(event: Event, reply: Any) -> int:
    return reply.status if isinstance(reply, Response) else event.status or 200


def _schema() -> "pa.Schema":
    import pyarrow as pa

    text = ("event", "graph", "revision", "method", "path")
    return pa.schema(
        [
            ("time", pa.timestamp("us", tz="UTC")),
            *((name, pa.string()) for name in text),
            ("status", pa.int32()),
            ("seconds", pa.float64()),
            ("error", pa.string()),
            ("step", pa.string()),
        ]
    )


def event_table(rows: list[EventRow], graph: str, revision: str) -> "pa.Table":
    """Return rows as a table, all of one graph and revision."""
    import pyarrow as pa

    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in EventRow._fields}
    columns["time"] = [int(each * 1_000_000) for each in columns["time"]]
    columns |= {"graph": [graph] * len(rows), "revision": [revision] * len(rows)}
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in _schema()}, schema=_schema())


def read_events(folder: str | Path, *, since: float = 0.0) -> "pa.Table":
    """Return how events ended, in the order of time; to be joined with `modelyard.serving.records.read_records`.

    Parameters
    ----------
    folder
        As in `RecordRules`; one without segments, or that is not there, has none.
    since
        Leave out what is older, in seconds since 1970.

    Returns
    -------
    pyarrow.Table
        A row for each event: ``time`` of its end (UTC), ``event``, ``graph``, ``revision``, ``method`` and ``path`` as
        it arrived, the ``status`` that HTTP has for how it ended (499: nobody waited), ``seconds`` from the first step
        to the reply, or to the last one of a stream; of a failed one the type of the ``error`` and the ``step``.

    Examples
    --------
    >>> read_events("nowhere").num_rows
    0
    """
    import pyarrow as pa
    from pyarrow import parquet

    edge = int(since * 1_000_000)
    # a segment's name is the time at which it was written: older ones hold nothing newer
    files = [each for each in sorted((Path(folder) / EVENTS).glob("*.parquet")) if int(each.name[:20]) >= edge * 1000]
    tables = [parquet.read_table(each, schema=_schema()) for each in files]
    found = pa.concat_tables([_schema().empty_table(), *tables])
    if since:
        times = found["time"].cast(pa.int64()).to_pylist()
        found = found.filter(pa.array([each >= edge for each in times], pa.bool_()))
    return found.sort_by("time")
