"""Versions side by side, ways to ask for them, exchange while requests are inside, worker processes."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import probe_served
import pytest
from probe_models import fitted, save_model

from modelyard.errors import ErrorKind
from modelyard.graphs import Event, Graph, GraphInvalid, Plan, PlanClosed, Resources, StepFailed
from modelyard.graphs.models import (
    Model,
    ModelNotLoaded,
    ReloadRefused,
    VersionUnknown,
    WarmUpFailed,
    model_operation,
)

ROW = {"a": 2.0, "b": 0.0, "c": 0.0}


@pytest.fixture
def folders(tmp_path: Path) -> probe_served.Folders:
    save_model(tmp_path / "delays", fitted())
    save_model(tmp_path / "flipped", fitted(flip=True))
    return probe_served.Folders(tmp_path)


def versions(**arguments: Any) -> Graph:
    graph = Graph("g")
    graph.model("m", probe_served.Times, versions={"1": {"factor": 1}, "2": {"factor": 2}}, default="2", **arguments)
    return graph


def test_a_version_is_chosen_by_path_or_header_and_the_default_otherwise() -> None:
    graph = versions()
    assert graph.test(5) == 10
    assert graph.test(5, path="/v2/models/m/versions/1/infer") == 5
    assert graph.test(5, path="/v2/models/m/versions/1") == 5
    assert graph.test(5, headers={"x-model-version": "1"}) == 5
    assert graph.test(5, path="/v2/models/m/versions/2/infer", headers={"x-model-version": "1"}) == 10


def test_a_version_that_is_not_there_is_refused() -> None:
    for asked in ({"path": "/v2/models/m/versions/3/infer"}, {"headers": {"x-model-version": "3"}}):
        with pytest.raises(StepFailed, match=r"m: the model has no version '3'\. Known: 1, 2\.") as caught:
            versions().test(5, **asked)  # type: ignore[arg-type]
        assert caught.value.error_kind is ErrorKind.NOT_FOUND


def test_fields_of_the_body_name_version_and_operation_and_are_taken_out() -> None:
    class Echo(Model):
        def __init__(self, mark: str = "") -> None:
            self.mark = mark

        def predict(self, inputs: Any) -> Any:
            return [self.mark, inputs]

        @model_operation()
        def keys(self, body: Any) -> Any:
            return sorted(body)

    graph = Graph("g")
    told = {"versions": {"1": {"mark": "one"}, "2": {"mark": "two"}}, "default": "1"}
    graph.model("m", Echo, **told, operation_field="do", version_field="version")  # type: ignore[arg-type]
    body = {"x": 1, "version": "2"}
    assert graph.test(body) == ["two", {"x": 1}]
    assert body == {"x": 1, "version": "2"}
    assert graph.test({"x": 1}) == ["one", {"x": 1}]
    assert graph.test({"x": 1, "do": "keys", "version": 2}) == ["x"]
    assert graph.test([1, 2]) == ["one", [1, 2]]
    with pytest.raises(StepFailed, match="the model has no operation 'nothing'"):
        graph.test({"do": "nothing"})
    assert list(graph.map([{"x": 1, "version": "2"}])) == [["two", {"x": 1}]]


def test_metadata_and_metrics_tell_about_each_version() -> None:
    graph = versions()
    described = {
        "name": "m",
        "versions": ["1", "2"],
        "platform": "python",
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 1]}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1, 1]}],
    }
    assert graph.test(None, path="/v2/models/m", method="GET") == described
    assert graph.test(None, path="/v2/models/m/metrics", method="GET") == {"factor": 2}
    assert graph.test(None, path="/v2/models/m/versions/1/metrics", method="GET") == {"factor": 1}
    assert graph.open().models["m"].metrics() == {"1": {"factor": 1}, "2": {"factor": 2}}


def test_versions_are_references_of_the_graph(folders: probe_served.Folders) -> None:
    graph = Graph("g")
    graph.model("m", versions={"1": "delays", "2": "flipped"}, default="1")
    assert graph.models == {"m.1": "delays", "m.2": "flipped"}
    resources = Resources(models=folders)
    assert graph.test(ROW, resources=resources)["label"] is True
    assert graph.test(ROW, resources=resources, path="/v2/models/m/versions/2/infer")["label"] is False
    other = graph.with_models({"m.2": "delays"})
    assert other.models == {"m.1": "delays", "m.2": "delays"}
    assert Graph.from_spec(other.to_spec()).models == other.models
    assert graph.open(resources).models["m"].name == "models:/delays/1"


def test_a_class_loads_what_its_source_names(folders: probe_served.Folders) -> None:
    graph = Graph("g")
    graph.model("m", probe_served.Referring, source="delays")
    assert graph.models == {"m": "delays"}
    assert graph.test([2.0, 0, 0], resources=Resources(models=folders)) is True
    other = Graph.from_spec(graph.with_models({"m": "flipped"}).to_spec())
    assert (other.models, other.to_spec().steps[0].use) == ({"m": "flipped"}, "probe_served:Referring")
    assert other.test([2.0, 0, 0], resources=Resources(models=folders)) is False


def test_reloading_takes_what_the_reference_names_now(folders: probe_served.Folders) -> None:
    graph = Graph("g")
    graph.model("m", "live")
    folders.names["live"] = "delays"
    with graph.open(Resources(models=folders)) as plan:
        assert plan.run(Event(ROW))["label"] is True
        folders.names["live"] = "flipped"
        assert plan.run(Event(ROW))["label"] is True
        assert plan.models["m"].reload() == "models:/flipped/1"
        assert (plan.models["m"].name, plan.run(Event(ROW))["label"]) == ("models:/flipped/1", False)
        assert plan.models["m"].reload("delays") == "models:/delays/1"
        assert plan.run(Event(ROW))["label"] is True


def test_a_reload_that_fails_leaves_the_old_model_serving(folders: probe_served.Folders) -> None:
    graph = Graph("g")
    graph.model("m", "delays")
    with graph.open(Resources(models=folders)) as plan:
        with pytest.raises(ModelNotLoaded, match="FileNotFoundError"):
            plan.models["m"].reload("gone")
        assert (plan.models["m"].name, plan.run(Event(ROW))["label"]) == ("models:/delays/1", True)
        with pytest.raises(VersionUnknown, match="no version '7'"):
            plan.models["m"].reload(version="7")


class Gated(Model):
    """Holds a request until it is let go; counts what happens to it."""

    generation = 0
    closed: ClassVar[list[int]] = []
    fails = False

    def load(self) -> None:
        Gated.generation += 1
        self.mine = Gated.generation
        self.inside, self.go = threading.Event(), threading.Event()

    def example(self) -> Any:
        return "warm"

    def predict(self, inputs: Any) -> Any:
        if inputs == "warm":
            if Gated.fails:
                raise ValueError("cold")
            return self.mine
        if inputs == "wait":
            self.inside.set()
            assert self.go.wait(60)
        return self.mine

    def close(self) -> None:
        Gated.closed.append(self.mine)


@pytest.fixture
def gated() -> Plan:
    Gated.generation, Gated.closed, Gated.fails = 0, [], False
    graph = Graph("g")
    graph.model("m", Gated)
    return graph.open()


def test_a_request_that_is_inside_finishes_in_the_old_model(gated: Plan) -> None:
    said: list[Any] = []
    old = gated.models["m"].model()
    request = threading.Thread(target=lambda: said.append(gated.run(Event("wait"))))
    request.start()
    assert old.inside.wait(60)
    gated.models["m"].reload()
    assert gated.run(Event(0)) == 2
    assert (said, Gated.closed) == ([], [])
    old.go.set()
    request.join(60)
    assert (said, Gated.closed) == ([1], [1])
    gated.close()
    assert Gated.closed == [1, 2]
    with pytest.raises(PlanClosed):
        gated.run(Event(0))


def test_a_new_model_that_fails_its_warm_up_never_serves(gated: Plan) -> None:
    Gated.fails = True
    with pytest.raises(WarmUpFailed, match="ValueError: cold"):
        gated.models["m"].reload()
    assert (gated.run(Event(0)), Gated.closed) == (1, [2])
    gated.close()


def test_no_request_is_dropped_while_models_are_exchanged(gated: Plan) -> None:
    said: list[Any] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                said.append(gated.run(Event(0)))
            except BaseException as error:  # noqa: BLE001
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        gated.models["m"].reload()
    done.set()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(said) > 50
    assert gated.run(Event(0)) == 51
    assert sorted(Gated.closed) == list(range(1, 51))
    gated.close()


def test_a_stream_goes_on_in_the_old_model() -> None:
    closed: list[str] = []

    class Words(Model):
        def __init__(self, mark: str = "a") -> None:
            self.mark = mark

        def predict(self, inputs: Any) -> Any:
            for index in range(inputs):
                yield f"{self.mark}{index}"

        def close(self) -> None:
            closed.append(self.mark)

    graph = Graph("g")
    graph.model("m", Words)
    plan = graph.open()
    words = plan.stream(Event(3))
    assert next(words) == "a0"
    plan.models["m"].reload()
    assert closed == []
    assert list(words) == ["a1", "a2"]
    assert closed == ["a"]
    assert list(plan.stream(Event(1))) == ["a0"]
    plan.close()


def test_a_coroutine_that_is_inside_finishes_in_the_old_model() -> None:
    closed: list[int] = []
    made: list[Any] = []

    class Waiting(Model):
        def load(self) -> None:
            made.append(self)
            self.mine = len(made)

        async def predict(self, inputs: Any) -> Any:
            if inputs == "wait":
                self.inside.set()
                await self.go.wait()
            return self.mine

        def close(self) -> None:
            closed.append(self.mine)

    async def work() -> Any:
        graph = Graph("g")
        graph.model("m", Waiting)
        plan = graph.open()
        made[0].inside, made[0].go = asyncio.Event(), asyncio.Event()
        request = asyncio.ensure_future(plan.run_async(Event("wait")))
        await made[0].inside.wait()
        await asyncio.to_thread(plan.models["m"].reload)
        second = await plan.run_async(Event(0))
        before = list(closed)
        made[0].go.set()
        return await request, second, before

    assert asyncio.run(work()) == (1, 2, [])
    assert closed == [1]


@pytest.mark.parametrize("concurrency", ["process", "dedicated"])
def test_a_model_in_worker_processes_is_loaded_once_here_and_sent(concurrency: str) -> None:
    graph = Graph("g")
    graph.model("m", probe_served.Process, concurrency=concurrency)
    with graph.open() as plan:
        first, second = (plan.run(Event(0)) for _ in range(2))
        assert first["here"] != os.getpid()
        assert first["loaded_in"] == second["loaded_in"] == os.getpid()
        with pytest.raises(StepFailed, match="ValueError: no such input"):
            plan.run(Event("fail"))
        with pytest.raises(ReloadRefused, match="it runs in worker processes, which have copies of it"):
            plan.models["m"].reload()


def test_the_file_that_workers_read_goes_with_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    graph = Graph("g")
    graph.model("m", probe_served.Process, concurrency="process").model("n", probe_served.Times)
    with graph.open():
        assert len(list(tmp_path.glob("modelyard-model-*"))) == 1
    assert list(tmp_path.iterdir()) == []
    graph = Graph("g")
    graph.model("m", probe_served.Unsendable, concurrency="process")
    with pytest.raises(GraphInvalid):
        graph.open()
    assert list(tmp_path.iterdir()) == []


def test_operations_and_versions_work_in_worker_processes() -> None:
    graph = Graph("g")
    told = {"versions": {"1": {"factor": 1}, "2": {"factor": 2}}, "default": "1"}
    graph.model("m", probe_served.Times, **told, concurrency="process")  # type: ignore[arg-type]
    assert graph.test(4) == 4
    assert graph.test(4, path="/v2/models/m/versions/2/infer") == 8
    assert graph.test(None, path="/v2/models/m/metrics", method="GET") == {"factor": 1}


def test_a_scikit_learn_model_runs_in_worker_processes(folders: probe_served.Folders) -> None:
    graph = Graph("g")
    graph.model("m", "delays", concurrency="process")
    inline = Graph("g")
    inline.model("m", "delays")
    resources = Resources(models=folders)
    assert graph.test(ROW, resources=resources) == inline.test(ROW, resources=resources)


def test_what_cannot_be_sent_to_a_process_is_refused() -> None:
    graph = Graph("g")
    graph.model("m", probe_served.Unsendable, concurrency="process")
    with pytest.raises(GraphInvalid, match="step m: the model cannot be sent to a process: cannot pickle 'generator'"):
        graph.open()
    graph = Graph("g")
    graph.model("m", probe_served.HookedAsync, concurrency="process")
    with pytest.raises(GraphInvalid, match="a model that is a coroutine or streams runs on the event loop"):
        graph.open()


def test_reloading_refuses_a_model_that_is_called_in_another_way() -> None:
    class Changing(Model):
        waits = False

        def __new__(cls) -> Any:
            return super().__new__(Waits if Changing.waits else cls)

        def predict(self, inputs: Any) -> Any:
            return inputs

    class Waits(Changing):
        async def predict(self, inputs: Any) -> Any:
            return inputs

    graph = Graph("g")
    graph.model("m", Changing)
    with graph.open() as plan:
        Changing.waits = True
        with pytest.raises(ReloadRefused, match="the new model is called in another way than the old one"):
            plan.models["m"].reload()
        assert plan.run(Event(3)) == 3


def test_the_batch_goes_through_the_hooks_as_each_row_does() -> None:
    calls: list[Any] = []

    class Batched(Model):
        def preprocess(self, body: Any) -> Any:
            return body["x"]

        def validate(self, inputs: Any) -> Any:
            if inputs < 0:
                raise ValueError("negative")

        def predict(self, inputs: Any) -> Any:
            return inputs * 2

        def predict_batch(self, inputs: Any) -> Any:
            calls.append(inputs)
            return [each * 2 for each in inputs]

        def postprocess(self, outputs: Any) -> Any:
            return {"y": outputs}

    graph = Graph("g")
    graph.model("m", Batched)
    rows = graph.map([{"x": 1}, {"x": 2}])
    assert (list(rows), rows.vectorised, calls) == ([{"y": 2}, {"y": 4}], True, [[1, 2]])
    rows = graph.map([{"x": 1}, {"x": -1}])
    assert (rows.vectorised, list(rows), list(rows.errors)) == (False, [{"y": 2}, None], [1])
    assert np.array_equal(rows[0]["y"], 2)


def test_a_model_is_not_reloaded_after_its_plan_is_closed() -> None:
    probe: list[str] = []

    class Noting(Model):
        def load(self) -> None:
            probe.append("loaded")

        def predict(self, inputs: Any) -> Any:
            return inputs

        def close(self) -> None:
            probe.append("closed")

    graph = Graph("g")
    graph.model("m", Noting)
    plan = graph.open()
    plan.close()
    with pytest.raises(PlanClosed, match="graph g"):
        plan.models["m"].reload()
    assert probe == ["loaded", "closed"]


def test_a_model_whose_plan_closes_while_it_is_loaded_is_closed_again() -> None:
    probe: list[str] = []
    plans: list[Plan] = []

    class Closing(Model):
        def load(self) -> None:
            probe.append("loaded")
            if plans:
                plans[0].close()

        def predict(self, inputs: Any) -> Any:
            return inputs

        def close(self) -> None:
            probe.append("closed")

    graph = Graph("g")
    graph.model("m", Closing)
    plans.append(graph.open())
    with pytest.raises(PlanClosed, match="graph g"):
        plans[0].models["m"].reload()
    assert probe == ["loaded", "loaded", "closed", "closed"]
