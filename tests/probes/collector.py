"""A collector that takes spans over OTLP and HTTP, as OpenTelemetry's own do, and keeps them."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What came: spans, each with the attributes of who sent it."""

    def __init__(self) -> None:
        self.spans: list[tuple[Span, dict[str, Any]]] = []
        self.paths: set[str] = set()
        self._change = Condition()
        self.url = ""

    def take(self, path: str, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._change:
            self.paths.add(path)
            for sent in request.resource_spans:
                sender = {each.key: each.value.string_value for each in sent.resource.attributes}
                self.spans += [(span, sender) for scope in sent.scope_spans for span in scope.spans]
            self._change.notify_all()

    def wait(self, count: int, trace: str, seconds: float = 120) -> list[tuple[Span, dict[str, Any]]]:
        """Return the spans of one trace, once there are so many."""

        def found() -> list[tuple[Span, dict[str, Any]]]:
            return [each for each in self.spans if each[0].trace_id.hex() == trace]

        with self._change:
            assert self._change.wait_for(lambda: len(found()) >= count, seconds), [s.name for s, _ in self.spans]
            return found()


@contextmanager
def collecting() -> Iterator[Collector]:
    """Give a collector that listens on a free port of this machine."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *told: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def attributes_of(span: Span) -> dict[str, Any]:
    """Return a span's attributes as plain values."""
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}
