"""The same promises, kept by a real MLflow server that hands out the artifacts itself."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from local_ports import free_port
from mlflow import MlflowClient

from modelyard.data.digests import digest_of
from modelyard.graphs.errors import ModelDigestWrong
from modelyard.projects import Environment
from modelyard.tracking import ModelFacts, ModelNotFound, TrackingUnavailable, open_tracking

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(artifacts)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "1"}
        )
    try:
        uri = f"http://127.0.0.1:{port}"
        wait_for(uri, process, folder / "log")
        yield uri, process
    finally:
        stop(process)


def wait_for(uri: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    import signal

    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_server_keeps_every_promise(
    server: tuple[str, subprocess.Popen[bytes]],
    artifacts: Path,
    tmp_path: Path,
    new_environment: Callable[..., Environment],
    estimator: Any,
    matrix: Any,
    facts: ModelFacts,
) -> None:
    uri, process = server
    tracking = open_tracking(new_environment(tmp_path, tracking=uri, artifacts=None), "flights")
    with tracking.start_run("train", key="k") as run:
        run.log_metrics({"auc": 0.75})
        run.log_artifact("<p>", "report/index.html")
        info = run.log_model(estimator, facts=facts, input_example=matrix)
    plain = MlflowClient(uri)
    assert plain.get_run(run.run_id).info.status == "FINISHED"
    assert tracking.finished_run("k").info.run_id == run.run_id
    assert list(artifacts.rglob("index.html"))

    registered, created = tracking.register_once(f"runs:/{run.run_id}/model", "delays")
    again = tracking.register_once(info.uri, "delays")
    assert (registered.uri, created, again) == ("models:/delays/1", True, (registered, False))
    assert registered.location.startswith("mlflow-artifacts:")
    assert plain.get_model_version("delays", "1").tags["modelyard.digest"] == info.digest
    tracking.set_alias("delays", "champion", 1, expected=None)
    champion = tracking.resolve("models:/delays@champion")
    assert (champion.uri, champion.trusted, champion.model_id) == ("models:/delays/1", True, info.model_id)
    folder = tracking.fetch_model(champion, tmp_path / "model")
    assert digest_of(folder) == info.digest
    assert tracking.load_model(champion).predict(matrix).labels.tolist() == estimator.predict(matrix).tolist()
    assert [(each.version, each.aliases, each.metrics) for each in tracking.versions("delays")] == [
        (1, ("champion",), {"auc": 0.75})
    ]
    with pytest.raises(ModelNotFound, match=r"Did you mean delays\?"):
        tracking.resolve("models:/delay/1")

    plain.create_registered_model("theirs")
    plain.create_model_version("theirs", info.uri, run.run_id, model_id=info.model_id)
    assert not tracking.resolve("models:/theirs/1").trusted
    assert tracking.register("models:/theirs/1", "theirs").uri == "models:/theirs/2"
    assert tracking.resolve("models:/theirs/2").trusted

    file = next(artifacts.rglob("model.pkl"))
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelDigestWrong):
        tracking.load_model(champion)

    stop(process)
    start = time.monotonic()
    for call in (lambda: tracking.resolve("models:/delays/1"), lambda: tracking.fetch_model(champion, tmp_path / "x")):
        with pytest.raises(TrackingUnavailable, match=f"^{uri}: the tracking store does not answer"):
            call()
    assert time.monotonic() - start < 30
    assert not (tmp_path / "x").exists()
