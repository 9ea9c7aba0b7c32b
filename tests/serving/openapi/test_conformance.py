"""The document is true: schemathesis, which others wrote, asks what it says, and gets what it says."""

from collections.abc import Iterator
from typing import Any

import hypothesis
import msgspec
import numpy as np
import pytest
import schemathesis
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup

from modelyard.graphs import Graph, LoadedModel, ModelCard, Parameter, Resources
from modelyard.serving.local import LocalServer

EXAMPLES = 15
NAMES = (
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "negative_data_rejection",
)


class Flight(msgspec.Struct):
    hour: int
    carrier: str = "UA"


class Verdict(msgspec.Struct):
    late: bool
    share: float


def judged(flight: Flight) -> Verdict:
    return Verdict(flight.hour > 17, flight.hour / 24 if flight.hour < 1000 else float("nan"))


def untrue(body: Any) -> Verdict:
    return {"late": str(body)}  # type: ignore[return-value]


def told(body: Any) -> dict[str, Any]:
    return {"late": True, "got": str(body)[:20]}


def answered(body: Any) -> str:
    said = body.get("messages", []) if isinstance(body, dict) else []
    return f"You said {said!r:.40}."


def counted(body: Any) -> Iterator[int]:
    del body
    yield from (1, 2)


def typed() -> Graph:
    graph = Graph("typed")
    graph.to(judged, validate=True)
    return graph


def declared() -> Graph:
    graph = Graph("declared")
    graph.to(told)
    graph.api(
        "/flights/{id}",
        method="GET",
        parameters={"id": int},
        query={
            "hour": Parameter("integer", minimum=0, maximum=23),
            "dry": bool,
            "carrier": Parameter(choices=("UA", "AA")),
        },
    )
    graph.api("/flights", body={"hour": {"source": "$.flight.hour", "type": "integer"}}, mandatory=["hour"])
    graph.api(
        "/flights", method="PUT", reply={"verdict.late": "$.late"}, query={"day": Parameter("number", required=True)}
    )
    graph.api("/flights/{id}", method="DELETE", action="forbid")
    return graph


def chatting() -> Graph:
    graph = Graph("chatting").chat("polite")
    graph.to(answered)
    return graph


def streaming() -> Graph:
    graph = Graph("streaming")
    graph.to(counted)
    return graph


def free() -> Graph:
    graph = Graph("free")
    graph.to(told)
    return graph


class Rule:
    """Late is who leaves from 18 o'clock on."""

    classes_ = np.array([False, True])

    def predict(self, matrix: Any) -> Any:
        return matrix[:, 0] >= 18


class Rules:
    def load(self, reference: str) -> LoadedModel:
        card = ModelCard(("hour", "distance"), ("int64", "double"), "matrix", "classification", (), "late", "", "")
        return LoadedModel(Rule(), card, digest="", classes=(False, True), name=reference)


def modelled() -> Graph:
    graph = Graph("modelled")
    graph.model("late", "models:/late/3")
    return graph


GRAPHS = {make.__name__: make for make in (typed, declared, chatting, streaming, modelled, free)}


def explore(url: str, *, protocol: bool, examples: int = EXAMPLES) -> int:
    """Ask everything that the document says; return how many requests were answered as it says."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    checks = CHECKS.get_by_names(NAMES)
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.startswith("/v2") and not protocol:
            continue
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
            @hypothesis.settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            def ask(case: Any) -> None:
                nonlocal asked
                response = case.call()
                assert response.status_code not in (500, 502), (case.as_curl_command(), response.text)
                case.validate_response(response, checks=checks)
                asked += 1

            try:
                ask()
            except hypothesis.errors.Unsatisfiable:
                continue  # nothing can be wrong about an operation that takes nothing
    return asked


@pytest.mark.parametrize("name", GRAPHS)
def test_what_the_document_says_is_what_is_answered(name: str) -> None:
    with LocalServer(GRAPHS[name]().open(Resources(models=Rules()))) as server:
        assert explore(server.url, protocol=name == "modelled") >= EXAMPLES


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", GRAPHS)
def test_a_long_exploration_finds_nothing_else(name: str) -> None:
    with LocalServer(GRAPHS[name]().open(Resources(models=Rules()))) as server:
        assert explore(server.url, protocol=True, examples=500) > 500


def test_a_document_that_is_not_true_is_found_out() -> None:
    graph = Graph("untrue")
    graph.to(untrue)
    with LocalServer(graph.open()) as server, pytest.raises(FailureGroup, match="Response violates schema"):
        explore(server.url, protocol=False)
