"""The fake forge on a loopback port."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fake_forge.answer import Answer, Asked, refused
from fake_forge.forge import Fault, Forge
from fake_forge.github import answer_github
from fake_forge.gitlab import answer_gitlab

_GITHUB, _GITLAB, _OWN = "/github", "/gitlab/api/v4", "/_forge"


@contextmanager
def serving(forge: Forge | None = None, port: int = 0) -> Iterator[Forge]:
    """Serve a forge as long as the block runs; its `url` says where."""
    known = forge or Forge()

    class Handler(_Handler):
        forge = known

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    known.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    forge: Forge
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_GET  # noqa: N815
    do_PUT = do_GET  # noqa: N815
    do_PATCH = do_GET  # noqa: N815
    do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: the forge's own log has it."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        if parts.path.startswith(_OWN):
            self._send(_own(self.forge, asked))
            return
        fault = self.forge.fault(asked.method, asked.path)
        answer = Answer(fault.status, {"message": fault.message}, fault.headers) if fault else None
        if answer is None or (fault and fault.after):
            with self.forge.lock:
                done = _answer(self.forge, asked)
            answer = answer or done
        self._note(asked, answer)
        if fault and fault.seconds:
            time.sleep(fault.seconds)
        if answer.status:
            self._send(answer)
        else:
            self.close_connection = True

    def _note(self, asked: Asked, answer: Answer) -> None:
        known = ("authorization", "private-token", "job-token")
        entry = {
            "method": asked.method,
            "path": asked.path,
            "query": asked.query,
            "token": next((name for name in known if name in asked.headers), ""),
            "agent": asked.headers.get("user-agent", ""),
            "body": asked.json(),
            "status": answer.status,
        }
        with self.forge.lock:
            self.forge.log.append(entry)

    def _send(self, answer: Answer) -> None:
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        try:
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **(answer.headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except ConnectionError:
            self.close_connection = True  # whoever asked has given up


def _answer(forge: Forge, asked: Asked) -> Answer:
    for prefix, answer in ((_GITHUB, answer_github), (_GITLAB, answer_gitlab)):
        if asked.path.startswith(f"{prefix}/"):
            return answer(forge, asked._replace(path=asked.path.removeprefix(prefix)))
    return refused(404, "Not Found")


def _own(forge: Forge, asked: Asked) -> Answer:
    """Answer a test in another process: what was asked and written; and take faults and requests from it."""
    what, given = asked.path.removeprefix(f"{_OWN}/"), asked.json()
    with forge.lock:
        if asked.method == "GET" and what == "log":
            return Answer(200, forge.log)
        if asked.method == "GET" and what == "state":
            return Answer(200, forge.state())
        if asked.method == "POST" and what == "faults":
            forge.faults.append(Fault(**given))
            return Answer(201, {})
        if asked.method == "POST" and what.startswith("requests/"):
            forge.requests[int(what.removeprefix("requests/"))] = given
            return Answer(201, {})
    return refused(404, "log, state, faults, requests/N")
