"""A real HTTP server that speaks the Open Inference Protocol, written down from its text and nothing of ours."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

Infer = Callable[[dict[str, Any]], Any]


class InferenceService(ThreadingHTTPServer):
    """Serves models: name → (metadata, function from request to outputs, or to a pair of status and text)."""

    daemon_threads = True

    def __init__(self, models: dict[str, tuple[dict[str, Any], Infer]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models = models
        self.requests: list[dict[str, Any]] = []
        self.connections = 0
        self.stop = Event()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: InferenceService

    def do_GET(self) -> None:
        name = self.path.removeprefix("/v2/models/").partition("/")[0]
        if name not in self.server.models:
            self._send(404, {"error": f"no model {name}"})
        else:
            self._send(200, {"name": name, "platform": "test", "versions": [], **self.server.models[name][0]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append({"path": self.path, "headers": headers, "body": request})
        name = self.path.removeprefix("/v2/models/").partition("/")[0]
        said = self.server.models[name][1](request)
        if isinstance(said, tuple):
            self._send(*said)
        else:
            self._send(200, {"model_name": name, "outputs": said})

    def _send(self, status: int, content: Any) -> None:
        raw = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def inference_service(models: dict[str, tuple[dict[str, Any], Infer]]) -> Iterator[InferenceService]:
    """Run a service on a free port of this machine."""
    service = InferenceService(models)
    thread = Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.stop.set()
        service.shutdown()
        service.server_close()
        thread.join()
