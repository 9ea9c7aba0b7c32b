"""The templates for the default branch, schedules and lasting previews, executed from the examples."""

import json
import re
import shutil
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_lines import Command
from fake_forge import Forge
from gitlab_runner import GitLabRunner, Pipeline, missing_part
from lasting_projects import with_lasting
from loans_project import git

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing_part()), reason=missing_part())]


@pytest.fixture
def shared(runner: GitLabRunner, tmp_path: Path) -> GitLabRunner:
    with_lasting(runner.project, tmp_path / "lasting")
    return runner


@pytest.fixture
def endpoints(shared: GitLabRunner, command: Command) -> Iterator[list[str]]:
    """Endpoints to end with the test."""
    names: list[str] = []
    yield names
    for name in names:
        command("undeploy", "--endpoint", name, "--project", str(shared.project), "--environment", "shared")


def answer(url: str) -> Any:
    request = urllib.request.Request(url, b'{"income": 1.0, "age": 1.0}', {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)


def test_from_a_push_to_an_endpoint_a_schedule_and_a_preview(
    shared: GitLabRunner, endpoints: list[str], forge: Forge
) -> None:
    (shared.project / "requests.json").write_text('[{"income": 1.0, "age": 1.0}]')
    shared.call("main.yml", "      requests: requests.json\n")
    git(shared.project, "switch", "-q", "main")
    endpoints.extend(("approve", "approve-pr-7"))
    ended = push(shared, "promote")
    assert ended.code == 0, ended.said
    assert "1 of 1 requests were answered as they had to be" in ended.said
    assert ended.outputs("modelyard-train")["MODEL_URI"] == "models:/loans/1"
    promoted = ended.outputs("modelyard-promote")
    assert (promoted["MODEL_URI"], promoted["MODEL_VERSION"]) == ("models:/loans/1", "1")
    assert promoted["ALIAS"] == "champion"
    outputs = ended.outputs("modelyard-deploy")
    assert json.loads(outputs["MODELS"]) == {"model": "models:/loans/1"}
    assert answer(outputs["ENDPOINT_URL"])["label"] == 1

    score_by_schedule(shared)
    fail_and_go_back(shared, outputs)
    deploy_and_go_back(shared, outputs)
    preview_until_its_time_is_over(shared, forge)


def push(shared: GitLabRunner, *by_hand: str) -> Pipeline:
    """Run the pipeline of the newest commit on the main branch, with some of the jobs that wait for a person."""
    before = git(shared.project, "rev-parse", "HEAD~1")
    words = [f"--manual=modelyard-{each}" for each in by_hand]
    return shared.run(*words, CI_PIPELINE_SOURCE="push", CI_COMMIT_BEFORE_SHA=before)


def champion(shared: GitLabRunner) -> list[Any]:
    with closing(sqlite3.connect(shared.project.parent / "lasting/mlflow.db")) as database:
        return database.execute("select alias, version from registered_model_aliases where name = 'loans'").fetchall()


def fail_and_go_back(shared: GitLabRunner, before: dict[str, str]) -> None:
    first = answer(before["ENDPOINT_URL"])
    shared.call("main.yml", "      requests: requests.json\n")
    git(shared.project, "switch", "-q", "main")
    shared.change("loans/serving.py", ".respond()", ".to(abs, name='broken').respond()")
    ended = push(shared, "promote")
    assert ended.code == 1, ended.said
    assert ended.outputs("modelyard-promote")["MODEL_URI"] == "models:/loans/2"
    outputs = ended.outputs("modelyard-deploy")
    assert (outputs["CHANGED"], outputs["PREVIOUS"]) == ("true", before["REVISION"])
    assert "0 of 1 requests were answered as they had to be" in ended.said
    assert re.search("modelyard-deploy +finished in .* FAIL 6", ended.said), ended.said
    assert answer(before["ENDPOINT_URL"]) == first
    assert champion(shared) == [("champion", 1)]


def deploy_and_go_back(shared: GitLabRunner, before: dict[str, str]) -> None:
    first = answer(before["ENDPOINT_URL"])
    shared.call("main.yml", **{"      workflows: main\n": ""})
    git(shared.project, "switch", "-q", "main")
    shared.change("loans/serving.py", ".to(abs, name='broken').respond()", ".to(len, name='length').respond()")
    ended = push(shared, "promote", "rollback")
    assert ended.code == 0, ended.said
    assert "the change has trained no model" in ended.said
    outputs = ended.outputs("modelyard-deploy")
    assert (outputs["CHANGED"], outputs["PREVIOUS"]) == ("true", before["REVISION"])
    assert "PASS  modelyard-rollback" in ended.said
    assert answer(before["ENDPOINT_URL"]) == first


def score_by_schedule(shared: GitLabRunner) -> None:
    (dataset,) = (shared.project / ".gitlab-ci-local").rglob("test.parquet")
    (shared.project / "data").mkdir()
    shutil.copy(dataset, shared.project / "data")
    git(shared.project, "add", "--force", "data")
    shared.call("batch.yml")
    ended = shared.run(CI_PIPELINE_SOURCE="schedule")
    assert ended.code == 0, ended.said
    outputs = ended.outputs("modelyard-batch")
    assert (outputs["MODEL_URI"], outputs["ROWS"], outputs["REJECTED"]) == ("models:/loans/1", "600", "0")


def preview_until_its_time_is_over(shared: GitLabRunner, forge: Forge) -> None:
    shared.call("preview.yml")
    shared.change("loans/serving.py", "Answers whether", "Tells whether")
    ended = shared.request()
    assert ended.code == 0, ended.said
    url = ended.outputs("modelyard-preview")["ENDPOINT_URL"]
    assert answer(url) == 2
    (note,) = forge.notes[7]
    assert url in note["body"]
    assert note["updates"] == 1

    (entry,) = (shared.project.parent / "lasting/previews").glob("*.json")
    kept = json.loads(entry.read_text())
    assert 23 * 3_600 < kept["expires"] - entry.stat().st_mtime <= 24 * 3_600 + 60
    entry.write_text(json.dumps({**kept, "expires": 1.0}))
    ended = shared.run(CI_PIPELINE_SOURCE="schedule")
    assert ended.code == 0, ended.said
    assert "ended approve-pr-7" in ended.said
    assert not entry.exists()
    with pytest.raises(OSError, match="refused"):
        answer(url)


def test_a_schedule_trains_anew(runner: GitLabRunner) -> None:
    runner.call("retrain.yml")
    ended = runner.run(CI_PIPELINE_SOURCE="schedule")
    assert ended.code == 0, ended.said
    assert "fitting fit on 160 rows" in ended.said
    outputs = ended.outputs("modelyard-retrain")
    assert json.loads(outputs["STEPS"]) == {"prepare": "succeeded", "train": "succeeded", "register": "succeeded"}
    listed = runner.run("--list-csv", CI_PIPELINE_SOURCE="schedule", MODELYARD_SCHEDULE="another").said
    assert "modelyard-retrain" not in listed
    assert "modelyard-retrain" not in runner.run("--list-csv", CI_PIPELINE_SOURCE="push").said
