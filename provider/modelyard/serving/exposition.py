"""Writes tallies as Prometheus reads them, and as JSON for people and pages."""

from collections.abc import Iterable, Sequence
from re import sub
from typing import TYPE_CHECKING, Any

import orjson

from modelyard.graphs import LibraryMissing
from modelyard.serving.tallies import Distribution, Tally

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["exposed", "statistics"]

_LABELS = ("graph", "revision")


def exposed(tallies: Sequence[Tally], accept: str = "", *, restarts: int | None = None) -> tuple[bytes, str]:
    r"""Return the metrics as text, and its content type.

    Parameters
    ----------
    tallies
        What was counted; one for each graph and revision.
    accept
        The client's header, which may ask for OpenMetrics.
    restarts
        How many workers ended and were started again, where somebody keeps them.

    Raises
    ------
    LibraryMissing
        prometheus_client is not installed.

    Examples
    --------
    >>> text, kind = exposed([Tally("g", refused=3)])
    >>> 'modelyard_refused_requests_total{graph="g",revision=""} 3.0\n' in text.decode()
    True
    """
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder
        from prometheus_client.registry import Collector
    except ModuleNotFoundError as error:
        raise LibraryMissing("prometheus_client", "the metrics", "serving") from error

    class Tallies(Collector):
        def collect(self) -> Iterable["Metric"]:
            return _families(tallies, restarts)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Tallies())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _families(tallies: Sequence[Tally], restarts: int | None) -> list["Metric"]:
    return [
        *_requests(tallies),
        *_steps(tallies),
        *_now(tallies, restarts),
        *_processes(tallies),
        *_measured(tallies),
    ]


def _requests(tallies: Sequence[Tally]) -> list["Metric"]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    requests = CounterMetricFamily(
        "modelyard_requests", "Requests that were answered.", labels=(*_LABELS, "protocol", "status")
    )
    errors = CounterMetricFamily(
        "modelyard_request_errors", "Requests that were answered with an error.", labels=(*_LABELS, "protocol")
    )
    seconds = HistogramMetricFamily(
        "modelyard_request_seconds", "How long answers took.", labels=(*_LABELS, "protocol")
    )
    for tally in tallies:
        own = (tally.graph, tally.revision)
        for protocol, statuses in tally.requests.items():
            for status, count in statuses.items():
                requests.add_metric((*own, protocol, status), count)
            errors.add_metric((*own, protocol), _failed(statuses))
        for protocol, times in tally.seconds.items():
            seconds.add_metric((*own, protocol), times.cumulative(), times.total)
    return [requests, errors, seconds]


def _steps(tallies: Sequence[Tally]) -> list["Metric"]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    labels = (*_LABELS, "step")
    seconds = HistogramMetricFamily("modelyard_step_seconds", "How long a step's calls took.", labels=labels)
    errors = CounterMetricFamily("modelyard_step_errors", "Calls of a step that raised.", labels=labels)
    rows = HistogramMetricFamily(
        "modelyard_batch_rows", "How many rows a model was asked about at once.", labels=labels
    )
    for tally in tallies:
        own = (tally.graph, tally.revision)
        for step, each in tally.steps.items():
            seconds.add_metric((*own, step), each.seconds.cumulative(), each.seconds.total)
            errors.add_metric((*own, step), each.errors)
        for step, sizes in tally.batches.items():
            rows.add_metric((*own, step), sizes.cumulative(), sizes.total)
    return [seconds, errors, rows]


def _now(tallies: Sequence[Tally], restarts: int | None) -> list["Metric"]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

    in_flight = GaugeMetricFamily("modelyard_requests_in_flight", "Requests at work now.", labels=_LABELS)
    waiting = GaugeMetricFamily("modelyard_requests_waiting", "Requests that wait for their turn.", labels=_LABELS)
    refused = CounterMetricFamily(
        "modelyard_refused_requests", "Requests that were refused because there were too many.", labels=_LABELS
    )
    records = CounterMetricFamily("modelyard_record_rows", "Rows of records.", labels=(*_LABELS, "outcome"))
    info = InfoMetricFamily("modelyard_model", "The model that a step serves.", labels=_LABELS)
    found: list[Metric] = [in_flight, waiting, refused, records, info]
    for tally in tallies:
        own = (tally.graph, tally.revision)
        in_flight.add_metric(own, tally.in_flight)
        waiting.add_metric(own, tally.waiting)
        refused.add_metric(own, tally.refused)
        for outcome, count in tally.records.items():
            records.add_metric((*own, outcome), count)
        for model in tally.models:
            info.add_metric(own, {"step": model.step, "model": model.model, "digest": model.digest})
    if restarts is not None:
        family = CounterMetricFamily("modelyard_worker_restarts", "Workers that ended and were started again.")
        family.add_metric((), restarts)
        found.append(family)
    return found


def _processes(tallies: Sequence[Tally]) -> list["Metric"]:
    from prometheus_client.core import GaugeMetricFamily

    kinds = {
        "cpu": GaugeMetricFamily("modelyard_process_cpu_seconds", "Processor time used.", labels=("pid",)),
        "memory": GaugeMetricFamily("modelyard_process_memory_bytes", "Memory in use.", labels=("pid",)),
        "descriptors": GaugeMetricFamily("modelyard_process_open_fds", "Open descriptors.", labels=("pid",)),
        "started": GaugeMetricFamily("modelyard_process_start_seconds", "Start, since 1970.", labels=("pid",)),
    }
    for tally in tallies:
        for process in tally.processes:
            for name, family in kinds.items():
                family.add_metric((str(process.pid),), getattr(process, name))
    return list(kinds.values())


def _measured(tallies: Sequence[Tally]) -> list["Metric"]:
    from prometheus_client.core import SummaryMetricFamily

    found: dict[str, Metric] = {}
    for tally in tallies:
        for name, values in tally.measured.items():
            shown = f"modelyard_custom_{sub('[^A-Za-z0-9_]', '_', name)}"
            family = found.setdefault(shown, SummaryMetricFamily(shown, f"Measured by steps as {name}."))
            for value in values:
                labels = {sub("[^A-Za-z0-9_]", "_", label): text for label, text in value.labels.items()}
                labels.setdefault("revision", tally.revision)
                family.add_sample(f"{shown}_count", labels, value.count)
                family.add_sample(f"{shown}_sum", labels, value.total)
    return list(found.values())


def statistics(tallies: Sequence[Tally], **also: Any) -> bytes:
    """Return the same for pages and people, as JSON: counts, and quantiles of the times in seconds.

    Examples
    --------
    >>> told = orjson.loads(statistics([Tally("g", requests={"event": {"200": 3, "503": 1}})]))
    >>> told["graphs"][0]["requests"], told["graphs"][0]["errors"]
    (4, 1)
    """
    return orjson.dumps({"graphs": [_told(each) for each in tallies], **also})


def _told(tally: Tally) -> dict[str, Any]:
    counted = {name: sum(statuses.values()) for name, statuses in tally.requests.items() if name != "info"}
    return {
        "graph": tally.graph,
        "revision": tally.revision,
        "requests": sum(counted.values()),
        "errors": sum(_failed(statuses) for name, statuses in tally.requests.items() if name != "info"),
        "protocols": {
            name: {"statuses": statuses, **_times(tally.seconds[name])}
            for name, statuses in tally.requests.items()
            if name in tally.seconds
        },
        "steps": {name: {"errors": each.errors, **_times(each.seconds)} for name, each in tally.steps.items()},
        "batches": {name: {"calls": each.count, "rows": int(each.total)} for name, each in tally.batches.items()},
        "measured": {
            name: [{"labels": each.labels, "count": each.count, "sum": each.total} for each in values]
            for name, values in tally.measured.items()
        },
        "in_flight": tally.in_flight,
        "waiting": tally.waiting,
        "refused": tally.refused,
        "records": tally.records,
        "models": {each.step: {"model": each.model, "digest": each.digest} for each in tally.models},
        "processes": [{"pid": each.pid, "cpu": each.cpu, "memory": each.memory} for each in tally.processes],
    }


def _times(times: Distribution) -> dict[str, Any]:
    count = times.count
    return {
        "count": count,
        "mean": times.total / count if count else 0.0,
        "p50": times.quantile(0.5),
        "p99": times.quantile(0.99),
    }


def _failed(statuses: dict[str, int]) -> int:
    """Return how many of the statuses say no: HTTP's from 400, and every one of gRPC's but OK."""
    return sum(count for status, count in statuses.items() if not (status == "OK" or status < "400"))
