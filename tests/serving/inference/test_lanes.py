"""The short way of one row of numbers says, byte by byte, what the long way says."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from modelyard.graphs import Graph, Resources
from modelyard.graphs.models import Model
from modelyard.serving.access import Access, AccessRules
from modelyard.serving.application import Application
from modelyard.serving.limits import Limits
from modelyard.serving.metrics import ServingMetrics
from modelyard.serving.requests import Request
from modelyard.serving.traffic import Traffic

PATH = "/v2/models/sums/infer"


class Sums(Model):
    """Adds two numbers up; -1 has no sum, and the sums of others are of several kinds."""

    def __init__(self, by: int = 1) -> None:
        self.by = by
        self.calls: list[int] = []

    def load(self) -> None:
        pass

    def validate(self, inputs: Any) -> None:
        if len(inputs) != 2:
            raise ValueError(f"two numbers, not {len(inputs)}")

    def predict(self, inputs: Any) -> Any:
        total = self.by * float(sum(inputs))
        if total == -1:
            raise ValueError("there is no sum")
        return total if total == 7 else {"label": total > 3, "sum": total, "text": f"é{total}", "none": [total]}

    def predict_batch(self, inputs: Any) -> Any:
        self.calls.append(len(inputs))
        return [self.predict(each) for each in inputs]


class Plain(Sums):
    def predict(self, inputs: Any) -> Any:
        reply = super().predict(inputs)
        return {"label": int(reply["sum"]), "share": reply["sum"]} if isinstance(reply, dict) else reply


def body(*data: Any, **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": [1, len(data)], "datatype": "FP64", "data": data} | more]}


def graph(model: type[Model] = Plain, **options: Any) -> Graph:
    found = Graph("sums")
    found.model("sum", model, **options)
    return found


async def _asked(
    served: Graph,
    bodies: Sequence[Any],
    *,
    headers: dict[str, str] | None = None,
    metrics: ServingMetrics | None = None,
    path: str = PATH,
    **options: Any,
) -> list[httpx.Response]:
    traffic, metrics = Traffic(), metrics or ServingMetrics()
    plan = await served.open_async(metrics.watching(Resources(batching=traffic.batching())))
    application = Application(plan, traffic=traffic, metrics=metrics, **options)
    traffic.count = lambda: len(bodies)
    return await asyncio.gather(*(_sent(application, path, _raw(each), headers or {}) for each in bodies))


async def _sent(application: Application, path: str, raw: bytes, headers: dict[str, str]) -> httpx.Response:
    """Send one request in one piece, as most arrive."""
    fields = {"content-type": "application/json", "content-length": str(len(raw)), **headers}
    told: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
    }
    await application(scope, receive, send)
    begin, *pieces = told
    return httpx.Response(begin["status"], headers=begin["headers"], content=b"".join(each["body"] for each in pieces))


def ask(served: Graph, bodies: Sequence[Any], **options: Any) -> list[httpx.Response]:
    """Ask about all at once; the server has no other requests."""
    return asyncio.run(_asked(served, bodies, **options))


def _raw(each: Any) -> bytes:
    return each if isinstance(each, bytes) else json.dumps(each).encode()


@pytest.fixture
def long_ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths of the requests that took the long way."""
    taken: list[str] = []
    begin = Request.__init__

    def noted(self: Request, *given: Any) -> None:
        begin(self, *given)
        taken.append(self.path)

    monkeypatch.setattr(Request, "__init__", noted)
    return taken


@pytest.mark.parametrize("model", [Plain, Sums])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("data", [(1, 2.5), (4, 3), (0.1, 0.2), (1e9, 1), (-0.0, 0)])
@pytest.mark.parametrize("named", [{}, {"id": "a7"}])
def test_both_ways_say_the_same(
    model: type[Model], count: int, data: tuple[float, ...], named: dict[str, str], long_ways: list[str]
) -> None:
    short = ask(graph(model), [body(*data) | named] * count)
    assert long_ways == []
    long = ask(graph(model), [body(*data) | named | {"parameters": {}}] * count)
    assert len(long_ways) == count
    assert [(each.status_code, each.content, each.headers) for each in short] == [
        (200, each.content, each.headers) for each in long
    ]


def test_what_one_row_is_answered_with(long_ways: list[str]) -> None:
    [found] = ask(graph(), [body(1, 2) | {"id": "a7"}], description={"revision": "r1"})
    outputs = [
        {"name": "label", "datatype": "INT64", "shape": [1, 1], "data": [3]},
        {"name": "share", "datatype": "FP64", "shape": [1, 1], "data": [3.0]},
    ]
    assert found.json() == {"model_name": "sums", "model_version": "r1", "id": "a7", "outputs": outputs}
    assert dict(found.headers) == {"content-type": "application/json", "content-length": str(len(found.content))}
    assert long_ways == []


@pytest.mark.parametrize(
    ("sent", "headers", "options"),
    [
        (body(1, 2, shape=[2]), {}, {}),
        (body(1, 2, shape=[2, 1]), {}, {}),
        (body(1, 2, shape=[1, 3]), {}, {}),
        (body(1, 2, data=[[1, 2]]), {}, {}),
        (body(1, None), {}, {}),
        (body(1, True), {}, {}),
        (body(1, "2"), {}, {}),
        (body(1, 2, datatype="FP32"), {}, {}),
        (body(1, 2, datatype="INT64"), {}, {}),
        (body(1, 2, parameters={"binary_data_size": 16}), {}, {}),
        ({"inputs": body(1, 2)["inputs"] * 2}, {}, {}),
        ({"inputs": []}, {}, {}),
        (body(1, 2) | {"outputs": [{"name": "share"}]}, {}, {}),
        (body(1, 2) | {"outputs": [{"name": "FP64"}]}, {}, {}),
        (b'{"inputs": [{"datatype": "FP64"', {}, {}),
        ({"inputs": [[1, 2]]}, {"x-request-id": "b9"}, {}),
        (body(1, 2), {"x-request-timeout": "20"}, {}),
        (body(1, 2), {"x-request-timeout": "soon"}, {}),
        (body(1, 2), {"x-request-id": "b8"}, {}),
        (body(1, 2), {"inference-header-content-length": "9"}, {}),
        (body(1, 2), {}, {"limits": Limits(body=20)}),
    ],
)
def test_whatever_is_anything_else_takes_the_long_way(
    sent: Any, headers: dict[str, str], options: dict[str, Any], long_ways: list[str]
) -> None:
    [found] = ask(graph(), [sent], headers=headers, **options)
    assert long_ways == [PATH]
    elsewhere = Graph("sums")  # the same model behind a step that takes no batches: nothing is short there
    elsewhere.to(lambda body: body, name="same").model("sum", Plain)
    [same] = ask(elsewhere, [sent], headers=headers, **options)
    for text in ("status_code", "headers") if found.status_code == 200 else ("status_code",):
        assert getattr(found, text) == getattr(same, text)
    if found.status_code == 200:
        assert found.content == same.content


def test_who_needs_a_token_is_asked_for_it(monkeypatch: pytest.MonkeyPatch, long_ways: list[str]) -> None:
    monkeypatch.setenv("TOKENS", "a-token-of-a-client")
    access = Access.of(AccessRules(infer=("TOKENS",)))
    for headers, status, taken in (({}, 401, [PATH]), ({"authorization": "Bearer a-token-of-a-client"}, 200, [])):
        [found] = ask(graph(), [body(1, 2)], headers=headers, access=access)
        assert found.status_code == status
        assert long_ways == taken
        long_ways.clear()


def test_a_row_that_fails_is_told_apart_from_its_neighbours(long_ways: list[str]) -> None:
    good, bad, other = ask(graph(), [body(1, 2), body(-1, 0), body(3, 4, 5)])
    assert good.json()["outputs"][0]["data"] == [3]
    for found, said in ((bad, "there is no sum"), (other, "two numbers, not 3")):
        assert found.status_code == 500
        assert said in found.json()["error"]
        assert "step sum" in found.json()["error"]
    assert long_ways == [PATH, PATH]


def test_rows_that_come_together_are_one_call_and_one_alone_is_asked_at_once() -> None:
    metrics, served = ServingMetrics(), graph()
    assert {each.status_code for each in ask(served, [body(1, number) for number in range(5)], metrics=metrics)} == {
        200
    }
    tally = metrics.tally()
    assert tally.batches["sums"].counts[3] == 1
    assert tally.batches["sums"].count == tally.steps["sum"].seconds.count == 1
    assert tally.requests == {"inference": {"200": 5}}
    metrics = ServingMetrics()
    ask(served, [body(1, 2)], metrics=metrics)
    tally = metrics.tally()
    assert (tally.batches["sums"].counts[0], tally.steps["sum"].seconds.count) == (1, 1)
    assert (tally.in_flight, tally.seconds["inference"].count) == (0, 1)


def test_a_version_in_a_header_is_the_one_that_answers() -> None:
    served = graph(versions={"1": {"by": 1}, "2": {"by": 10}}, default="1")
    for count in (1, 2):
        for version, share in ((None, 3.0), ("1", 3.0), ("2", 30.0)):
            headers = {"x-model-version": version} if version else {}
            found = ask(served, [body(1, 2)] * count, headers=headers)
            assert [each.json()["outputs"][1]["data"] for each in found] == [[share]] * count
        [missing] = ask(served, [body(1, 2)], headers={"x-model-version": "9"})
        assert missing.status_code == 404


def test_a_tensor_of_a_features_name_is_a_column(long_ways: list[str]) -> None:
    class Named(Plain):
        def signature(self) -> Any:
            from modelyard.graphs.models import Signature, Tensor

            return Signature((Tensor("x", "FP64", (-1, 1)),), ())

    [found] = ask(graph(Named), [body(1, 2)])
    assert long_ways == [PATH]
    assert found.status_code == 500
