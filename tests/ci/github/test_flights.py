"""A request on the flights project, by the example's file."""

import json
import shutil
from pathlib import Path

import pytest
from fake_forge import Forge
from github_emulator import Emulator
from github_request import Push
from loans_project import git

ROOT = Path(__file__).parents[3]
CALLER = (ROOT / "examples/github/pull-request.yml").read_text()
SMALL = '    with: {workflows: main, inputs: "every=60\\ntrees=30", preview: false}\n'
WEAK = ('"max_leaf_nodes": 15', '"max_leaf_nodes": 2')
SLOW = ('"learning_rate": 0.05', '"learning_rate": 0.0005')


@pytest.mark.slow
def test_a_loss_of_auc_is_a_failed_gate(emulator: Emulator, push: Push, forge: Forge) -> None:
    root = emulator.project
    shutil.rmtree(root)
    shutil.copytree(
        ROOT / "examples/flights", root, ignore=shutil.ignore_patterns(".modelyard", "data", "output", "__pycache__")
    )
    (root / ".gitignore").write_text("data/\noutput/\n.modelyard/\n__pycache__/\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    git(root, "switch", "-q", "-c", "change")
    push({"flights/training.py": WEAK})

    run = emulator.run(CALLER + SMALL, "pull_request", push({"flights/training.py": SLOW}))

    assert (run.message, run.result) == ("", "failure"), run.log
    work, report = run.jobs["request / request"], run.jobs["request / report"]
    assert (work["outputs"]["gate"], report["codes"]) == ("fail", [0, 6]), run.log
    record = json.loads((emulator.temp / "run-1/artifacts/modelyard-request/run.json").read_text())
    (candidate,) = record["workflows"][0]["candidates"]
    auc = next(each for each in candidate["metrics"] if each["name"] == "roc_auc")
    assert auc["baseline"] - auc["candidate"] >= 0.02
    (comment,) = forge.comments[2]
    (check,) = forge.check_runs
    assert "**Gate failed:** <code>roc&#95;auc &#62;= 0&#46;7" in comment["body"]
    assert f"{auc['candidate']:.6g}".replace(".", "&#46;") in comment["body"]
    assert check["conclusion"] == "failure"
    assert f"{auc['candidate']:.6g}" in check["output"]["title"]
