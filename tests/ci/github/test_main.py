"""From the main branch to an endpoint, by the examples' files: promotion, deployment, and the way back."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from github_emulator import Emulator
from loans_project import git

EXAMPLES = Path(__file__).parents[3] / "examples" / "github"
PAYLOADS = Path(__file__).parents[1] / "payloads"
pytestmark = pytest.mark.slow
SMALL = "inputs: rows=300, baseline: none, environment: prod, graph: approve"

BROKEN = """from modelyard.graphs import Graph


def broken(body):
    raise RuntimeError("no answer")


approve = Graph("approve")
approve.to(broken).respond()
"""


@pytest.fixture
def lasting(emulator: Emulator, tmp_path: Path) -> Iterator[Emulator]:
    """A project whose tracking and endpoints outlast its jobs."""
    root, lasts = emulator.project, tmp_path / "lasts"
    (lasts / "data").mkdir(parents=True)
    path = root / "modelyard.yaml"
    prod = f"environments:\n  prod: {{tracking: 'sqlite:///{lasts}/mlflow.db', state: {lasts}/state}}\n"
    path.write_text(path.read_text() + prod)
    (root / "requests.json").write_text('[{"income": 1.0, "age": 1.0}, {"income": -1.0, "age": -1.0}]')
    git(root, "switch", "-q", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "an environment that lasts")
    yield emulator
    words = [sys.executable, "-m", "modelyard.cli", "undeploy", "approve", "--environment", "prod"]
    subprocess.run(words, cwd=root, check=False, capture_output=True, timeout=60)


def pushed(emulator: Emulator) -> dict[str, Any]:
    root = emulator.project
    before, after = git(root, "rev-parse", "HEAD~1"), git(root, "rev-parse", "HEAD")
    return {"ref": "refs/heads/main", "before": before, "after": after}


def test_a_merged_model_is_promoted_and_a_bad_graph_is_rolled_back(lasting: Emulator, tmp_path: Path) -> None:
    caller = (EXAMPLES / "main.yml").read_text().replace("graph: approve", SMALL)

    # What the whole commit touches are several workflows: the one whose model is to be promoted is named.
    run = lasting.run(caller.replace(SMALL, f"{SMALL}, workflows: main"), "push", pushed(lasting))

    train, deploy = run.jobs["main / train"], run.jobs["main / deploy"]
    assert (run.message, run.result) == ("", "success"), run.log
    assert train["outputs"] == {"affected": "true", "gate": "pass"}
    assert deploy["outputs"]["model-uri"] == "models:/loans/1"
    assert deploy["environment"] == {"name": "production", "url": deploy["outputs"]["endpoint-url"]}
    assert "2 of 2 requests were answered as they had to be" in deploy["log"]
    assert {each["group"] for each in run.concurrency} == {
        "ml-main-modelyard-refs/heads/main",
        "deploy-modelyard-production",
    }
    url = deploy["outputs"]["endpoint-url"]
    first = httpx.post(url, json={"income": 1.0, "age": 1.0}, timeout=30)
    assert first.status_code == 200, first.text
    assert champion(tmp_path) == [("loans", "champion", 1)]

    (lasting.project / "loans/serving.py").write_text(BROKEN)
    git(lasting.project, "commit", "-q", "-a", "-m", "break it")
    run = lasting.run(caller, "push", pushed(lasting))

    deploy = run.jobs["main / deploy"]
    assert (run.message, run.result, run.jobs["main / train"]["outputs"]["gate"]) == ("", "failure", "none"), run.log
    assert "0 of 2 requests were answered as they had to be" in deploy["log"]
    assert "### rollback" in deploy["summary"]
    assert deploy["codes"][-1] == 0
    again = httpx.post(deploy["outputs"]["endpoint-url"], json={"income": 1.0, "age": 1.0}, timeout=30)
    assert (again.status_code, again.json()) == (200, first.json())

    scores = (EXAMPLES / "batch.yml").read_text().replace("output/scores", f"{tmp_path}/scores, environment: prod")
    scores = scores.replace("data/test.parquet", f"{train['workspace']}/data/test.parquet")
    run = lasting.run(scores, "schedule", {"schedule": "0 4 * * *"})
    assert (run.message, run.result) == ("", "success"), run.log
    found = run.jobs["scores / batch"]["outputs"]
    assert (found["rows"], found["rejected"], found["model-uri"]) == ("300", "0", "models:/loans/1")
    assert list((tmp_path / "scores").glob("**/*.parquet"))


def champion(tmp_path: Path) -> list[Any]:
    with sqlite3.connect(tmp_path / "lasts/mlflow.db") as database:
        found = database.execute("select name, alias, version from registered_model_aliases").fetchall()
    database.close()
    return found


def test_nobody_approves(lasting: Emulator, tmp_path: Path) -> None:
    lasting.rejected = ("production",)
    caller = (EXAMPLES / "main.yml").read_text().replace("graph: approve", SMALL + ", workflows: quick")
    run = lasting.run(caller, "push", pushed(lasting))
    assert (run.message, run.result, run.jobs["main / train"]["result"]) == ("", "failure", "success"), run.log
    assert run.jobs["main / deploy"]["rejected"]
    assert champion(tmp_path) == []


def test_a_monitor_lets_a_workflow_run(lasting: Emulator) -> None:
    caller = (EXAMPLES / "retrain.yml").read_text().replace("workflow: main", "workflow: quick, environment: prod")
    run = lasting.run(caller, "repository_dispatch", {"action": "drift", "client_payload": {"why": "$(touch pwned)"}})
    assert (run.message, run.result) == ("", "success"), run.log
    results = json.loads(run.jobs["retrain / retrain"]["outputs"]["results"])
    assert results["register"]["model"] == "models:/quick-loans/1"
    assert lasting.run(caller, "repository_dispatch", {"action": "other"}).result == "not started"


def test_a_closed_request_leaves_no_endpoint(lasting: Emulator) -> None:
    root = lasting.project
    git(root, "switch", "-q", "-C", "change", "main")
    (root / "loans/serving.py").write_text(
        BROKEN.replace('raise RuntimeError("no answer")', "return {**body, 'late': True}")
    )
    git(root, "commit", "-q", "-a", "-m", "answer without a model")
    event = json.loads((PAYLOADS / "pull_request.json").read_text())
    event["pull_request"]["head"]["sha"] = git(root, "rev-parse", "HEAD")
    event["pull_request"]["base"]["sha"] = git(root, "rev-parse", "main")
    caller = (EXAMPLES / "pull-request.yml").read_text()
    caller += "    with: {environment: prod, lasting: true, requests: requests.json}\n"

    run = lasting.run(caller, "pull_request", event)

    assert (run.message, run.result) == ("", "success"), run.log
    found = re.search(r"approve-pr-2 +(http://\S+) +2 +0", run.jobs["request / request"]["log"])
    assert found, run.log
    body = {"income": 1.0}
    assert httpx.post(found[1], json=body, timeout=30).json() == {"income": 1.0, "late": True}

    caller = (EXAMPLES / "preview-cleanup.yml").read_text() + "    with: {environment: prod}\n"
    closed = json.loads((PAYLOADS / "pull_request_closed.json").read_text())
    assert closed["number"] == event["number"]
    closed["repository"]["default_branch"] = "main"
    run = lasting.run(caller, "pull_request", closed)
    assert (run.message, run.result) == ("", "success"), run.log
    assert run.jobs["cleanup / cleanup"]["runs-on"] == ["self-hosted"]
    with pytest.raises(httpx.ConnectError):
        httpx.post(found[1], json=body, timeout=30)
    run = lasting.run(caller, "schedule", {"schedule": "0 2 * * *"})
    assert (run.message, run.result) == ("", "success"), run.log
