"""Counts what a server does, and tells it to Prometheus and to people.

The hot path adds to plain numbers; prometheus_client writes them out when somebody asks.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from modelyard.graphs import Plan, Resources
from modelyard.graphs.ports import StepObserver
from modelyard.serving.tallies import (
    ROWS,
    SECONDS,
    Distribution,
    Measured,
    ModelInfo,
    ProcessFigures,
    StepTally,
    Tally,
)
from modelyard.serving.tracing import Tracing

if TYPE_CHECKING:
    from modelyard.serving.event_records import Runs
    from modelyard.serving.limits import Admission

__all__ = ["ServingMetrics"]

MOST_SERIES = 1000
"""How many sets of labels steps may measure under; values under further ones are left out."""
_BORN = time()
_LOG = logging.getLogger("modelyard.serving.metrics")
_PROC = Path("/proc/self")


class ServingMetrics:
    """What one process counts; a `StepObserver` and a `MetricSink`, so it opens with the graph.

    Parameters
    ----------
    tracing
        Makes spans of what is counted; None makes none.

    Attributes
    ----------
    recorded
        Tells how many rows of records there are, where some are taken; None tells nothing.
    runs
        Runs the events of a server and takes down how they end, as `RecordTap.runs` does; None is the plan itself.

    Examples
    --------
    >>> from modelyard.graphs import Event, Graph
    >>> graph = Graph("doubled")
    >>> step = graph.to(lambda body: 2 * body, name="double")
    >>> metrics = ServingMetrics()
    >>> plan = graph.open(metrics.watching(Resources()))
    >>> plan.run(Event(4)), metrics.tally().steps["double"].seconds.count
    (8, 1)
    """

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.tracing = tracing
        self._tally = Tally(requests={}, seconds={}, steps={}, batches={}, measured={})
        self._series: dict[tuple[Any, ...], Measured] = {}
        self._plan: Plan | None = None
        self._admission: Admission | None = None
        self.recorded: Callable[[], dict[str, int]] | None = None
        self.runs: Runs | None = None

    def watching(self, resources: Resources) -> Resources:
        """Return the resources, such that the graph that opens with them is counted, and traced if that is wanted."""
        batching = replace(resources.batching, observe=self.batch) if resources.batching else None
        observer: StepObserver = _Both(self, self.tracing) if self.tracing else self
        return replace(resources, batching=batching, observer=observer, metrics=resources.metrics or self)

    def serves(self, plan: Plan, revision: str, admission: "Admission") -> None:
        """Learn what is served, and who knows what is under way."""
        self._plan, self._admission = plan, admission
        self._tally.graph, self._tally.revision = plan.graph, revision

    def answered(self, protocol: str, status: int | str, seconds: float) -> None:
        """Count one request.

        Parameters
        ----------
        protocol
            ``inference``, ``event``, ``websocket``, ``grpc`` or ``info``.
        status
            The status of HTTP, or the name of that of gRPC; 499 if the client did not wait for the answer.
        seconds
            How long it took.
        """
        tally = self._tally
        times = tally.seconds.get(protocol)
        if times is None:
            times = tally.seconds.setdefault(protocol, Distribution.of(SECONDS))
        times.add(seconds)
        statuses = tally.requests.setdefault(protocol, {})
        name = str(status)
        statuses[name] = statuses.get(name, 0) + 1

    def step(self, name: str) -> Callable[[float, BaseException | None], None]:
        """Return what takes down each call of a step, as `StepObserver` has it."""
        tally = self._tally.steps.setdefault(name, StepTally())
        add = tally.seconds.add

        def observe(seconds: float, error: BaseException | None) -> None:
            add(seconds)
            if error is not None:
                tally.errors += 1

        return observe

    def batch(self, step: str, size: int) -> None:
        """Count the rows of one call of a model."""
        sizes = self._tally.batches.get(step)
        if sizes is None:
            sizes = self._tally.batches.setdefault(step, Distribution.of(ROWS))
        sizes.add(size)

    def emit(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Take one value that a step measured, as `MetricSink` has it; what is no number is left out, and logged."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            _LOG.warning("%s is measured in numbers, not as %s", name, type(value).__name__, extra=dict(labels))
            return
        key = (name, *sorted(labels.items()))
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= MOST_SERIES:
                return
            series = self._series[key] = Measured({str(label): str(text) for label, text in labels.items()})
            self._tally.measured.setdefault(name, []).append(series)
        series.count += 1
        series.total += number

    def tally(self) -> Tally:
        """Return what was counted until now, and what there is now."""
        tally = self._tally
        if self._plan is not None:
            models = sorted(self._plan.models.items())
            tally.models = [ModelInfo(step, model.name, model.digest) for step, model in models]
        if self._admission is not None:
            inside = self._admission
            tally.refused, tally.waiting, tally.in_flight = inside.refused, inside.waiting, inside.active
        if self.recorded is not None:
            tally.records = self.recorded()
        tally.processes = [_process()]
        return tally


class _Both:
    """Two observers as one."""

    def __init__(self, *observers: StepObserver) -> None:
        self._observers = observers

    def step(self, name: str) -> Callable[[float, BaseException | None], None]:
        first, second = (each.step(name) for each in self._observers)

        def observe(seconds: float, error: BaseException | None) -> None:
            first(seconds, error)
            second(seconds, error)

        return observe


def _process() -> ProcessFigures:
    used = os.times()
    try:
        memory = int(_PROC.joinpath("statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        descriptors = sum(1 for _ in _PROC.joinpath("fd").iterdir())
    except OSError:  # not on Linux
        memory = descriptors = 0
    return ProcessFigures(os.getpid(), used.user + used.system, memory, descriptors, _BORN)
