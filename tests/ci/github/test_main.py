"""From the main branch to an endpoint, by the examples' files as they are: promotion, deployment, and the way back."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_forge import Forge
from github_emulator import Emulator
from github_request import EXAMPLES, PAYLOADS
from loans_project import git

pytestmark = pytest.mark.slow
MAIN, RETRAIN = ((EXAMPLES / f"{name}.yml").read_text() for name in ("main", "retrain"))
NAMES = (("models:/loans@", "models:/flights-delay@"), ('name="loans"', 'name="flights-delay"'))
ANSWERS = "return {**body, 'late': True}"
CODE = """from modelyard.graphs import Graph


def answer(body):
    ANSWER


delays = Graph("delays")
delays.to(answer).respond()
"""
BROKEN = CODE.replace("ANSWER", 'raise RuntimeError("no answer")')
BODY = {"income": 1.0, "age": 1.0}


@pytest.fixture
def lasting(emulator: Emulator, tmp_path: Path) -> Iterator[Emulator]:
    """A project with the names of the flights, whose tracking and endpoints outlast its jobs."""
    root, lasts = emulator.project, tmp_path / "lasts"
    lasts.mkdir()
    for path in (root / "modelyard.yaml", *root.glob("loans/*.py")):
        text = path.read_text().replace("approve", "delays")
        for old, new in NAMES:
            text = text.replace(old, new)
        path.write_text(text)
    with (root / "modelyard.yaml").open("a") as file:
        file.write(f"environments:\n  prod: {{tracking: '${{MLFLOW_TRACKING_URI}}', state: {lasts}/state}}\n")
    (root / "requests.json").write_text(json.dumps([BODY, {"income": -1.0, "age": -1.0}]))
    git(root, "switch", "-q", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "--amend", "-m", "an environment that lasts")
    emulator.variables = {"MLFLOW_TRACKING_URI": f"sqlite:///{lasts}/mlflow.db"}
    yield emulator
    words = [sys.executable, "-m", "modelyard.cli", "undeploy", "delays", "--environment", "prod"]
    known = {"PATH": "/usr/bin:/bin", **emulator.variables}
    subprocess.run(words, cwd=root, env=known, check=False, capture_output=True, timeout=60)


def pushed(emulator: Emulator, **files: str) -> dict[str, Any]:
    """Commit what is added to or put in place of the project's modules, and return the event of the push."""
    root = emulator.project
    for name, text in files.items():
        path = root / "loans" / f"{name}.py"
        path.write_text(path.read_text() + text if text.startswith("#") else text)
    git(root, "commit", "-q", "-a", "-m", "change", "--allow-empty")
    return {
        "ref": "refs/heads/main",
        "before": git(root, "rev-parse", "HEAD~1"),
        "after": git(root, "rev-parse", "HEAD"),
    }


def champions(tmp_path: Path) -> dict[str, int]:
    with sqlite3.connect(tmp_path / "lasts/mlflow.db") as database:
        rows = database.execute("select name, version from registered_model_aliases where alias = 'champion'")
        found = dict(rows.fetchall())
    database.close()
    return found


def test_what_a_push_trains_is_promoted_and_goes_back_if_it_answers_wrongly(lasting: Emulator, tmp_path: Path) -> None:
    run = lasting.run(MAIN, "push", pushed(lasting, training="# the same, said anew\n"))

    train, deploy = run.jobs["main / train"], run.jobs["main / deploy"]
    assert (run.message, run.result) == ("", "success"), run.log
    assert train["outputs"] == {"affected": "true", "gate": "pass"}
    assert deploy["environment"] == {"name": "production", "url": deploy["outputs"]["endpoint-url"]}
    assert "2 of 2 requests were answered as they had to be" in deploy["log"]
    assert {each["group"] for each in run.concurrency} == {
        "ml-main-modelyard-refs/heads/main",
        "deploy-modelyard-production",
    }
    # Version 1 of the first is the merge base, which was trained as there was no champion yet.
    assert champions(tmp_path) == {"flights-delay": 2, "quick-loans": 1}
    assert deploy["outputs"]["model-uri"] == "models:/flights-delay/2"
    assert deploy["outputs"]["models"] == '["models:/flights-delay/2","models:/quick-loans/1"]'
    first = httpx.post(deploy["outputs"]["endpoint-url"], json=BODY)
    assert first.status_code == 200, first.text

    run = lasting.run(MAIN, "push", pushed(lasting, training="# and anew\n", serving=BROKEN))

    deploy = run.jobs["main / deploy"]
    assert (run.message, run.result, run.jobs["main / train"]["outputs"]["gate"]) == ("", "failure", "pass"), run.log
    assert deploy["outputs"]["models"] == '["models:/flights-delay/3","models:/quick-loans/2"]'
    assert "0 of 2 requests were answered as they had to be" in deploy["log"]
    assert "### rollback" in deploy["summary"]
    assert deploy["codes"][-2:] == [0, 0]
    again = httpx.post(deploy["outputs"]["endpoint-url"], json=BODY)
    assert (again.status_code, again.json()) == (200, first.json())
    assert champions(tmp_path) == {"flights-delay": 2, "quick-loans": 1}

    (lasting.project / "data").mkdir()
    shutil.copy(Path(train["workspace"]) / "data/test.parquet", lasting.project / "data/august.parquet")
    git(lasting.project, "add", "-f", "data")
    git(lasting.project, "commit", "-q", "-m", "what is to be scored")
    run = lasting.run((EXAMPLES / "batch.yml").read_text(), "schedule", {"schedule": "0 4 * * *"})
    assert (run.message, run.result) == ("", "success"), run.log
    found = run.jobs["scores / batch"]["outputs"]
    assert (found["rows"], found["rejected"], found["model-uri"]) == ("300", "0", "models:/flights-delay/2")
    assert list((Path(run.jobs["scores / batch"]["workspace"]) / "output/august").glob("**/*.parquet"))


def test_nobody_approves(lasting: Emulator, tmp_path: Path) -> None:
    lasting.rejected = ("production",)
    caller = MAIN.replace("graph: delays", "graph: delays, workflows: quick")
    run = lasting.run(caller, "push", pushed(lasting))
    assert (run.message, run.result, run.jobs["main / train"]["result"]) == ("", "failure", "success"), run.log
    assert run.jobs["main / deploy"]["rejected"]
    assert champions(tmp_path) == {}


def test_a_monitor_lets_a_workflow_run(lasting: Emulator, tmp_path: Path) -> None:
    event = {"action": "drift", "client_payload": {"why": "$(touch pwned)"}}
    run = lasting.run(RETRAIN, "repository_dispatch", event)
    assert (run.message, run.result) == ("", "success"), run.log
    results = json.loads(run.jobs["retrain / retrain"]["outputs"]["results"])
    assert (results["promote"]["model"], results["promote"]["first"]) == ("models:/flights-delay/1", True)
    assert results["deploy"]["models"] == {"model": "models:/flights-delay/1"}
    assert champions(tmp_path) == {"flights-delay": 1}
    assert lasting.run(RETRAIN, "repository_dispatch", {"action": "other"}).result == "not started"


def test_previews_end_with_their_time_or_with_their_request(lasting: Emulator, forge: Forge, tmp_path: Path) -> None:
    root = lasting.project
    git(root, "switch", "-q", "-C", "change", "main")
    answers = CODE.replace("ANSWER", ANSWERS)
    (root / "loans/serving.py").write_text(answers + answers.split("\n\n\n")[2].replace("delays", "other"))
    path = root / "modelyard.yaml"
    path.write_text(path.read_text().replace("graphs: {", "graphs: {other: loans.serving:other, "))
    git(root, "commit", "-q", "-a", "-m", "two graphs without a model")
    event = json.loads((PAYLOADS / "pull_request.json").read_text())
    event["pull_request"]["head"]["sha"] = git(root, "rev-parse", "HEAD")
    event["pull_request"]["base"]["sha"] = git(root, "rev-parse", "main")
    caller = (EXAMPLES / "pull-request.yml").read_text()
    caller += """    with:
      lasting: true
      ttl: 2d
      requests: requests.json
      workflows: announcing
      tracking-uri: ${{ vars.MLFLOW_TRACKING_URI }}
    secrets: {forge-token: "${{ secrets.FORGE_TOKEN }}"}
"""
    # The job's own token may not write deployments.
    lasting.secrets = {"FORGE_TOKEN": "forge-secret-write"}
    began = time.time()

    run = lasting.run(caller, "pull_request", event)

    assert (run.message, run.result) == ("", "success"), run.log
    urls = dict(re.findall(r"(\w+-pr-2) +(http://\S+) +2 +0", run.jobs["request / request"]["log"]))
    assert sorted(urls) == ["delays-pr-2", "other-pr-2"], run.log
    assert {httpx.post(url, json=BODY).json()["late"] for url in urls.values()} == {True}

    caller = (EXAMPLES / "preview-cleanup.yml").read_text()
    entry = tmp_path / "lasts/state/previews/other-pr-2.json"
    known = json.loads(entry.read_text())
    assert began <= known["expires"] - 2 * 24 * 3600 <= time.time()
    entry.write_text(json.dumps({**known, "expires": 1.0}))
    assert {each["environment"] for each in forge.deployments} == {f"preview/{name}" for name in urls}
    assert [each["state"] for each in forge.deployment_statuses] == ["success", "success"]
    run = lasting.run(caller, "schedule", {"schedule": "0 2 * * *", "repository": {"default_branch": "main"}})
    assert (run.message, run.result) == ("", "success"), run.log
    assert run.jobs["cleanup / cleanup"]["log"].strip() == "ended other-pr-2"
    assert httpx.post(urls["delays-pr-2"], json=BODY).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.post(urls["other-pr-2"], json=BODY)

    closed = json.loads((PAYLOADS / "pull_request_closed.json").read_text())
    assert closed["number"] == event["number"]
    closed["repository"]["default_branch"] = "main"
    run = lasting.run(caller, "pull_request", closed)
    assert (run.message, run.result) == ("", "success"), run.log
    assert run.jobs["cleanup / cleanup"]["log"].strip() == "ended delays-pr-2"
    assert run.jobs["cleanup / cleanup"]["runs-on"] == ["self-hosted"]
    with pytest.raises(httpx.ConnectError):
        httpx.post(urls["delays-pr-2"], json=BODY)
    assert [each["state"] for each in forge.deployment_statuses[2:]] == ["inactive", "inactive"]
