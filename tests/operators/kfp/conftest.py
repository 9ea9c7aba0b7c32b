"""A distribution with probe operations and its generated components, and a local runner of KFP's for each test."""

import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DISTRIBUTION = Path(__file__).parents[2] / "airflow/distribution"
SITE = Path(tempfile.mkdtemp(prefix="modelyard-kfp-"))
PYTHON = os.environ.get("MODELYARD_TEST_PYTHON", "")
"""The interpreter of real training: the main environment's, where there is no KFP."""


def _install_probe() -> None:
    """Install the probe operations for this process and its children, and generate their components."""
    atexit.register(shutil.rmtree, SITE, ignore_errors=True)
    for name in [name for name in os.environ if name.startswith("MODELYARD") and name != "MODELYARD_TEST_PYTHON"]:
        del os.environ[name]
    metadata = SITE / "door_probe-1.0.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(DISTRIBUTION / "door_probe.py", SITE)
    shutil.copy(DISTRIBUTION / "entry_points.txt", metadata)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: door-probe\nVersion: 1.0\n")
    sys.path.insert(0, str(SITE))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SITE), os.environ.get("PYTHONPATH", "")]))

    from modelyard.operations.catalogue import load_catalogue
    from modelyard.operations.generation import component_source

    for name in ("door", "act"):
        (SITE / f"{name}_component.py").write_text(component_source(load_catalogue().spec(name)))


_install_probe()


def pytest_configure(config: pytest.Config) -> None:
    # The local runner says of every display name and resource that it makes nothing of them.
    config.addinivalue_line("filterwarnings", "ignore:Task .* have no effect in the current local runner")
    # KFP's own: it asks importlib for what Python 3.13 has renamed, and protobuf for what it calls otherwise by now.
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:kfp.*")
    config.addinivalue_line("filterwarnings", "ignore::FutureWarning:kfp.*")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of the test's own."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "modelyard.yaml").write_text("name: doors\n")
    return folder


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Return the folder where the operation ``act`` leaves its traces."""
    folder = tmp_path / "traces"
    folder.mkdir()
    return folder


@pytest.fixture
def local_runner(tmp_path: Path) -> Iterator[Path]:
    """Let KFP run pipelines in processes of this environment; return where it keeps what they leave."""
    from kfp import local
    from kfp.local import config

    root = tmp_path / "kfp"
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=True)
    yield root
    config.LocalExecutionConfig.instance = None


@pytest.fixture
def outputs(local_runner: Path) -> Callable[[str], dict[str, Any]]:
    """Return what reads the parameters that a task of the one run has put out."""

    def read(task: str) -> dict[str, Any]:
        (file,) = local_runner.glob(f"*/{task}/executor_output.json")
        found: dict[str, Any] = json.loads(file.read_bytes())
        return found["parameterValues"]

    return read
