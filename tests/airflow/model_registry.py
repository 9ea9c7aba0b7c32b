"""A model registry of the tests' own: a database of MLflow's, and a real server on it."""

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_home import PYTHON, eventually
from local_ports import free_port

REGISTER = """
import sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1], sys.argv[1])
client.create_registered_model("delays")
run = client.create_run(client.create_experiment("e", sys.argv[2]))
client.log_metric(run.info.run_id, "accuracy", 0.75)
for _ in range(2):
    client.create_model_version("delays", sys.argv[2], run_id=run.info.run_id)
client.set_registered_model_alias("delays", "champion", "1")
print(run.info.run_id)
"""


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a project with two versions of the model ``delays``, and the run that made them."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "modelyard.yaml").write_text(
        "name: doors\nenvironments:\n  dev: {tracking: 'sqlite:///mlflow.db'}\n"
        "  prod: {tracking: '${MLFLOW_TRACKING_URI}'}\n"
    )
    command = [PYTHON, "-W", "ignore", "-c", REGISTER, f"sqlite:///{folder / 'mlflow.db'}", str(folder / "files")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout.split()[-1]


@pytest.fixture(scope="session")
def mlflow(registry: tuple[Path, str]) -> Iterator[str]:
    """Return the address of a real MLflow server on the registry."""
    port = free_port()
    command = [PYTHON, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{registry[0] / 'mlflow.db'}"]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=registry[0],
        start_new_session=True,
    )
    try:
        assert eventually(lambda: _answers(f"http://127.0.0.1:{port}/health"), 120)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        time.sleep(0.2)
        return False
