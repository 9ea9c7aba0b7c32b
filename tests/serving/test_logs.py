"""Log lines as JSON: one line each, with what they are about, and without what was sent."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from modelyard.graphs import Graph
from modelyard.serving.local import LocalServer
from modelyard.serving.logs import JsonLines


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonLines(revision="r1"))
    log = logging.getLogger("modelyard")
    log.addHandler(handler)
    yield text
    log.removeHandler(handler)


def broken(body: Any) -> Any:
    raise RuntimeError("two\nlines")


def test_an_error_names_graph_step_and_event_and_no_body(lines: io.StringIO) -> None:
    graph = Graph("g")
    graph.to(broken, name="break")
    with LocalServer(graph.open()) as server:
        httpx.post(server.url, json={"name": "Ada Lovelace"}, headers={"x-request-id": "e7"})
    [line] = lines.getvalue().splitlines()
    told = json.loads(line)
    assert {
        name: told[name] for name in ("level", "logger", "message", "graph", "step", "event", "error", "revision")
    } == {
        "level": "ERROR",
        "logger": "modelyard.serving",
        "message": "POST /",
        "graph": "g",
        "step": "break",
        "event": "e7",
        "error": "StepFailed",
        "revision": "r1",
    }
    assert 'raise RuntimeError("two\\nlines")' in told["traceback"]
    assert "Lovelace" not in line


def test_a_plain_line_says_what_it_says(lines: io.StringIO) -> None:
    logging.getLogger("modelyard.x").warning("%s of %s", 1, 2, extra={"event": "e8"})
    told = json.loads(lines.getvalue())
    assert told.pop("time").endswith("+00:00")
    assert told == {"level": "WARNING", "logger": "modelyard.x", "message": "1 of 2", "revision": "r1", "event": "e8"}
