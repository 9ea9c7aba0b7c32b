import asyncio
import operator
from pathlib import Path
from typing import Any

import msgspec
import probe_steps
import pytest
from probe_models import fitted, save_model

from modelyard.data.digests import digest_of
from modelyard.errors import ErrorKind
from modelyard.graphs import (
    Event,
    FeatureMissing,
    Graph,
    GraphInvalid,
    LoadedModel,
    ResourceMissing,
    Resources,
    StepFailed,
    StepNotFound,
    open_model,
)


class FolderModels:
    """Loads models from folders named like their references."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []

    def load(self, reference: str) -> LoadedModel:
        self.asked.append(reference)
        folder = self.folder / reference
        return open_model(folder, digest=digest_of(folder), name=f"models:/{reference}/1")


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> Resources:
    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "delays", fitted())
    save_model(folder / "flipped", fitted(flip=True))
    return Resources(models=FolderModels(folder))


def delays() -> Graph:
    graph = Graph("delays")
    graph.to(probe_steps.parse).model("predict", "delays").to(probe_steps.Counter, start=10).respond()
    return graph


ROW = {"a": 2.0, "b": 0.0, "c": 0.0}


def test_steps_run_in_order_and_a_class_is_built_once(resources: Resources) -> None:
    graph = delays()
    assert graph.steps == ("parse", "predict", "Counter")
    first = graph.test({"row": ROW}, resources=resources)
    assert first["count"] == 11
    assert first["body"]["label"] is True
    assert 0.9 < first["body"]["probability"] < 1
    assert graph.test({"row": ROW}, resources=resources)["count"] == 12


def test_a_model_step_takes_one_row_or_several(resources: Resources) -> None:
    graph = Graph("g")
    graph.model("m", "delays")
    one = graph.test(ROW, resources=resources)
    several = graph.test([ROW, [-2.0, 0.0, 0.0]], resources=resources)
    assert several[0] == one
    assert [each["label"] for each in several] == [True, False]
    assert graph.test([2.0, 0.0, 0.0], resources=resources) == one
    assert graph.test([], resources=resources) == []
    with pytest.raises(StepFailed, match="the model takes a row or a list of rows, not str"):
        graph.test("text", resources=resources)


def test_models_are_loaded_once_and_can_be_exchanged(resources: Resources) -> None:
    graph = delays()
    assert graph.models == {"predict": "delays"}
    other = graph.with_models({"predict": "flipped"})
    assert other.test({"row": ROW}, resources=resources)["body"]["label"] is False
    assert graph.models == {"predict": "delays"}
    assert isinstance(resources.models, FolderModels)
    resources.models.asked.clear()
    graph.test({"row": ROW}, resources=resources)
    graph.test({"row": ROW}, resources=resources)
    assert resources.models.asked == ["delays"]
    with pytest.raises(GraphInvalid, match=r"step predct: there is no such model step\. Model steps: predict"):
        graph.with_models({"predct": "x"})


def test_an_error_names_graph_step_and_event(resources: Resources) -> None:
    plan = delays().open(resources)
    event = Event({"row": {"a": 1.0, "b": 2.0}}, id="e7")
    with pytest.raises(StepFailed) as caught:
        plan.run(event)
    error = caught.value
    message = "graph delays, step predict, event e7: row 0: the feature 'c' is missing. Given: a, b."
    assert str(error) == message
    assert error.error_kind is ErrorKind.INVALID
    assert isinstance(error.__cause__, FeatureMissing)
    assert (event.error, event.origin) == (error.__cause__, "predict")
    with pytest.raises(StepFailed, match=r"step parse, event .*: the step raised KeyError: 'row'") as caught:
        plan.run(Event({}))
    assert caught.value.error_kind is ErrorKind.USER_CODE
    assert caught.value.facts["cause"] == "KeyError"


def test_a_step_refuses_an_event_with_a_rule() -> None:
    graph = Graph("g")
    graph.to(probe_steps.refuse)
    with pytest.raises(StepFailed, match=r"scheduled: must be a time such as 17:45\. Send HH:MM\.") as caught:
        graph.test({})
    assert caught.value.outcome.http == 422


def test_coroutine_steps_run_also_inside_a_running_loop() -> None:
    graph = Graph("g")
    graph.to(probe_steps.wait, seconds=0.001).to(probe_steps.Whole)

    async def notebook() -> Any:
        return graph.test("x", path="/other")

    assert graph.test("x", path="/here") == "/here"
    assert asyncio.run(notebook()) == "/other"


def test_a_step_may_take_the_whole_event() -> None:
    graph = Graph("g")
    graph.to(probe_steps.describe, full_event=True)
    reply = graph.test({"x": 1}, path="/p", headers={"user-agent": "test"})
    assert (reply["path"], reply["agent"], reply["body"]) == ("/p", "test", {"x": 1})
    assert len(reply["id"]) == 16


def test_run_and_stream_pretend_to_arrive_as_test_does() -> None:
    def seen(event: Event) -> Any:
        return [event.body, event.path, event.method, dict(event.headers)]

    def twice(event: Event) -> Any:
        yield from (event.path, event.headers["x-key"])

    arrived: dict[str, Any] = {"path": "/p", "method": "PUT", "headers": {"X-Key": "k"}}
    expected = [1, "/p", "PUT", {"x-key": "k"}]
    graph = Graph("g")
    graph.to(seen, full_event=True)
    for _ in range(2):  # opened, and then again without a detour
        assert asyncio.run(graph.run(1, **arrived)) == graph.test(1, **arrived) == expected
    assert asyncio.run(graph.run(1)) == [1, "/", "POST", {}]
    streaming = Graph("s")
    streaming.to(twice, full_event=True)
    assert list(streaming.stream(1, **arrived)) == ["/p", "k"]

    async def collected() -> list[Any]:
        return [reply async for reply in streaming.stream_async(1, **arrived)]

    assert asyncio.run(collected()) == ["/p", "k"]


def test_steps_are_functions_classes_objects_methods_and_paths() -> None:
    graph = Graph("g")
    counter = probe_steps.Counter()
    first = graph.to("probe_steps:scale", factor=2.0).to("operator.neg", name="negative")
    first.to(counter, name="object").to(lambda body: body["body"], name="unpack").to(counter.do, name="method")
    assert graph.test(3) == {"count": 2, "body": -6.0}
    assert graph.steps == ("scale", "negative", "object", "unpack", "method")


def test_the_specification_goes_there_and_back() -> None:
    graph = Graph("delays")
    graph.to(probe_steps.scale, factor=2.0).model("m", "models:/delays@champion").to(
        probe_steps.describe, full_event=True
    ).respond()
    spec = graph.to_spec()
    assert msgspec.json.decode(msgspec.json.encode(spec)) == {
        "name": "delays",
        "steps": [
            {"name": "scale", "kind": "call", "use": "probe_steps:scale", "arguments": {"factor": 2.0}},
            {"name": "m", "kind": "model", "use": "models:/delays@champion"},
            {
                "name": "describe",
                "kind": "call",
                "use": "probe_steps:describe",
                "full_event": True,
                "respond": True,
            },
        ],
    }
    assert Graph.from_spec(spec).to_spec() == spec
    assert Graph.from_spec(msgspec.json.decode(msgspec.json.encode(spec))).to_spec() == spec


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        (lambda body: body, {}, "cannot be found again in another process"),
        (probe_steps.Counter().do, {}, "cannot be found again"),
        (probe_steps.scale, {"factor": object()}, "the arguments must be JSON values"),
    ],
)
def test_what_cannot_be_written_down_cannot_be_deployed(step: Any, arguments: dict[str, Any], message: str) -> None:
    graph = Graph("g")
    graph.to(step, name="s", **arguments)
    with pytest.raises(GraphInvalid, match=f"graph g, step s: .*{message}"):
        graph.to_spec()


def test_a_specification_that_is_none_is_refused() -> None:
    with pytest.raises(GraphInvalid, match=r"graph g: the specification is not one of a graph: .*kind"):
        Graph.from_spec({"name": "g", "steps": [{"name": "s", "kind": "magic", "use": "x"}]})


def test_definitions_that_break_a_rule_are_refused() -> None:
    with pytest.raises(GraphInvalid, match="a graph's name is made of letters"):
        Graph("my graph")
    graph = Graph("g")
    with pytest.raises(GraphInvalid, match="graph g: it has no steps"):
        graph.test(1)
    with pytest.raises(GraphInvalid, match=r"needs one\. Say name="):
        graph.to(lambda body: body)
    with pytest.raises(GraphInvalid, match=r"a step is a function, .*, not int"):
        graph.to(3, name="three")
    first = graph.to(operator.neg)
    with pytest.raises(GraphInvalid, match="step neg: there is a step of this name already"):
        first.to(operator.neg)
    with pytest.raises(GraphInvalid, match="step m: a model is a reference, a class or a function, not ''"):
        first.model("m", "")
    first.to(operator.abs).respond()
    assert graph.test(-3) == 3
    first.respond()
    with pytest.raises(GraphInvalid, match="step abs: 'neg' replies already"):
        graph.test(-3)


@pytest.mark.parametrize(
    ("step", "arguments", "error", "message"),
    [
        (
            probe_steps.scale,
            {"factr": 2},
            GraphInvalid,
            r"unexpected keyword argument 'factr'\. Its signature is",
        ),
        (probe_steps.Counter, {"strt": 2}, GraphInvalid, "got an unexpected keyword argument 'strt'"),
        (probe_steps.Nothing, {}, GraphInvalid, r"the class Nothing has no method do\(body\)"),
        ("probe_steps:scal", {}, StepNotFound, "probe_steps has no 'scal'. Did you mean scale?"),
        ("no_such_module:x", {}, StepNotFound, "no module named 'no_such_module'"),
        ("nothing", {}, StepNotFound, "it is not a dotted path"),
    ],
)
def test_steps_that_do_not_fit_are_refused_when_the_graph_opens(
    step: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    graph = Graph("g")
    graph.to(step, name="s", **arguments)
    with pytest.raises(error, match=message):
        graph.open()


def test_a_model_step_needs_a_loader() -> None:
    with pytest.raises(ResourceMissing, match=r"graph delays, step predict: .* Hand it over: Resources\(models=…\)"):
        delays().open()


def test_an_id_is_made_when_it_is_asked_for_and_stays() -> None:
    event = Event()
    assert event.id == event.id
    assert event.id != Event().id
    assert "path='/'" in repr(event)
    with pytest.raises(AttributeError):
        event.colour = "red"  # type: ignore[attr-defined]


def test_the_case_of_header_names_does_not_matter() -> None:
    graph = Graph("g")
    graph.to(lambda event: event.headers.get("x-tenant"), name="tenant", full_event=True)
    for _ in range(2):  # the first call opens the graph, the second one finds it open
        assert graph.test({}, headers={"X-Tenant": "North"}) == "North"
    assert graph.trace({}, headers={"X-TENANT": "North"}).reply == "North"
