"""The hooks of a model: when each is called, in which ways a model can be written."""

import asyncio
from typing import Any

import probe_served
import pytest

from modelyard.errors import ErrorKind
from modelyard.graphs import EventInvalid, Graph, GraphInvalid, OpeningFailed, StepFailed
from modelyard.graphs.models import (
    FunctionModel,
    Model,
    ModelNotLoaded,
    ModelNotReady,
    OperationUnknown,
    WarmUpFailed,
    model_operation,
)


def served(model: Any, **arguments: Any) -> Graph:
    graph = Graph("g")
    graph.model("m", model, **arguments)
    return graph


def built(graph: Graph) -> Any:
    return graph.open().models["m"].model()


def test_the_hooks_are_called_in_their_order() -> None:
    plan = served(probe_served.Hooked).open()
    model = plan.models["m"].model()
    assert model.calls == ["load", "example"]
    from modelyard.graphs import Event

    assert plan.run(Event(1)) == {"answer": 20}
    assert model.calls[2:] == ["ready", ("preprocess", 1), ("validate", 2), ("predict", 2), ("postprocess", 20)]
    model.calls.clear()
    assert plan.run(Event(1, path="/v2/models/m/explain")) == {"because": 2}
    assert model.calls == ["ready", ("preprocess", 1), ("validate", 2), ("explain", 2)]
    model.calls.clear()
    assert plan.run(Event(7, path="/v2/models/m/threshold")) == 7
    assert model.calls == ["ready", ("threshold", 7)]
    model.calls.clear()
    plan.close()
    assert model.calls == ["close"]


def test_what_validate_raises_refuses_the_request() -> None:
    with pytest.raises(StepFailed, match=r"step m, event .*: body: must be above -1") as caught:
        served(probe_served.Hooked).test(-5)
    assert caught.value.error_kind is ErrorKind.INVALID
    assert isinstance(caught.value.cause, EventInvalid)


def test_hooks_may_be_coroutines() -> None:
    graph = served(probe_served.HookedAsync)
    assert graph.test(1) == {"answer": 20, "loaded": True}
    assert graph.test(7, path="/v2/models/m/threshold") == 7
    assert graph.test(None, path="/v2/models/m/ready", method="GET") == {"name": "m", "ready": True}
    assert asyncio.run(graph.run(1)) == {"answer": 20, "loaded": True}
    with pytest.raises(StepFailed, match="must be above -1"):
        graph.test(-5)


def test_a_generator_streams_and_each_chunk_is_postprocessed() -> None:
    graph = served(probe_served.Streaming)
    assert list(graph.stream("to be or")) == ["TO", "BE", "OR"]
    assert graph.test("to be") == ["TO", "BE"]
    assert graph.test("to be or", path="/v2/models/m/count") == [3]
    shouted = served(probe_served.StreamingAsync)
    assert shouted.test("to be") == ["to", "be"]


def test_several_streaming_models_follow_each_other() -> None:
    graph = Graph("g")
    graph.model("words", probe_served.Streaming).model("letters", probe_served.StreamingAsync)
    assert graph.test("a b") == ["A", "B"]


def test_a_model_is_asked_only_when_it_is_ready() -> None:
    graph = served(probe_served.Switched)
    probe_served.Switched.is_ready = False
    for path in ("/", "/v2/models/m/echo"):
        with pytest.raises(
            StepFailed, match=r"the model is not ready: its ready\(\) says no\. Ask again later"
        ) as caught:
            graph.test(1, path=path)
        assert caught.value.error_kind is ErrorKind.UNAVAILABLE
        assert isinstance(caught.value.cause, ModelNotReady)
    assert graph.test(None, path="/v2/models/m/ready", method="GET") == {"name": "m", "ready": False}
    probe_served.Switched.is_ready = True
    try:
        assert graph.test(1) == 1
        assert graph.test(2, path="/v2/models/m/echo") == 2
    finally:
        probe_served.Switched.is_ready = False


def test_an_operation_may_take_the_event() -> None:
    graph = served(probe_served.Hooked)
    assert graph.test(0, path="/v2/models/m/who-asks", headers={"user-agent": "curl"}) == "curl"


def test_an_operation_that_is_not_there_is_refused_and_the_near_one_named() -> None:
    with pytest.raises(StepFailed) as caught:
        served(probe_served.Hooked).test(0, path="/v2/models/m/treshold")
    assert str(caught.value).endswith("m: the model has no operation 'treshold'. Did you mean threshold?")
    assert caught.value.error_kind is ErrorKind.NOT_FOUND
    assert isinstance(caught.value.cause, OperationUnknown)
    assert caught.value.cause.facts["known"] == [
        *("infer", "predict", "explain", "threshold", "who-asks", "metadata", "metrics", "ready")
    ]
    with pytest.raises(StepFailed, match="the model has no operation 'explain'"):
        served(probe_served.Times).test(0, path="/v2/models/m/explain")


def test_paths_of_other_things_are_predictions() -> None:
    graph = served(probe_served.Times)
    assert graph.test(2, path="/score") == 4
    assert graph.test(2, path="/v2/models/other/explain") == 4
    assert graph.test(2, path="/v2/models/g/infer") == 4
    assert graph.test(2, path="/v2/models/m/predict") == 4
    assert graph.test(2, path="/v2/models/m") == 4


def test_an_inherited_operation_stays_one_and_may_be_replaced() -> None:
    class First(Model):
        def predict(self, inputs: Any) -> Any:
            return inputs

        @model_operation()
        def limit(self, body: Any) -> Any:
            return 1

    class Second(First):
        def limit(self, body: Any) -> Any:
            return 2

    assert served(First).test(0, path="/v2/models/m/limit") == 1
    assert served(Second).test(0, path="/v2/models/m/limit") == 2


def test_the_model_is_warmed_up_with_its_example_before_any_request() -> None:
    class Warm(Model):
        def __init__(self, fails: bool = False) -> None:
            self.seen: list[Any] = []
            self.fails = fails

        def example(self) -> Any:
            return {"x": 1}

        def predict(self, inputs: Any) -> Any:
            self.seen.append(inputs)
            if self.fails:
                raise KeyError("y")
            return inputs

    assert built(served(Warm)).seen == [{"x": 1}]
    assert built(served(Warm, warm_up=False)).seen == []
    with pytest.raises(WarmUpFailed) as caught:
        served(Warm, fails=True).open()
    assert str(caught.value) == (
        "m: the model fails on its own example: KeyError: 'y'. "
        "Mend the model or its input example, or say warm_up=False."
    )
    assert built(served(Warm, fails=True, warm_up=False)).seen == []


def test_a_model_that_cannot_be_loaded_is_named() -> None:
    class Broken(Model):
        def load(self) -> None:
            raise RuntimeError("no weights")

        def predict(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(ModelNotLoaded, match=r"^m: the model cannot be loaded: RuntimeError: no weights\.$"):
        served(Broken).open()


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (probe_served.Times, {"fcator": 3}, "unexpected keyword argument 'fcator'. Times takes"),
        (dict, {}, "the class dict is no model: it extends modelyard.graphs.models.Model, with predict"),
        (Model, {}, "the class Model is no model"),
        ("probe_served:half", {"nonsense": 1}, ""),
        (probe_served.Times, {"default": "2"}, "default names a version, and there are no versions"),
        (probe_served.Times, {"versions": {}}, "versions maps each version to its reference or arguments"),
        (probe_served.Times, {"versions": {"1": {}, "2": {}}}, "default names one of the versions 1, 2, not ''"),
        (probe_served.Times, {"versions": {"1": 3}}, "a version is a reference or arguments, not 3"),
        ("models:/x/1", {"output": "labels"}, "output is one of answer, label, value, probabilities, not 'labels'"),
        ("models:/x/1", {"compile": "tvm"}, "compile is onnx or empty, not 'tvm'"),
        ("models:/x/1", {"tolerance": 0}, "tolerance is above 0, not 0"),
        ("models:/x/1", {"source": "models:/y/1"}, "a model that is named by its reference has no source besides"),
    ],
)
def test_what_is_told_wrong_is_refused_when_the_graph_opens(model: Any, arguments: Any, message: str) -> None:
    if not message:
        with pytest.raises(StepFailed, match="unexpected keyword argument 'nonsense'"):
            served(model, **arguments).test(1)
        return
    with pytest.raises(GraphInvalid, match="graph g, step m") as caught:
        served(model, **arguments).open()
    assert message in str(caught.value)


def test_what_is_no_model_is_refused_at_once() -> None:
    with pytest.raises(GraphInvalid, match="a model is a reference, a class or a function, not 3"):
        served(3)


def test_a_function_is_a_model() -> None:
    assert served("probe_served:half", by=4).test(6) == 1.5
    assert served(probe_served.half).test(6) == 3.0
    assert served("probe_served:slowly").test(5) == 5
    assert served(FunctionModel, function="probe_served:half", example=3).test(1) == 0.5
    with pytest.raises(WarmUpFailed, match="cannot take 0"):
        served(FunctionModel, function="probe_served:fail", example=0).open()
    with pytest.raises(GraphInvalid, match="function is a function or its dotted path, not 3"):
        served(FunctionModel, function=3).open()


def test_a_function_that_takes_many_bodies_is_called_once_for_all() -> None:
    calls: list[Any] = []

    def doubled(body: Any) -> Any:
        calls.append(body)
        return [2 * each for each in body] if isinstance(body, list) else 2 * body

    graph = Graph("g")
    graph.model("m", doubled, batch=True)
    rows = graph.map([1, 2, 3])
    assert (list(rows), rows.vectorised, calls) == ([2, 4, 6], True, [[1, 2, 3]])
    assert graph.test(5) == 10


def test_a_model_may_ask_for_resources_when_it_loads() -> None:
    class Reader(Model):
        def load(self) -> None:
            self.factor = self.context.resource("factor")

        def predict(self, inputs: Any) -> Any:
            return inputs * self.factor

    graph = Graph("g").resource("factor", lambda: 7)
    graph.model("m", Reader)
    assert graph.test(3) == 21


def test_what_was_loaded_is_closed_if_a_later_model_fails() -> None:
    closed: list[str] = []

    class First(Model):
        def close(self) -> None:
            closed.append("first")

        def predict(self, inputs: Any) -> Any:
            return inputs

    class Second(First):
        def load(self) -> None:
            raise OSError("gone")

        def close(self) -> None:
            closed.append("second")

    graph = Graph("g")
    graph.model("a", First).model("b", Second)
    with pytest.raises((ModelNotLoaded, OpeningFailed), match="OSError: gone"):
        graph.open()
    assert sorted(closed) == ["first", "second"]
