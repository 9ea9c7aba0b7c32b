"""Takes down what models saw and said, beside the requests and never in their way.

A record is written down in memory by the request, and to disk by a thread of its own; if that is slower than the
requests are, records are dropped, and counted. Segments are Parquet files that become visible whole.
"""

import logging
import os
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from threading import Condition, Event, Thread
from time import time, time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.graphs import Event as GraphEvent
from modelyard.graphs import LibraryMissing, Plan
from modelyard.graphs.models.server import asked_version
from modelyard.serving.event_records import EVENTS, EventRow, RecordedRuns, event_table
from modelyard.serving.record_rules import RecordRules
from modelyard.serving.replies import encode

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RecordTap", "read_records"]

QUEUE = 10_000
"""How many rows wait for the writer at most."""
_LOG = logging.getLogger("modelyard.serving.records")
_HIDDEN, _SEGMENT = ".part", ".parquet"


class _Row(NamedTuple):
    """One row of one model step of one event."""

    time: float
    event: str
    step: str
    role: str
    model: str
    digest: str
    row: int
    inputs: str
    output: str


class RecordTap:
    """A `modelyard.graphs.Recorder` that writes segments, while the ``with`` block lasts.

    Parameters
    ----------
    rules
        Where to, and which.
    size
        How many rows wait for the writer at most; what comes then is dropped, and counted.

    Raises
    ------
    LibraryMissing
        pyarrow is not installed.
    """

    def __init__(self, rules: RecordRules, *, size: int = QUEUE) -> None:
        try:
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise LibraryMissing("pyarrow", "records", "ml") from error
        self._parquet = parquet
        self._rules, self._size = rules, size
        self._edge = rules.share * 2**64
        self._queue: deque[_Row | EventRow] = deque()
        self._counts = Counter(taken=0, written=0, dropped=0)
        self._change = Condition()
        self._wanted, self._ending = Event(), False
        self._models: Mapping[str, Any] = {}
        self._graph = self._revision = ""
        self._segments = 0
        self._folder = Path(rules.folder)
        self._thread = Thread(target=self._serve, name="modelyard-records", daemon=True)

    def __enter__(self) -> "RecordTap":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def attach(self, plan: Plan, revision: str = "") -> None:
        """Learn which models serve the steps."""
        self._models, self._graph, self._revision = plan.models, plan.graph, revision

    def counts(self) -> dict[str, int]:
        """Return how many rows were ``taken``, how many of them are ``written``, and how many were ``dropped``."""
        return dict(self._counts)

    def record(self, event: GraphEvent, step: str, rows: Sequence[Any], answers: Sequence[Any]) -> None:
        """Take down the rows and answers of one model step of one event; never waits, never raises."""
        if self._edge < 2**64 and not self._sampled(event.id):
            return
        try:
            made = self._rows(event, step, rows, answers)
        except Exception:  # noqa: BLE001 (the reply never changes because of records)
            _LOG.exception("an event of step %s cannot be recorded", step)
            made = None
        self._take(len(rows), made)

    def runs(self, plan: Plan) -> RecordedRuns:
        """Return what runs events with a plan such that it is taken down how each of them ended."""
        return RecordedRuns(plan, self._ended)

    def _ended(self, event: GraphEvent, row: EventRow) -> None:
        if self._edge >= 2**64 or self._sampled(event.id):
            self._take(1, [row])

    def _take(self, count: int, made: "Sequence[_Row | EventRow] | None") -> None:
        with self._change:
            self._counts["taken"] += count
            if made is None or len(self._queue) + count > self._size:
                self._counts["dropped"] += count
                return
            self._queue.extend(made)
            if len(self._queue) >= self._rules.rows:
                self._wanted.set()

    def close(self, limit: float = 10.0) -> bool:
        """Write what waits, end the writer, and return whether it did within `limit` seconds."""
        self._ending = True
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(limit)
        return not self._thread.is_alive()

    def flush(self, limit: float = 10.0) -> bool:
        """Wait until every row that was taken is written or dropped, and return whether that came about."""
        self._wanted.set()
        with self._change:
            counts = self._counts
            return self._change.wait_for(
                lambda: counts["taken"] == counts["written"] + counts["dropped"], timeout=limit
            )

    def _sampled(self, event: str) -> bool:
        return int.from_bytes(blake2b(event.encode(), digest_size=8).digest()) < self._edge

    def _rows(self, event: GraphEvent, step: str, rows: Sequence[Any], answers: Sequence[Any]) -> list[_Row]:
        now = time()
        name, digest = self._model(event, step)
        note = event.metadata.get(step.rpartition(".")[0]) if "." in step else None
        role = str(note.get("role") or "") if isinstance(note, dict) else ""
        return [
            _Row(now, event.id, step, role, name, digest, index, encode(row).decode(), encode(answer).decode())
            for index, (row, answer) in enumerate(zip(rows, answers, strict=True))
        ]

    def _model(self, event: GraphEvent, step: str) -> tuple[str, str]:
        server = self._models.get(step)
        version = asked_version(server, event) if server else None
        if server is None or version is None:
            return "", ""
        model = server.model(version)
        return model.name, model.digest

    def _serve(self) -> None:
        while True:
            self._wanted.wait(self._rules.seconds)
            self._wanted.clear()
            while self._queue:
                with self._change:
                    rows = [self._queue.popleft() for _ in range(min(len(self._queue), self._rules.rows))]
                self._settle(rows)
            if self._ending:
                return

    def _settle(self, rows: list[_Row | EventRow]) -> None:
        outcome = "written"
        try:
            self._write(rows)
        except Exception:  # noqa: BLE001 (a full disk takes no server along)
            _LOG.exception("%s rows of records are lost", len(rows))
            outcome = "dropped"
        with self._change:
            self._counts[outcome] += len(rows)
            self._change.notify_all()

    def _write(self, rows: list[_Row | EventRow]) -> None:
        """Write a segment of each kind of row there is; none is seen before both are whole."""
        self._segments += 1
        name = f"{time_ns():020d}-{os.getpid()}-{self._segments}"
        models = [row for row in rows if isinstance(row, _Row)]
        events = [row for row in rows if isinstance(row, EventRow)]
        written = [self._hidden(self._folder, name, _table(models, self._graph, self._revision))] if models else []
        if events:
            folder = self._folder / EVENTS
            folder.mkdir(exist_ok=True)
            written.append(self._hidden(folder, name, event_table(events, self._graph, self._revision)))
        for hidden in written:
            hidden.rename(hidden.with_suffix(_SEGMENT))

    def _hidden(self, folder: Path, name: str, table: "pa.Table") -> Path:
        hidden = folder / f"{name}{_HIDDEN}"
        self._parquet.write_table(table, hidden)
        return hidden


def _schema() -> "pa.Schema":
    import pyarrow as pa

    text = ("event", "graph", "revision", "step", "role", "model", "digest")
    return pa.schema(
        [
            ("time", pa.timestamp("us", tz="UTC")),
            *((name, pa.string()) for name in text),
            ("row", pa.int32()),
            ("inputs", pa.string()),
            ("output", pa.string()),
        ]
    )


def _table(rows: list[_Row], graph: str, revision: str) -> "pa.Table":
    import pyarrow as pa

    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in _Row._fields}
    columns["time"] = [int(each * 1_000_000) for each in columns["time"]]
    columns |= {"graph": [graph] * len(rows), "revision": [revision] * len(rows)}
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in _schema()}, schema=_schema())


def read_records(folder: str | Path, *, since: float = 0.0, step: str = "") -> "pa.Table":
    """Return the records in a folder, in the order of time; what is not written whole is not there.

    Parameters
    ----------
    folder
        As in `RecordRules`; one without segments, or that is not there, has no records.
    since
        Leave out what is older, in seconds since 1970.
    step
        Only those of one step.

    Returns
    -------
    pyarrow.Table
        A row for each row of each model step: ``time`` (UTC), ``event``, ``graph``, ``revision``, ``step``, ``role``
        (of a router's member: champion, challenger, shadow or what the router calls it), ``model`` (the exact
        version), ``digest``, ``row`` (its number among those of the event), ``inputs`` and ``output`` as JSON.

    Examples
    --------
    >>> read_records("nowhere").num_rows
    0
    """
    import pyarrow as pa
    from pyarrow import parquet

    edge = int(since * 1_000_000_000)
    # a segment's name is the time at which it was written: older ones hold nothing newer
    files = [each for each in sorted(Path(folder).glob(f"*{_SEGMENT}")) if int(each.name.partition("-")[0]) >= edge]
    tables = [parquet.read_table(each, schema=_schema()) for each in files]
    found = pa.concat_tables([_schema().empty_table(), *tables])
    if since:
        found = found.filter(
            pa.array([each >= edge // 1000 for each in found["time"].cast(pa.int64()).to_pylist()], pa.bool_())
        )
    if step:
        found = found.filter(pa.array([each == step for each in found["step"].to_pylist()], pa.bool_()))
    return found.sort_by("time")
