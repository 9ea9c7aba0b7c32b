"""The flights project's workflow that tries several sizes first, as a person starts it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "examples" / "flights"


@pytest.mark.slow
def test_the_best_size_is_chosen_by_july_and_served(tmp_path: Path) -> None:
    root = tmp_path / "flights"
    shutil.copytree(SOURCE, root, ignore=shutil.ignore_patterns(".modelyard", "data", "output", "__pycache__"))
    sizes = [{"max_iter": 3}, {"max_iter": 40}]

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "modelyard.cli", *words, "--project", str(root), "--json"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    try:
        ended = typed("run", "tune", "--param", "every=50", "--param", f"sizes={json.dumps(sizes)}")
        assert ended.returncode == 0, ended.stderr
        told = json.loads(ended.stdout)
    finally:
        typed("undeploy", "delays")
    assert set(told["steps"].values()) == {"succeeded"}
    results = told["results"]
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
