"""Merge requests of the flights project, whose champion lasts."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_forge import Forge
from gitlab_runner import GitLabRunner, missing_part
from lasting_projects import LASTING, SMALL, lasting_flights

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing_part()), reason=missing_part())]
WEAK = ('"max_leaf_nodes": 15', '"max_leaf_nodes": 2')
SLOW = ('"learning_rate": 0.05', '"learning_rate": 0.0005')
FLIGHT = {"carrier": "EV", "origin": "EWR", "destination": "ORD", "departure": "2013-08-01T17:30", "distance": 719}


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory, commands: Path) -> Path:
    """The project with its champion, version 1."""
    return lasting_flights(tmp_path_factory.mktemp("flights"), commands / "modelyard")


@pytest.fixture
def flights(champion: Path, tmp_path: Path, forge: Forge, offered: Path, commands: Path) -> Iterator[GitLabRunner]:
    project = shutil.copytree(champion, tmp_path / "flights")
    yield GitLabRunner(project, tmp_path / "scratch", forge, offered, commands)
    words = [str(commands / "modelyard"), "undeploy", "delays-pr-7", "--environment", LASTING]
    subprocess.run(words, cwd=project, check=False, capture_output=True, timeout=300)


def test_a_loss_of_auc_fails_and_a_page_trains_nothing(flights: GitLabRunner, forge: Forge) -> None:
    given = {"environment": LASTING, "inputs": "\n".join(SMALL), "preview": False}
    flights.call("newcomer.yml", f"    inputs: {json.dumps({**given, 'workflows': 'main'})}\n")
    flights.change("flights/training.py", *WEAK)
    flights.change("flights/training.py", *SLOW)
    ended = flights.request()

    assert (ended.code, "FAIL 6" in ended.said) == (1, True), ended.said
    (candidate,) = json.loads(ended.report("modelyard-request", "run.json"))["workflows"][0]["candidates"]
    auc = next(each for each in candidate["metrics"] if each["name"] == "roc_auc")
    assert candidate["baseline"] == "models:/flights-delay/1"
    assert auc["baseline"] - auc["candidate"] >= 0.02
    number = f"{auc['candidate']:.6g}"
    (note,) = forge.notes[7]
    assert "**Gate failed:** <code>roc&#95;auc &#62;= " in note["body"]
    assert number.replace(".", "&#46;") in note["body"]
    assert [each["state"] for each in forge.statuses] == ["pending", "failed"]
    assert number in forge.statuses[-1]["description"]
    outputs = ended.outputs("modelyard-request")
    assert (outputs["GATE"], outputs["VERDICT"]) == ("fail", "failure")

    flights.call("newcomer.yml", f"    inputs: {json.dumps(given)}\n")
    flights.change("README.md", "#", "# Explained:\n#")
    ended = flights.request()
    assert ended.code == 0, ended.said
    assert "fitting" not in ended.said
    (again,) = forge.notes[7]
    assert (again["id"], again["updates"]) == (note["id"], 1)
    assert "**Nothing to run:**" in again["body"]
    assert "<summary>1 earlier push</summary>" in again["body"]
    assert [each["state"] for each in forge.statuses] == ["pending", "failed", "pending", "success"]


def test_a_closed_request_leaves_no_endpoint(flights: GitLabRunner, forge: Forge) -> None:
    flights.call("preview.yml", **{"graphs: approve": "graphs: delays"})
    flights.change("flights/serving.py", "LIKELY = 0.5", "LIKELY = 0.0")
    ended = flights.request()
    assert ended.code == 0, ended.said
    url = ended.outputs("modelyard-preview")["ENDPOINT_URL"]
    assert answer(url)["late"] is True
    (note,) = forge.notes[7]
    assert url in note["body"]

    ended = flights.request("modelyard-preview-stop")
    assert ended.code == 0, ended.said
    assert "ended delays-pr-7" in ended.said
    with pytest.raises(OSError, match="refused"):
        answer(url)


def answer(url: str) -> Any:
    request = urllib.request.Request(url, json.dumps(FLIGHT).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)
