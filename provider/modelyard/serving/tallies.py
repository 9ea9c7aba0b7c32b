"""What a server counts, as plain numbers: cheap to add to, to write down and to add up over several processes."""

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

__all__ = ["Distribution", "Measured", "ModelInfo", "ProcessFigures", "StepTally", "Tally", "added_up"]

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper edges of the classes of durations, in seconds."""
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0)
"""Upper edges of the classes of batch sizes."""


class Distribution(msgspec.Struct):
    """How many values fell into which class.

    Parameters
    ----------
    edges
        The classes' upper edges, the edge included; what is above the last one is a class of its own.
    counts
        How many values each class has.
    total
        The sum of the values.

    Examples
    --------
    >>> seconds = Distribution.of(SECONDS)
    >>> for each in (0.002, 0.004, 20.0):
    ...     seconds.add(each)
    >>> seconds.count, seconds.cumulative()[2:4], seconds.cumulative()[-1]
    (3, [('0.0025', 1), ('0.005', 2)], ('+Inf', 3))
    """

    edges: tuple[float, ...]
    counts: list[int]
    total: float = 0.0

    @classmethod
    def of(cls, edges: tuple[float, ...]) -> "Distribution":
        """Return one without values."""
        return cls(edges, [0] * (len(edges) + 1))

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.counts)

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value

    def merge(self, other: "Distribution") -> None:
        """Count what another one counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def cumulative(self) -> list[tuple[str, float]]:
        """Return how many values are at most each edge, as Prometheus has it."""
        told, seen = list[tuple[str, float]](), 0
        for edge, count in zip((*(str(each) for each in self.edges), "+Inf"), self.counts, strict=True):
            seen += count
            told.append((edge, seen))
        return told

    def quantile(self, part: float) -> float:
        """Return the upper edge of the class in which the quantile is; 0 without values.

        Examples
        --------
        >>> rows = Distribution.of(ROWS)
        >>> rows.quantile(0.5)
        0.0
        >>> for each in (1, 1, 3):
        ...     rows.add(each)
        >>> rows.quantile(0.5), rows.quantile(1)
        (1.0, 4.0)
        """
        wanted, seen = part * self.count, 0
        for edge, count in zip((*self.edges, self.edges[-1]), self.counts, strict=True):
            seen += count
            if seen and seen >= wanted:
                return edge
        return 0.0


class StepTally(msgspec.Struct):
    """What one step did: how long its calls took in seconds, and how many of them raised."""

    seconds: Distribution = msgspec.field(default_factory=lambda: Distribution.of(SECONDS))
    errors: int = 0


class Measured(msgspec.Struct):
    """The values that a step measured under one set of labels."""

    labels: dict[str, str]
    count: int = 0
    total: float = 0.0


class ModelInfo(msgspec.Struct, frozen=True):
    """Which model a step serves now."""

    step: str
    model: str
    digest: str


class ProcessFigures(msgspec.Struct, frozen=True):
    """What one process uses: seconds of processor time, bytes of memory, descriptors, and its start since 1970."""

    pid: int
    cpu: float
    memory: int
    descriptors: int
    started: float


class Tally(msgspec.Struct):
    """Everything that one server, or several together, counted.

    Parameters
    ----------
    graph, revision
        What is served.
    requests
        Protocol → status → how many requests were answered.
    seconds
        Protocol → how long answers took.
    steps
        Step → what it did.
    batches
        Step → how many rows its calls had; the graph's own name stands for calls of all its steps at once.
    measured
        Name → the values that steps measured.
    refused
        How many requests were refused because there were too many.
    records
        ``taken``, ``written`` and ``dropped`` → how many rows of records.
    in_flight, waiting
        How many requests are at work, and wait for their turn, now.
    models, processes
        What is served by which processes, now.
    """

    graph: str = ""
    revision: str = ""
    requests: dict[str, dict[str, int]] = {}
    seconds: dict[str, Distribution] = {}
    steps: dict[str, StepTally] = {}
    batches: dict[str, Distribution] = {}
    measured: dict[str, list[Measured]] = {}
    refused: int = 0
    records: dict[str, int] = {}
    in_flight: int = 0
    waiting: int = 0
    models: list[ModelInfo] = []
    processes: list[ProcessFigures] = []

    def ended(self) -> "Tally":
        """Return what stays of it after the process has ended: what it counted, not what it has."""
        return msgspec.structs.replace(self, in_flight=0, waiting=0, models=[], processes=[])


def added_up(tallies: Iterable[Tally]) -> list[Tally]:
    """Return one tally for each graph and revision; the given ones stay as they are.

    Examples
    --------
    >>> first = Tally("g", requests={"event": {"200": 2}}, in_flight=1)
    >>> second = Tally("g", requests={"event": {"200": 3, "500": 1}})
    >>> [both] = added_up([first, second])
    >>> both.requests, both.in_flight, first.requests
    ({'event': {'200': 5, '500': 1}}, 1, {'event': {'200': 2}})
    """
    found: dict[tuple[str, str], Tally] = {}
    for each in tallies:
        key = (each.graph, each.revision)
        _add(found.setdefault(key, Tally(*key)), each)
    return list(found.values())


def _add(both: Tally, other: Tally) -> None:
    other = msgspec.convert(msgspec.to_builtins(other), Tally)  # a copy: nothing is shared with what still counts
    for protocol, statuses in other.requests.items():
        mine = both.requests.setdefault(protocol, {})
        for status, count in statuses.items():
            mine[status] = mine.get(status, 0) + count
    _merge(both.seconds, other.seconds)
    _merge(both.batches, other.batches)
    for step, tally in other.steps.items():
        known = both.steps.setdefault(step, StepTally())
        known.seconds.merge(tally.seconds)
        known.errors += tally.errors
    for name, values in other.measured.items():
        for value in values:
            _add_measured(both.measured.setdefault(name, []), value)
    for name, count in other.records.items():
        both.records[name] = both.records.get(name, 0) + count
    both.refused += other.refused
    both.in_flight += other.in_flight
    both.waiting += other.waiting
    both.models += [each for each in other.models if each not in both.models]
    both.processes += other.processes


def _merge(mine: dict[str, Distribution], theirs: dict[str, Distribution]) -> None:
    for name, values in theirs.items():
        if name in mine:
            mine[name].merge(values)
        else:
            mine[name] = values


def _add_measured(known: list[Measured], value: Measured) -> None:
    for each in known:
        if each.labels == value.labels:
            each.count += value.count
            each.total += value.total
            return
    known.append(value)
