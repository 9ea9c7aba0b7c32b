"""Bodies that begin like JSON and are none: the client is told, whoever reads them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from modelyard.graphs import Graph
from modelyard.serving.local import LocalServer


def told(body: Any) -> Any:
    return body


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    graph = Graph("echo").chat("echo")
    graph.to(told)
    with LocalServer(graph.open()) as server:
        yield server.url


@pytest.mark.parametrize("body", [b'"\xff"', b'{"inputs": "\xc3("}', b"[" * 100_000, b'{"a":' * 100_000])
@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "application/json"),
        ("/", "application/cloudevents+json"),
        ("/v2/models/echo/infer", "application/json"),
        ("/v2/repository/models/echo/load", "application/json"),
        ("/v2/repository/index", "application/json"),
        ("/v1/chat/completions", "application/json"),
    ],
)
def test_what_is_no_json_is_a_bad_request(url: str, path: str, content_type: str, body: bytes) -> None:
    answer = httpx.post(f"{url}{path}", content=body, headers={"content-type": content_type}, timeout=30)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]


@pytest.mark.parametrize("length", ["9" * 5000, "٣", "-1", "1e3", "3"])
def test_the_length_of_the_json_part_is_a_number_that_fits(url: str, length: str) -> None:
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": length.encode()}
    answer = httpx.post(f"{url}/v2/models/echo/infer", content=b"{}", headers=headers, timeout=30)
    assert answer.status_code == 400
    message = "Inference-Header-Content-Length is the length of the JSON in bytes, not "
    assert message in answer.json()["details"]["message"]


@pytest.mark.parametrize("given", ["", 0, None, [], False])
def test_parameters_of_a_repository_request_are_an_object(url: str, given: Any) -> None:
    answer = httpx.post(f"{url}/v2/repository/models/echo/load", json={"parameters": given}, timeout=30)
    assert (answer.status_code, answer.json()["details"]["message"]) == (
        400,
        "the body is not a repository request: parameters is an object",
    )
