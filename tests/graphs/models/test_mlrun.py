"""What MLRun 1.12.1 gets wrong in its model servers and ModelRunner, done right here: a test for each, with values."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import probe_served
import pytest
from probe_models import fitted, save_model

from modelyard.errors import ErrorKind
from modelyard.graphs import Graph, Resources, StepFailed
from modelyard.graphs.models import Model, ModelRunner, ModelsFailed, model_operation


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    save_model(tmp_path / "delays", fitted())
    return Resources(models=probe_served.Folders(tmp_path))


def running(**told: Any) -> Graph:
    graph = Graph("g")
    graph.model("run", ModelRunner, **told)
    return graph


def test_the_signature_is_enforced_when_a_model_serves(resources: Resources) -> None:
    """MLRun puts the values of a row in order, and checks nothing."""
    graph = Graph("g")
    graph.model("m", "delays")
    expected = graph.test([2.0, 0.0, 0.5], resources=resources)
    assert graph.test({"c": 0.5, "a": 2.0, "b": 0.0}, resources=resources) == expected
    for body, rule in (
        ({"c": 0.5, "a": 2.0}, "row 0: the feature 'b' is missing"),
        ({"a": "2", "b": 0.0, "c": 0.5}, "row 0: the feature 'a' must be a number, got '2'"),
        ([2.0, 0.0], "row 0: the model has 3 features, the row has 2 values"),
    ):
        with pytest.raises(StepFailed, match=rule) as caught:
            graph.test(body, resources=resources)
        assert caught.value.error_kind is ErrorKind.INVALID


def test_metadata_is_that_of_the_open_inference_protocol(resources: Resources) -> None:
    """MLRun's "V2" has no names, shapes and datatypes."""
    graph = Graph("g")
    graph.model("m", "delays")
    described = graph.test(None, path="/v2/models/m", method="GET", resources=resources)
    assert described["inputs"][1] == {"name": "b", "datatype": "FP64", "shape": [-1, 1]}
    assert [each["name"] for each in described["outputs"]] == ["label", "probability"]
    assert graph.test(None, path="/v2/models/m/ready", method="GET", resources=resources) == {
        "name": "m",
        "ready": True,
    }


def test_nothing_of_the_server_is_put_into_the_body_or_the_reply() -> None:
    """MLRun puts background_task_state into the body, and replies with it after a custom operation."""

    class Echo(Model):
        def predict(self, inputs: Any) -> Any:
            return inputs

        @model_operation()
        def echo(self, body: Any) -> Any:
            return body

    graph = Graph("g")
    graph.model("m", Echo)
    body = {"x": 1}
    assert graph.test(body, path="/v2/models/m/echo") == {"x": 1}
    assert graph.test(body) == {"x": 1}
    assert body == {"x": 1}


def test_an_operation_that_is_not_there_is_no_prediction() -> None:
    graph = Graph("g")
    graph.model("m", probe_served.Times)
    with pytest.raises(StepFailed, match="no operation 'explain'") as caught:
        graph.test(2, path="/v2/models/m/explain")
    assert caught.value.outcome.http == 404


def test_the_shape_of_the_reply_does_not_depend_on_the_number_of_models() -> None:
    """MLRun's ModelRunner gives one model's answer alone, and a mapping of several."""
    one, two = {"a": "operator:neg"}, {"a": "operator:neg", "b": "operator:abs"}
    assert running(models=one).test(-2) == {"a": 2}
    assert running(models=two).test(-2) == {"a": 2, "b": 2}
    assert running(models=two, select="probe_served:chosen_a", shape="single").test(-2) == 2


def test_an_error_names_the_models_that_failed_and_no_others() -> None:
    """MLRun: ``ModelRunnerError: a None; b ValueError: …``."""
    graph = running(models={"a": "operator:neg", "b": "probe_served:fail"})
    with pytest.raises(StepFailed) as caught:
        graph.test(3)
    failed = caught.value.cause
    assert isinstance(failed, ModelsFailed)
    assert (str(failed), list(failed.failures)) == ("one model failed: b: ValueError: cannot take 3.", ["b"])


@pytest.mark.parametrize("place", ["inline", "thread"])
def test_batched_events_raise_as_single_ones_do(place: str) -> None:
    """MLRun's ModelRunner with several models replies to a batch as if nothing had happened."""
    graph = running(
        models={
            "good": {"use": "probe_served:doubled", "concurrency": place},
            "bad": {"use": "probe_served:fail", "concurrency": place},
        }
    )
    rows = graph.map([1, 2])
    assert (list(rows), sorted(rows.errors)) == ([None, None], [0, 1])
    assert "one model failed: bad: ValueError: cannot take 2" in str(rows.errors[1])
    with pytest.raises(StepFailed, match=r"bad: ValueError: cannot take \[1, 2\]"):
        graph.test([1, 2])


def test_a_runner_works_in_a_graph_without_coroutines() -> None:
    """MLRun's ModelRunner needs its asynchronous engine."""
    graph = running(models={"a": "operator:neg", "b": "operator:abs"})
    assert not graph.open().is_async
    assert graph.test(-1) == {"a": 1, "b": 1}


def test_what_no_process_can_be_sent_is_told_when_the_graph_opens() -> None:
    """MLRun fails with a pickling error at the first request (#8511)."""
    from modelyard.graphs.models import ModelNotLoaded

    graph = running(models={"a": {"use": "probe_served:Unsendable", "concurrency": "process"}})
    with pytest.raises(
        Exception, match="the model cannot be sent to a process: cannot pickle 'generator' object"
    ) as caught:
        graph.open()
    assert not isinstance(caught.value, ModelNotLoaded)


def test_several_models_stream_in_one_event_and_on_top_of_each_other() -> None:
    """MLRun: only one streaming model for each event, and "streaming on top of streaming is not allowed"."""

    class Letters(Model):
        def predict(self, inputs: Any) -> Iterator[Any]:
            yield from inputs

    graph = Graph("g")
    graph.model("words", probe_served.Streaming).model("letters", Letters)
    assert list(graph.stream("to be")) == ["T", "O", "B", "E"]


def test_a_streaming_model_may_be_mapped_over_many_events() -> None:
    """MLRun cannot run a streaming graph as a job."""
    graph = Graph("g")
    graph.model("words", probe_served.Streaming)
    assert list(graph.map(["to be", "or"])) == [["TO", "BE"], ["OR"]]


def test_explanations_come_with_the_model_server(resources: Resources) -> None:
    """MLRun leaves explain to the user."""
    pytest.importorskip("shap")
    graph = Graph("g")
    graph.model("m", "delays", background=[[0.0, 0.0, 0.0]])
    said = graph.test([2.0, 0.0, 0.0], path="/v2/models/m/explain", resources=resources)
    assert list(said["contributions"]) == ["a", "b", "c"]
    assert said["contributions"]["a"] == pytest.approx(2 * float(fitted().coef_[0, 0]))
