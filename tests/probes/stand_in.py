"""A server that stands in for another on a free port of this machine: JSON in, JSON out, and all of it written down."""

import json
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit


class StandIn:
    """Listens from the start; subclasses say what is answered."""

    def __init__(self) -> None:
        self.authorizations: list[str | None] = []
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, verb: str, path: str, query: dict[str, str], headers: Message, content: bytes) -> tuple[int, Any]:
        """Write down whose request it is, and answer."""
        self.authorizations.append(headers.get("Authorization"))
        return self.answer(verb, path, query, headers.get("Content-Type") or "", content)

    def answer(self, verb: str, path: str, query: dict[str, str], kind: str, content: bytes) -> tuple[int, Any]:
        """Return status and JSON; `kind` is the content's type."""
        raise NotImplementedError


class _Handler(BaseHTTPRequestHandler):
    stand_in: ClassVar[StandIn]

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        status, told = self.stand_in.take(self.command, parts.path, query, self.headers, content)
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""
