"""A real HTTP service on a port of this machine, that writes down what it is asked."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, Thread
from time import sleep
from typing import Any
from urllib.parse import parse_qs, urlsplit


class LocalService(ThreadingHTTPServer):
    """Answers ``/echo/…`` with what it got, ``/status/N`` with that status, ``/flaky/N/…`` with 503 N times first.

    ``/slow/S`` is answered after so many seconds, ``/meet/N/S`` so long after N such requests are there together.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.connections = 0
        self.tries: Counter[str] = Counter()
        self._meetings: dict[str, Barrier] = {}

    def meet(self, number: str) -> None:
        """Wait until so many requests do."""
        self._meetings.setdefault(number, Barrier(int(number), timeout=60)).wait()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LocalService

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        asked = {
            "method": self.command,
            "path": parts.path,
            "query": {name: values[0] for name, values in parse_qs(parts.query).items()},
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": json.loads(raw) if raw else None,
        }
        self.server.requests.append(asked)
        what, _, rest = parts.path[1:].partition("/")
        if what == "status":
            self._send(int(rest.partition("/")[0]), {"said": "no"})
        elif what == "flaky":
            self.server.tries[parts.path] += 1
            good = self.server.tries[parts.path] > int(rest.partition("/")[0])
            self._send(200 if good else 503, {"tries": self.server.tries[parts.path]})
        elif what == "slow":
            sleep(float(rest))
            self._send(200, {"slept": float(rest)})
        elif what == "meet":
            number, _, seconds = rest.partition("/")
            self.server.meet(number)
            sleep(float(seconds))
            self._send(200, {"slept": float(seconds)})
        elif what == "text":
            self._send(200, "plain words")
        elif what == "moved":
            self._send(302, {}, location=f"{self.server.url}/echo")
        else:
            self._send(200, {key: asked[key] for key in ("method", "path", "query", "body")})

    def _send(self, status: int, body: Any, **headers: str) -> None:
        is_text = isinstance(body, str)
        raw = body.encode() if is_text else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if is_text else "application/json")
        self.send_header("content-length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _answer  # noqa: N815 (what http.server calls)

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@contextmanager
def local_service() -> Iterator[LocalService]:
    """Run a service for a while."""
    with LocalService() as service:
        thread = Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield service
        service.shutdown()
        thread.join()
