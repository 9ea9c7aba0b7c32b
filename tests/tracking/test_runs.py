import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from modelyard.data.sources import DatasetSource
from modelyard.operations import OperationCancelled
from modelyard.projects import Environment
from modelyard.tracking import RunFinished, RunSuperseded, Terminated, Tracking, TrackingRefused, run_tags


@pytest.fixture
def plain(environment: Environment, tracking: Tracking) -> MlflowClient:
    """MLflow's own client, with nothing of ours between."""
    return MlflowClient(environment.tracking)


def status(client: MlflowClient, run_id: str) -> str:
    return str(client.get_run(run_id).info.status)


def test_a_run_records_what_it_is_told(tracking: Tracking, plain: MlflowClient) -> None:
    with tracking.start_run("train", tags={"modelyard.commit": "abc"}) as run:
        run.log_params(
            {"depth": 3, "rate": 0.1, "loss": {"name": "log", "weights": [1, 2]}, "note": "ünï", "none": None}
        )
        run.log_metrics({"auc": 0.75, "broken": float("nan")})
        run.log_metrics({"loss": 0.5}, step=0)
        run.log_metrics({"loss": 0.25}, step=1)
        run.set_tags({"why": "because"})
        run.log_artifact("a,b\n", "tables/counts.csv")
        run.log_artifact(b"\x00\x01", "raw.bin")
    found = plain.get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "train"
    assert found.data.params == {
        "depth": "3",
        "rate": "0.1",
        "loss.name": "log",
        "loss.weights": "[1, 2]",
        "note": "ünï",
        "none": "null",
    }
    assert found.data.metrics["auc"] == 0.75
    assert found.data.metrics["broken"] != found.data.metrics["broken"]
    assert [(each.step, each.value) for each in plain.get_metric_history(run.run_id, "loss")] == [(0, 0.5), (1, 0.25)]
    assert found.data.tags["why"] == "because"
    assert found.data.tags["modelyard.commit"] == "abc"
    assert found.data.tags["modelyard.project"] == "flights"
    assert found.data.tags["modelyard.environment"] == "dev"
    assert plain.get_experiment(found.info.experiment_id).name == "flights"
    assert Path(plain.download_artifacts(run.run_id, "tables/counts.csv")).read_text() == "a,b\n"
    assert Path(plain.download_artifacts(run.run_id, "raw.bin")).read_bytes() == b"\x00\x01"


def test_files_and_folders_are_stored_by_their_names(tracking: Tracking, plain: MlflowClient, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "index.html").write_text("<p>")
    with tracking.start_run("evaluate") as run:
        run.log_artifact(folder)
        run.log_artifact(folder / "index.html", "again")
    assert [each.path for each in plain.list_artifacts(run.run_id, "report")] == ["report/index.html"]
    assert [each.path for each in plain.list_artifacts(run.run_id, "again")] == ["again/index.html"]


def test_where_a_run_comes_from_is_on_its_tags(tracking: Tracking, plain: MlflowClient) -> None:
    stamp = SimpleNamespace(commit="c0ffee", dirty=True, content="beef")
    context = SimpleNamespace(key="flights/run-1/train", generation=2, attempt=3, workflow_run="run-1", step="train")
    project = SimpleNamespace(name="flights", stamp=stamp)
    tags = run_tags(project, context, operation="train", function="delay-trainer")
    with tracking.start_run("train", tags=tags, key=context.key, generation=2, attempt=3) as run:
        pass
    found = plain.get_run(run.run_id).data.tags
    assert {name: value for name, value in found.items() if name.startswith("modelyard.")} == {
        "modelyard.project": "flights",
        "modelyard.environment": "dev",
        "modelyard.commit": "c0ffee",
        "modelyard.dirty": "true",
        "modelyard.content": "beef",
        "modelyard.operation": "train",
        "modelyard.function": "delay-trainer",
        "modelyard.workflow_run": "run-1",
        "modelyard.step": "train",
        "modelyard.key": "flights/run-1/train",
        "modelyard.generation": "2",
        "modelyard.attempt": "3",
        "modelyard.claim": found["modelyard.claim"],
    }
    assert found["mlflow.source.git.commit"] == "c0ffee"


def test_the_data_of_a_run_is_recorded_as_lineage(tracking: Tracking, plain: MlflowClient) -> None:
    schema = {"distance": "double", "hour": "int64"}
    local = DatasetSource(uri="/data/july.parquet", rows=31, schema=schema, hash="f" * 64)
    remote = DatasetSource(uri="s3://bucket/june/", rows=30, schema=schema, hash="e" * 64)
    with tracking.start_run("train") as run:
        run.log_dataset(remote, "training")
        run.log_dataset(local, "validation")
    inputs = plain.get_run(run.run_id).inputs.dataset_inputs
    found = {each.tags[0].value: each.dataset for each in inputs}
    assert {each.tags[0].key for each in inputs} == {"mlflow.data.context"}
    assert (found["training"].name, found["training"].source_type) == ("june", "s3")
    assert json.loads(found["training"].source) == {"uri": "s3://bucket/june/"}
    assert json.loads(found["training"].profile) == {"num_rows": 30, "content_hash": "e" * 64}
    assert found["validation"].digest == "f" * 36
    assert json.loads(found["validation"].schema)["mlflow_colspec"][1]["name"] == "hour"
    source = mlflow.data.get_source(found["validation"])
    assert (type(source).__name__, source.uri) == ("LocalArtifactDatasetSource", "/data/july.parquet")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ValueError("no"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(3), "KILLED"),
        (OperationCancelled("train", "key"), "KILLED"),
    ],
)
def test_what_ends_a_run_says_how_it_ended(
    tracking: Tracking, plain: MlflowClient, raised: BaseException, expected: str
) -> None:
    with pytest.raises(type(raised)), tracking.start_run("train", key="k") as run:
        raise raised
    assert status(plain, run.run_id) == expected
    assert tracking.finished_run("k") is None
    assert mlflow.active_run() is None


def test_a_termination_ends_the_run_as_killed(tracking: Tracking, plain: MlflowClient) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as stopped, tracking.start_run("train") as run:  # noqa: PT012 (waits for it)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(60)
    assert stopped.value.code == 143
    assert status(plain, run.run_id) == "KILLED"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_termination_while_the_run_begins_ends_it_as_killed(
    tracking: Tracking, plain: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    variables = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID")}

    def terminated(**_: Any) -> None:
        raise Terminated

    run = tracking.start_run("train")
    with monkeypatch.context() as patched:
        patched.setattr(mlflow, "start_run", terminated)
        with pytest.raises(Terminated):
            run.__enter__()
    assert status(plain, run.run_id) == "KILLED"
    assert signal.getsignal(signal.SIGTERM) is before
    assert {name: os.environ.get(name) for name in variables} == variables
    with tracking.start_run("train") as again:
        mlflow.log_metric("auc", 0.75)
    assert plain.get_run(again.run_id).data.metrics == {"auc": 0.75}


def test_a_handler_that_is_there_already_stays(tracking: Tracking) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with tracking.start_run("train"):
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_finished_run_of_a_key_is_found_and_not_repeated(tracking: Tracking, plain: MlflowClient) -> None:
    key = 'flights/it\'s a "key"/train'
    with tracking.start_run("train", key=key) as run:
        run.log_metrics({"auc": 0.75})
    found = tracking.finished_run(key)
    assert (found.info.run_id, found.data.metrics) == (run.run_id, {"auc": 0.75})
    assert tracking.finished_run(key, 2) is None
    assert tracking.finished_run("another") is None
    with pytest.raises(RunFinished, match="is finished already"):
        tracking.start_run("train", key=key)
    with tracking.start_run("train", key=key, generation=2) as again:
        pass
    assert tracking.finished_run(key, 2).info.run_id == again.run_id != run.run_id
    assert len(plain.search_runs([run.experiment_id])) == 2


def test_a_later_attempt_kills_the_earlier_and_only_one_finishes(tracking: Tracking, plain: MlflowClient) -> None:
    first = tracking.start_run("train", key="k", attempt=1)
    other = tracking.start_run("train", key="other")
    with (  # noqa: PT012 (the first run ends last)
        pytest.raises(RunSuperseded) as late,
        first,
        tracking.start_run("train", key="k", attempt=2) as second,
    ):
        assert status(plain, first.run_id) == "KILLED"
        assert status(plain, other.run_id) == "RUNNING"
    assert late.value.facts["superseded_by"] == second.run_id
    assert plain.get_run(first.run_id).data.tags["modelyard.superseded_by"] == second.run_id
    assert [status(plain, each.run_id) for each in (first, second)] == ["KILLED", "FINISHED"]
    assert tracking.finished_run("k").info.run_id == second.run_id


KILLED_INSIDE = """
import sys, os, signal
sys.path[:0] = {path!r}
from pathlib import Path
from conftest import make_environment
from modelyard.tracking import open_tracking
with open_tracking(make_environment(Path({root!r})), "flights").start_run("train", key="k") as run:
    print(run.run_id, flush=True)
    os.kill(os.getpid(), signal.{signal})
    signal.pause()
"""


@pytest.mark.parametrize(("sent", "left"), [("SIGTERM", "KILLED"), ("SIGKILL", "RUNNING")])
def test_a_process_that_dies_in_a_run(
    tracking: Tracking, plain: MlflowClient, tmp_path: Path, sent: str, left: str
) -> None:
    code = KILLED_INSIDE.format(path=[str(Path(__file__).parent)], root=str(tmp_path), signal=sent)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == (143 if sent == "SIGTERM" else -signal.SIGKILL), ended.stderr
    assert ended.stderr == ""
    run_id = ended.stdout.strip()
    assert status(plain, run_id) == left
    with tracking.start_run("train", key="k", attempt=2) as again:
        pass
    assert (status(plain, run_id), status(plain, again.run_id)) == ("KILLED", "FINISHED")


def test_what_a_function_records_through_mlflow_lands_in_the_run(tracking: Tracking, plain: MlflowClient) -> None:
    before = os.environ.get("MLFLOW_TRACKING_URI")
    with tracking.start_run("train") as run:
        mlflow.log_metric("own", 3.0)
        mlflow.log_param("depth", 4)
        with mlflow.start_run(nested=True, run_name="fold"):
            mlflow.log_metric("inner", 1.0)
    found = plain.get_run(run.run_id)
    assert (found.data.metrics, found.data.params) == ({"own": 3.0}, {"depth": "4"})
    assert mlflow.active_run() is None
    assert os.environ.get("MLFLOW_TRACKING_URI") == before
    nested = next(each for each in plain.search_runs([run.experiment_id]) if each.info.run_id != run.run_id)
    assert nested.data.metrics == {"inner": 1.0}
    assert nested.data.tags["mlflow.parentRunId"] == run.run_id


def test_runs_of_two_threads_stay_apart(tracking: Tracking, plain: MlflowClient) -> None:
    barrier = threading.Barrier(2)
    ids: dict[int, str] = {}

    def work(number: int) -> None:
        with tracking.start_run("train", key=f"k{number}") as run:
            ids[number] = run.run_id
            barrier.wait(60)
            mlflow.log_metric("number", number)
            barrier.wait(60)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {number: plain.get_run(ids[number]).data.metrics for number in range(2)} == {
        0: {"number": 0.0},
        1: {"number": 1.0},
    }
    assert not mlflow.is_tracking_uri_set() or "MLFLOW_TRACKING_URI" in os.environ  # type: ignore[no-untyped-call]


def test_a_name_that_mlflow_refuses_is_one_line(tracking: Tracking) -> None:
    with pytest.raises(TrackingRefused) as refused, tracking.start_run("train") as run:
        run.log_metrics({"a=b": 1.0})
    assert "a=b" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_experiment_of_another_name(tracking: Tracking, plain: MlflowClient, environment: Environment) -> None:
    with tracking.start_run("train", experiment="what / if?") as run:
        run.log_artifact("x", "x.txt")
    experiment: Any = plain.get_experiment(run.experiment_id)
    assert experiment.name == "what / if?"
    assert experiment.artifact_location.endswith("/state/artifacts/what-if-")
    assert Path(environment.artifacts or "", "what-if-", run.run_id, "artifacts/x.txt").read_text() == "x"
