"""Several models in one step: where they run, which answer, in what shape, and what happens when one fails."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import probe_served
import pytest
from probe_models import fitted, save_model

from modelyard.errors import ErrorKind
from modelyard.graphs import Event, Graph, GraphInvalid, Resources, StepFailed, StepTimeout
from modelyard.graphs.models import Model, ModelRunner, ModelsFailed, ModelUnknown

PLACES = ["inline", "thread", "process", "dedicated"]


def running(**told: Any) -> Graph:
    graph = Graph("g")
    graph.model("run", ModelRunner, **told)
    return graph


def test_every_place_gives_the_same_answers_in_one_shape() -> None:
    models: dict[str, Any] = {
        place: {"use": "probe_served:half", "arguments": {"by": 4}, "concurrency": place} for place in PLACES
    }
    models["async"] = {"use": "probe_served:slowly", "concurrency": "async"}
    assert running(models=models).test(6.0) == {**dict.fromkeys(PLACES, 1.5), "async": 6.0}
    assert running(models=models, shape="list").test(6.0) == [1.5, 1.5, 1.5, 1.5, 6.0]


def test_each_model_runs_where_it_is_told_to() -> None:
    process = {"use": "probe_served:Process"}
    graph = running(
        models={
            "here": process,
            "pool": {**process, "concurrency": "process"},
            "one": {**process, "concurrency": "dedicated"},
            "other": {**process, "concurrency": "dedicated"},
        }
    )
    with graph.open() as plan:
        said = asyncio.run(plan.run_async(Event(0)))
        assert said["here"]["here"] == os.getpid()
        assert len({each["here"] for each in said.values()}) == 4
        assert {each["loaded_in"] for each in said.values()} == {os.getpid()}


def test_models_in_threads_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=60)

    class Meets(Model):
        def predict(self, inputs: Any) -> Any:
            meeting.wait()
            return threading.current_thread() is threading.main_thread()

    place = {"use": Meets, "concurrency": "thread"}
    assert running(models={"a": place, "b": place}).test(0) == {"a": False, "b": False}


def test_coroutines_run_at_the_same_time_and_an_inline_model_meanwhile() -> None:
    order: list[str] = []

    class Waits(Model):
        async def predict(self, inputs: Any) -> Any:
            order.append("waits")
            await asyncio.sleep(0)
            return "waited"

    class Works(Model):
        def predict(self, inputs: Any) -> Any:
            order.append("works")
            return "worked"

    graph = running(models={"works": Works, "waits": {"use": Waits}})
    assert graph.test(0) == {"works": "worked", "waits": "waited"}
    assert order == ["waits", "works"]


def test_a_model_cannot_change_the_body_of_another() -> None:
    class Spoils(Model):
        def predict(self, inputs: Any) -> Any:
            inputs["seen"] = True
            return len(inputs)

    body = {"x": 1}
    assert running(models={"a": Spoils, "b": Spoils, "c": Spoils}).test(body) == {"a": 2, "b": 2, "c": 2}


def test_a_field_selects_which_models_answer() -> None:
    graph = running(models={"neg": "probe_served:chosen", "pos": "probe_served:chosen"}, select="models")
    assert graph.test({"models": "pos"}) == {"pos": "pos"}
    assert graph.test({"models": ["pos", "neg"]}) == {"pos": ["pos", "neg"], "neg": ["pos", "neg"]}
    with pytest.raises(
        StepFailed, match=r"run: the selection names the model 'pso', which is not there\. Did you mean pos"
    ) as caught:
        graph.test({"models": "pso"})
    assert caught.value.error_kind is ErrorKind.NOT_FOUND
    assert isinstance(caught.value.cause, ModelUnknown)
    with pytest.raises(StepFailed, match="the selection names no model"):
        graph.test({"models": []})


def test_a_function_selects_and_one_answer_stands_alone() -> None:
    models = {"a": "probe_served:chosen", "b": "probe_served:chosen"}
    graph = running(models=models, select="probe_served:chosen", shape="single")
    assert graph.test({"models": "b"}) == "b"
    with pytest.raises(StepFailed, match="the selection names"):
        graph.test({"models": ["a", "b"]})
    assert running(models={"a": "operator:neg"}, shape="single").test(3) == -3


def test_one_model_has_the_same_shape_as_several() -> None:
    assert running(models={"a": "operator:neg"}).test(3) == {"a": -3}


@pytest.mark.parametrize("place", PLACES)
def test_a_model_that_fails_is_named_with_its_own_error(place: str) -> None:
    graph = running(
        models={
            "good": {"use": "operator:neg", "concurrency": place},
            "bad": {"use": "probe_served:fail", "concurrency": place},
        }
    )
    with pytest.raises(StepFailed) as caught:
        graph.test(3)
    failed = caught.value.cause
    assert isinstance(failed, ModelsFailed)
    assert str(failed).startswith("one model failed: bad: ValueError: cannot take 3")
    assert list(failed.failures) == ["bad"]
    assert isinstance(failed.failures["bad"], ValueError)


def test_two_that_fail_are_both_named() -> None:
    models = {"good": "operator:neg", "bad": "probe_served:fail", "worse": "probe_served:fail"}
    with pytest.raises(StepFailed) as caught:
        running(models=models).test("x")
    assert (
        "3 models failed: good: TypeError: bad operand type for unary -: 'str'; bad: ValueError: cannot take 'x'"
        in str(caught.value)
    )


def test_an_error_may_stand_in_place_of_the_answer() -> None:
    graph = running(models={"good": "operator:neg", "bad": "probe_served:fail"}, on_model_error="answer")
    assert graph.test(3) == {
        "good": -3,
        "bad": {"error": {"type": "ValueError", "kind": "user_code", "message": "cannot take 3"}},
    }
    with pytest.raises(StepFailed, match="2 models failed"):
        graph.test("x")


def test_many_bodies_are_one_call_of_each_model_and_an_error_is_raised_for_its_row() -> None:
    calls: list[Any] = []

    class Batched(Model):
        def predict(self, inputs: Any) -> Any:
            if inputs["x"] < 0:
                raise ValueError("negative")
            return inputs["x"]

        def predict_batch(self, inputs: Any) -> Any:
            calls.append(len(inputs))
            return [self.predict(each) for each in inputs]

    graph = running(models={"a": Batched, "b": Batched}, select="models")
    rows = [{"x": 1, "models": "a"}, {"x": 2, "models": ["b", "a"]}, {"x": 3, "models": "b"}]
    found = graph.map(rows)
    assert (list(found), found.vectorised, calls) == ([{"a": 1}, {"b": 2, "a": 2}, {"b": 3}], True, [2, 2])
    found = graph.map([*rows, {"x": -1, "models": "a"}])
    assert list(found)[:3] == [{"a": 1}, {"b": 2, "a": 2}, {"b": 3}]
    assert list(found.errors) == [3]
    assert "one model failed: a: ValueError: negative" in str(found.errors[3])


def test_a_list_of_rows_in_one_event_raises_as_one_row_does(tmp_path: Path) -> None:
    save_model(tmp_path / "one", fitted())
    save_model(tmp_path / "two", fitted(flip=True))
    graph = running(models={"a": "one", "b": "two"})
    assert graph.models == {"run.a": "one", "run.b": "two"}
    resources = Resources(models=probe_served.Folders(tmp_path))
    said = graph.test([[2.0, 0, 0], [-2.0, 0, 0]], resources=resources)
    assert {name: [each["label"] for each in answers] for name, answers in said.items()} == {
        "a": [True, False],
        "b": [False, True],
    }
    with pytest.raises(StepFailed, match="2 models failed: a: FeatureWrong: row 1: the model has 3 features") as caught:
        graph.test([[2.0, 0, 0], [1.0]], resources=resources)
    assert caught.value.error_kind is ErrorKind.INVALID


def test_references_of_the_models_can_be_exchanged(tmp_path: Path) -> None:
    save_model(tmp_path / "one", fitted())
    save_model(tmp_path / "two", fitted(flip=True))
    models = {"a": "one", "b": {"use": "probe_served:Referring", "source": "one", "concurrency": "thread"}}
    graph = running(models=models)
    assert graph.models == {"run.a": "one", "run.b": "one"}
    other = Graph.from_spec(graph.with_models({"run.b": "two"}).to_spec())
    assert other.models == {"run.a": "one", "run.b": "two"}
    said = other.test([2.0, 0.0, 0.0], resources=Resources(models=probe_served.Folders(tmp_path)))
    assert (said["a"]["label"], said["b"]) == (True, False)


def test_a_model_of_the_runner_is_exchanged_alone(tmp_path: Path) -> None:
    save_model(tmp_path / "one", fitted())
    save_model(tmp_path / "two", fitted(flip=True))
    folders = probe_served.Folders(tmp_path)
    with running(models={"a": "one", "b": "one"}).open(Resources(models=folders)) as plan:
        runner: Any = plan.models["run"].model()
        runner.members["b"].server.reload("two")
        said = plan.run(Event([2.0, 0.0, 0.0]))
        assert (said["a"]["label"], said["b"]["label"]) == (True, False)


def test_a_model_that_takes_too_long_is_given_up() -> None:
    slow = {"use": "probe_served:slowly", "arguments": {"seconds": 30}, "timeout": 0.05}
    graph = running(models={"fast": "operator:neg", "slow": slow}, on_model_error="answer")
    said = graph.test(3)
    assert said["fast"] == -3
    assert (said["slow"]["error"]["type"], said["slow"]["error"]["kind"]) == (StepTimeout.__name__, "timeout")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"models": {}}, "models maps names to models, not {}"),
        ({"models": {"a": "operator:neg"}, "shape": "tuple"}, "shape is one of mapping, list, single, not 'tuple'"),
        ({"models": {"a": "operator:neg"}, "on_model_error": "skip"}, "on_model_error is fail or answer, not 'skip'"),
        ({"models": {"a": "operator:neg", "b": "operator:abs"}, "shape": "single"}, "shape='single' needs a selection"),
        ({"models": {"a": {"use": "operator:neg", "place": "x"}}}, "the model 'a' has no setting place"),
        (
            {"models": {"a": {"use": "operator:neg", "concurrency": "gpu"}}},
            "concurrency of 'a' is one of inline, thread",
        ),
        ({"models": {"a": {"use": "operator:neg", "concurrency": "async"}}}, "no coroutine: concurrency is not async"),
        (
            {"models": {"a": {"use": "probe_served:slowly", "concurrency": "thread"}}},
            "a coroutine: concurrency is async",
        ),
        ({"models": {"a": "probe_served:Streaming"}}, "the model 'a' streams; a runner joins whole answers"),
        (
            {"models": {"a": {"use": "operator:neg", "timeout": 3}}},
            "timeout of 'a' is not negative, and not given inline",
        ),
        ({"models": {"a": "probe_served:Nothing"}}, "probe_served has no 'Nothing'"),
    ],
)
def test_what_is_told_wrong_is_refused(told: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphInvalid, match="graph g, step run") as caught:
        running(**told).open()
    assert message in str(caught.value)


def test_closing_the_graph_closes_every_model() -> None:
    closed: list[str] = []

    class Closing(Model):
        def __init__(self, mark: str) -> None:
            self.mark = mark

        def predict(self, inputs: Any) -> Any:
            return self.mark

        def close(self) -> None:
            closed.append(self.mark)

    models = {name: {"use": Closing, "arguments": {"mark": name}} for name in "ab"}
    with running(models=models).open() as plan:
        assert plan.run(Event(0)) == {"a": "a", "b": "b"}
        assert closed == []
    assert closed == ["a", "b"]
