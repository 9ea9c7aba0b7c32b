"""Sends the spans of a process to a collector, in the background."""

import os
from threading import Thread
from types import TracebackType
from typing import Self

from modelyard.graphs import LibraryMissing
from modelyard.serving.trace_rules import TraceRules
from modelyard.serving.tracing import Tracing

__all__ = ["SpanExport"]

PATH = "/v1/traces"
"""Where a collector takes spans, below its address."""
LAST = 5.0
"""Seconds that the spans of the end may take at most."""


class SpanExport:
    """Makes spans and sends them over OTLP, while the ``with`` block lasts; at its end those that wait are sent, too.

    Parameters
    ----------
    rules
        Where to, and how many.
    graph, revision
        What makes them: the service's name, unless the rules or the variables have another, and its version.

    Attributes
    ----------
    tracing
        Makes the spans.

    Raises
    ------
    LibraryMissing
        OpenTelemetry or its exporter is not installed.
    """

    def __init__(self, rules: TraceRules, graph: str, revision: str = "") -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider, sampling
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ModuleNotFoundError as error:
            raise LibraryMissing(error.name or "opentelemetry", "sending traces", "otel") from error
        told = {"service.version": revision, "modelyard.graph": graph, "process.pid": str(os.getpid())}
        service = rules.service or ("" if os.environ.get("OTEL_SERVICE_NAME") else graph)
        told |= {"service.name": service} if service else {}
        sampler = None if rules.share is None else sampling.ParentBased(sampling.TraceIdRatioBased(rules.share))
        self._provider = TracerProvider(sampler, Resource.create(dict(told)), shutdown_on_exit=False)
        address = rules.endpoint.rstrip("/")
        if address and not address.endswith(PATH):
            address += PATH
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(address or None)))
        self.tracing = Tracing(self._provider)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # a collector that does not answer must not keep the process from ending
        last = Thread(target=self._provider.shutdown, name="modelyard-spans", daemon=True)
        last.start()
        last.join(LAST)
