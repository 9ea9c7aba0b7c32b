"""What a job has deployed is asked; a wrong answer is a gate that does not hold."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from command_lines import Command

Job = Callable[..., dict[str, str]]


class _Endpoint(BaseHTTPRequestHandler):
    """Answers what it gets, and 500 where that is no number."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        number = isinstance(json.loads(body), int)
        self.send_response(200 if number else 500)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has there
        """Say nothing."""


@pytest.fixture
def deployed(flights: Path) -> Iterator[Path]:
    """A job that has deployed something, which was there before."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        folder = flights / ".modelyard" / "ci"
        folder.mkdir(parents=True)
        found = {
            "endpoint": "delays",
            "url": f"http://127.0.0.1:{server.server_port}",
            "changed": False,
            "previous": "",
        }
        (folder / "deploy-result.json").write_text(json.dumps(found))
        yield flights
        server.shutdown()
        thread.join()


def test_all_is_well(deployed: Path, command: Command, gitlab_job: Job) -> None:
    (deployed / "requests.json").write_text("[1, 2]")
    outputs = Path(gitlab_job()["MODELYARD_OUTPUTS"])
    ended = command("ci", "smoke", "--requests", "requests.json", "--roll-back")
    assert (ended.code, ended.out) == (0, "2 of 2 requests were answered as they had to be\n")
    assert outputs.read_text() == "ANSWERED=2\nFAILED=0\n"


def test_a_wrong_answer_is_a_failed_gate(deployed: Path, command: Command) -> None:
    (deployed / "requests.json").write_text('[1, "two", {"body": "three", "status": 500}]')
    ended = command("ci", "smoke", "--requests", "requests.json", "--roll-back")
    assert ended.code == 6
    assert ended.out == "request 2: status 500, 'two'\n2 of 3 requests were answered as they had to be\n"
    assert "delays: 1 of 3 requests were not answered as they had to be" in ended.err
    assert "modelyard rollback goes back" in ended.err
    told = json.loads(command("ci", "smoke", "--requests", "requests.json", "--json").out)
    assert told["error"]["facts"]["wrong"] == ["request 2: status 500, 'two'"]


def test_nothing_was_deployed(flights: Path, command: Command) -> None:
    (flights / "requests.json").write_text("[1]")
    ended = command("ci", "smoke", "--requests", "requests.json")
    assert ended.code == 3
    assert "deploy-result.json: it is not there" in ended.err
    assert "modelyard ci operation deploy" in ended.err
