"""Opens a revision for a worker: the application that answers, and what writes and sends beside it."""

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.graphs import LibraryMissing, Resources
from modelyard.serving.access import Access
from modelyard.serving.application import Application
from modelyard.serving.bundle import open_beside, open_bundle_async, read_manifest
from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.options import WorkerOptions
from modelyard.serving.records import RecordTap
from modelyard.serving.trace_rules import rules_in_force
from modelyard.serving.traffic import Traffic

if TYPE_CHECKING:
    from modelyard.serving.span_export import SpanExport

__all__ = ["open_application"]

_LOG = logging.getLogger("modelyard.serving.worker")


async def open_application(
    folder: Path, options: WorkerOptions, *, beside: Application | None = None
) -> tuple[Application, ExitStack]:
    """Return what answers, and what ends after it: whatever still has something to write or send.

    Parameters
    ----------
    folder
        The revision's bundle.
    options
        How the worker serves.
    beside
        What answers in this process already, with the same graph and other models; None is nothing.
    """
    helpers = ExitStack()
    spans = None if beside else _span_export(folder, options)
    tracing = beside.metrics.tracing if beside else spans.tracing if spans else None
    traffic, metrics = beside.traffic if beside else Traffic(), ServingMetrics(tracing)
    tap = RecordTap(options.records) if options.records else None
    resources = metrics.watching(Resources(batching=traffic.batching(options.batch), recorder=tap))
    limit = options.limits.model
    if beside:
        plan = await open_beside(folder, resources, is_async=beside.plan.is_async, model_limit=limit)
    else:
        plan = await open_bundle_async(folder, resources, model_limit=limit)
    if tap:
        metrics.recorded, metrics.runs = tap.counts, tap.runs(plan)
    application = Application(
        plan,
        description=read_manifest(folder).described(),
        limits=options.limits,
        batch=options.batch,
        traffic=traffic,
        metrics=metrics,
        access=Access.of(options.access),
    )
    if tap:
        tap.attach(application.plan, application.service.version)
        helpers.enter_context(tap)
    if spans:
        helpers.enter_context(spans)
    return application, helpers


def _span_export(folder: Path, options: WorkerOptions) -> "SpanExport | None":
    rules = rules_in_force(options.traces)
    if rules is None:
        return None
    from modelyard.serving.span_export import SpanExport

    manifest = read_manifest(folder)
    try:
        return SpanExport(rules, manifest.graph.name, manifest.revision)
    except LibraryMissing as error:
        if options.traces:
            raise
        _LOG.warning("the OTEL_ variables ask for traces, and there are none: %s", error)  # nobody asked modelyard
        return None
