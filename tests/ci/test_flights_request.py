"""A request on the flights project, from the change to the comment, on a fake forge."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_lines import Command
from fake_forge import Forge
from loans_project import git

Job = Callable[..., dict[str, str]]
SOURCE = Path(__file__).parents[2] / "examples" / "flights"
SMALL = ("--input", "every=60", "--input", "trees=30", "--quiet")


@pytest.fixture
def flights_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "flights"
    shutil.copytree(SOURCE, root, ignore=shutil.ignore_patterns(".modelyard", "data", "output", "__pycache__"))
    (root / ".gitignore").write_text("data/\noutput/\n.modelyard/\n__pycache__/\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    git(root, "switch", "-q", "-c", "change")
    monkeypatch.chdir(root)
    # Other tests of this process may have imported the example itself.
    for name in imported():
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(
        sys, "path", [each for each in sys.path if not (Path(each) / "flights" / "training.py").exists()]
    )
    yield root
    for name in imported():
        del sys.modules[name]


def imported() -> list[str]:
    return [name for name in sys.modules if name == "flights" or name.startswith("flights.")]


def push(root: Path, job: Job, file: str, old: str, new: str) -> None:
    """Change a file, commit it, and start the job of the push."""
    path = root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    git(root, "commit", "-q", "-a", "-m", "change")
    event = Path(job()["GITHUB_EVENT_PATH"])
    payload: dict[str, Any] = json.loads(event.read_text())
    payload["pull_request"]["head"]["sha"] = git(root, "rev-parse", "HEAD")
    payload["pull_request"]["base"]["sha"] = git(root, "rev-parse", "main")
    event.write_text(json.dumps(payload))
    shutil.rmtree(root / ".modelyard/ci", ignore_errors=True)


@pytest.mark.slow
def test_from_a_change_to_its_comment(
    command: Command, flights_repository: Path, github_job: Job, forge: Forge
) -> None:
    root = flights_repository
    push(root, github_job, "flights/training.py", '"max_leaf_nodes": 15', '"max_leaf_nodes": 2')
    push(root, github_job, "flights/training.py", '"learning_rate": 0.05', '"learning_rate": 0.0005')

    assert json.loads(command("ci", "plan", "--json").out)["workflows"] == [
        {"name": name, "reasons": ["function delay-trainer"]} for name in ("main", "tune")
    ]
    ran = command("ci", "run", "main", *SMALL)
    assert ran.code == 0, ran.err
    (candidate,) = json.loads((root / ".modelyard/ci/run.json").read_text())["workflows"][0]["candidates"]
    metrics = {each["name"]: each for each in candidate["metrics"]}
    assert metrics["roc_auc"]["baseline"] - metrics["roc_auc"]["candidate"] >= 0.02
    assert "caught_in_top_tenth" in metrics
    assert {each["column"] for each in candidate["slices"]} >= {"carrier", "origin"}
    assert command("ci", "report").code == 0
    assert command("ci", "gate").code == 6

    (failed,) = [each for each in candidate["gates"] if not each["held"] and "champion" in each["gate"]]
    number = f"{metrics['roc_auc']['candidate']:.6g}"
    assert number in failed["said"]
    (comment,) = forge.comments[2]
    assert "**Gate failed:** <code>roc&#95;auc &#62;= " in comment["body"]
    assert number.replace(".", "&#46;") in comment["body"]
    (check,) = forge.check_runs
    assert check["conclusion"] == "failure"
    assert number in check["output"]["title"] or "0.7" in check["output"]["title"]

    git(root, "switch", "-q", "-C", "change", "main")
    push(root, github_job, "README.md", "#", "# Explained:\n#")
    assert command("ci", "plan", "--json").out.count('"name"') == 0
    assert command("ci", "run").out == "No model was measured.\n"
    assert command("ci", "report").code == 0
    assert command("ci", "gate").code == 0
    (comment,) = forge.comments[2]
    assert (comment["updates"], "<summary>1 earlier push</summary>" in comment["body"]) == (1, True)
    assert "**Nothing to run:**" in comment["body"]
