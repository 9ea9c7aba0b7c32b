"""The document names every path that is really served, and a graph's own where it has some."""

from typing import Any

import httpx
import pytest

from modelyard.graphs import Graph
from modelyard.graphs.models import Model
from modelyard.serving.local import LocalServer

SERVER = ["/docs", "/openapi.json", "/metrics", "/v2/statistics"]
MODEL = ["", "/ready", "/infer", "/infer_stream"]
REPOSITORY = ["index", "models/{name}/load", "models/{name}/unload"]


class Late(Model):
    def predict(self, inputs: Any) -> Any:
        return {"late": inputs["hour"] > 17}


def graph_of_versions() -> Graph:
    graph = Graph("late")
    graph.model("predict", Late, versions={"1": {}, "2": {}}, default="2")
    return graph


def paths_of(graph: Graph) -> dict[str, Any]:
    with LocalServer(graph.open()) as server:
        paths: dict[str, Any] = httpx.get(f"{server.url}/openapi.json").json()["paths"]
        for path, operations in paths.items():
            if "get" in operations and "{" not in path:
                answer = httpx.get(f"{server.url}{path}")
                assert answer.status_code == 200, path
                kinds = operations["get"]["responses"]["200"]["content"]
                assert answer.headers["content-type"].partition(";")[0] in kinds, path
    return paths


def test_everything_that_is_served_is_in_it() -> None:
    paths = paths_of(graph_of_versions())
    assert list(paths) == [
        *("/", *SERVER, "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models"),
        *(f"/v2/models/{{name}}{each}" for each in MODEL),
        *(f"/v2/models/{{name}}/versions/{{version}}{each}" for each in MODEL),
        *(f"/v2/repository/{each}" for each in REPOSITORY),
    ]
    version = paths["/v2/models/{name}/versions/{version}/infer"]["post"]["parameters"][1]
    assert (version["name"], version["schema"]) == ("version", {"enum": ["1", "2"]})
    assert "each reply is a message" not in paths["/"]["x-websocket"]["description"]
    assert "CloudEvents" in paths["/"]["post"]["description"]


def test_a_graph_says_where_it_converses() -> None:
    graph = Graph("talk").api("/talk/{id}", method="WEBSOCKET").api("/talk/{id}", method="GET").chat("polite")
    graph.to(lambda body: body, name="echo")
    paths = paths_of(graph)
    assert sorted(paths["/talk/{id}"]) == ["get", "x-websocket"]
    assert list(paths["/"]) == ["get"]
    assert [path for path in paths if path.startswith("/v1/")] == ["/v1/chat/completions", "/v1/models"]


@pytest.mark.parametrize("path", [*SERVER, "/v2/health/live", "/v2/models"])
def test_what_is_read_is_not_written(path: str) -> None:
    graph = Graph("echo")
    graph.to(lambda body: body, name="echo")
    with LocalServer(graph.open()) as server:
        answer = httpx.post(f"{server.url}{path}", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
