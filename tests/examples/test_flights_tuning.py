"""The ready workflows as the flights project uses them: try several sizes, train anew, score in parts."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "examples" / "flights"
SIZES = [{"max_iter": 3}, {"max_iter": 40}]

pytestmark = pytest.mark.slow


class Typed:
    """The project, and what a person types in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tuned: dict[str, Any] = {}

    def run(self, workflow: str, **parameters: Any) -> dict[str, Any]:
        """Run a workflow, and return what it has left."""
        words = [word for name, value in parameters.items() for word in ("--param", f"{name}={_text(value)}")]
        ended = self.type("run", workflow, *words)
        assert ended.returncode == 0, ended.stderr
        told: dict[str, Any] = json.loads(ended.stdout)
        assert set(told["steps"].values()) <= {"succeeded", "skipped"}
        return told

    def type(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Type a command."""
        command = [sys.executable, "-m", "modelyard.cli", *words, "--project", str(self.root), "--json"]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typed]:
    root = tmp_path_factory.mktemp("projects") / "flights"
    shutil.copytree(SOURCE, root, ignore=shutil.ignore_patterns(".modelyard", "data", "output", "__pycache__"))
    typed = Typed(root)
    try:
        typed.tuned = typed.run("tune", every=50, sizes=SIZES)
        yield typed
    finally:
        typed.type("undeploy", "delays")


def test_the_best_size_is_chosen_by_july_and_served(flights: Typed) -> None:
    results = flights.tuned["results"]
    tried = [results[f"delays-try[{index}]"]["metrics"]["roc_auc"] for index in (0, 1)]
    assert tried[1] > tried[0]
    assert results["delays-choose"]["value"] == {
        "parameters": {"max_iter": 40},
        "value": tried[1],
        "trial": 1,
        "values": tried,
    }
    # Trained anew with the same rows and parameters, the model is the same as in its trial.
    assert results["delays-final-evaluate"]["metrics"]["roc_auc"] == pytest.approx(tried[1])
    assert results["delays-final-promote"]["gates"]["roc_auc >= 0.7"].endswith("held")
    assert results["delays-final-deploy"]["endpoint"] == "delays"


def test_the_champion_scores_partitions_and_a_model_that_is_no_worse_takes_its_place(flights: Typed) -> None:
    data = flights.tuned["results"]["prepare"]["value"]
    asked = [{"dataset": data[name], "destination": f"output/{name}"} for name in ("july", "august")]
    model = "models:/flights-delay@champion"
    scored = flights.run("score", model=model, partitions=asked, key_columns=["flight_id"])["results"]
    summary = scored["summary"]["value"]
    assert (summary["rows"], summary["rejected"], summary["partitions"]) == (566 + 587, 0, 2)
    assert [scored[f"predict[{index}]"]["rows"] for index in (0, 1)] == [566, 587]
    assert {scored[f"predict[{index}]"]["model"] for index in (0, 1)} == {"models:/flights-delay/1"}

    again = flights.run(
        "retrain",
        function="delay-trainer",
        dataset=data["train"],
        validation_dataset=data["july"],
        test_dataset=data["july"],
        label_column="late",
        feature_columns=data["features"],
        model_name="flights-delay",
        parameters={"max_iter": 40},
        gates=["roc_auc >= champion - 0.005"],
    )
    first = flights.tuned["results"]["delays-final-evaluate"]["metrics"]
    assert again["results"]["evaluate"]["metrics"] == pytest.approx(first)
    assert again["results"]["promote"]["model"] == "models:/flights-delay/2"
    assert again["steps"]["deploy"] == "skipped"
