import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from probe_endpoint import processes
from probe_models import FEATURES, fitted

from modelyard.deploy.local.target import LocalTarget
from modelyard.operations import OperationContext
from modelyard.projects import open_project
from modelyard.tracking import ModelFacts, Tracking, open_tracking

PROJECT = """
name: probe
graphs: {delays: probed_serving:delays, hidden: probed_serving:hidden, number: probed_serving:number}
"""
MODULE = """
from modelyard.graphs import Graph


def parse(body):
    return body["row"]


def answer(said):
    return {"late": said["label"], "probability": said["probability"]}


delays = Graph("delays")
delays.to(parse).model("predict", "models:/delays@champion").to(answer).respond()
hidden = Graph("hidden")
hidden.to(lambda body: body, name="secret")
number = 3
"""


def end_all(state: Path) -> None:
    """End whatever still runs in a state folder; nothing may survive that."""
    if (state / "endpoints").exists():
        for endpoint in (state / "endpoints").iterdir():
            LocalTarget().undeploy(endpoint.name, state, 10)
    eventually(lambda: processes(state) == [])


def eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for a condition that nothing announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """Return a state folder."""
    yield tmp_path / "state"
    end_all(tmp_path / "state")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a project with two versions of the model that its graph asks for; the first is the champion."""
    root = tmp_path_factory.mktemp("project")
    (root / "modelyard.yaml").write_text(PROJECT)
    (root / "probed_serving.py").write_text(MODULE)
    tracking = tracking_of(root)
    facts = ModelFacts(FEATURES, ("double",) * 3, task="classification", classes=(False, True), label="late")
    for flip in (False, True):
        with tracking.start_run("train") as run:
            logged = run.log_model(fitted(flip), facts=facts)
        tracking.register(logged.uri, "delays")
    tracking.registry.set_alias("delays", "champion", 1, expected=None)
    yield root
    end_all(root / ".modelyard")


def tracking_of(root: Path) -> Tracking:
    """Return the tracking of a project."""
    opened = open_project(root)
    return open_tracking(opened.environment(), opened.name)


@pytest.fixture
def context(project: Path, tmp_path: Path) -> Any:
    """Return the circumstances of an operation in the project."""
    return OperationContext(project=str(project), folder=tmp_path)
