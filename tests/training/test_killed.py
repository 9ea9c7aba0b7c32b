"""A training that is killed and started again with the same key leaves one finished run."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import ModelyardError
from modelyard.operations.handles import Handle
from modelyard.projects.dispatch import dispatch
from modelyard.tracking import Tracking

PATIENT = '''

def patient(dataset, parameters):
    """Take for ever the first time."""
    import pathlib, time
    marker = pathlib.Path(parameters["marker"])
    model = late(dataset, {})
    if not marker.exists():
        marker.touch()
        time.sleep(600)
    return model
'''


@pytest.mark.slow
def test_a_killed_training_is_taken_up_again(shop: Path, tracking: Tracking, tmp_path: Path) -> None:
    (shop / "shop.py").write_text((shop / "shop.py").read_text() + PATIENT)
    marker = tmp_path / "begun"
    work: dict[str, Any] = {
        "function": "shop:patient",
        "dataset": "data/train.parquet",
        "label_column": "late",
        "feature_columns": ["wind", "rain", "gates"],
        "parameters": {"marker": str(marker)},
    }
    handles: list[Handle] = []
    errors: list[ModelyardError] = []

    def start(on_start: Callable[[Handle], None] | None = None) -> dict[str, Any]:
        given: dict[str, Any] = {"project": shop, "key": "shop/nightly/train", "launcher": "process"}
        return dispatch("train", work, **given, on_start=on_start).result

    def first() -> None:
        try:
            start(handles.append)
        except ModelyardError as error:
            errors.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    deadline = time.monotonic() + 120
    while not marker.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(handles[0].pid, signal.SIGKILL)
    thread.join(60)
    assert [type(error).__name__ for error in errors] == ["WorkLost"]

    result = start()
    found = tracking.client.search_runs(["1"], "tags.`modelyard.key` = 'shop/nightly/train'")
    assert sorted(run.info.status for run in found) == ["FINISHED", "KILLED"]
    assert next(run.info.run_id for run in found if run.info.status == "FINISHED") == result["run_id"]
    assert start()["run_id"] == result["run_id"]
