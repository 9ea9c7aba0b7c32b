"""The templates for the default branch, schedules and lasting previews, executed from the examples."""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_lines import Command
from fake_forge import Forge
from gitlab_runner import GitLabRunner, missing_part
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
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def test_from_a_push_to_an_endpoint_a_schedule_and_a_preview(
    shared: GitLabRunner, endpoints: list[str], forge: Forge
) -> None:
    shared.call("main.yml")
    git(shared.project, "switch", "-q", "main")
    endpoints.extend(("approve", "approve-pr-7"))
    ended = shared.run(
        "--manual=modelyard-promote",
        CI_PIPELINE_SOURCE="push",
        CI_COMMIT_BEFORE_SHA=git(shared.project, "rev-parse", "HEAD~1"),
    )
    assert ended.code == 0, ended.said
    assert ended.outputs("modelyard-train")["MODEL_URI"] == "models:/loans/1"
    promoted = ended.outputs("modelyard-promote")
    assert (promoted["MODEL_URI"], promoted["MODEL_VERSION"]) == ("models:/loans/1", "1")
    assert promoted["ALIAS"] == "champion"
    outputs = ended.outputs("modelyard-deploy")
    assert json.loads(outputs["MODELS"]) == {"model": "models:/loans/1"}
    assert answer(outputs["ENDPOINT_URL"])["label"] == 1

    score_by_schedule(shared)
    deploy_and_go_back(shared, outputs)
    preview_until_its_time_is_over(shared, forge)


def deploy_and_go_back(shared: GitLabRunner, before: dict[str, str]) -> None:
    first = answer(before["ENDPOINT_URL"])
    shared.call("main.yml", **{"      workflows: main\n": ""})
    git(shared.project, "switch", "-q", "main")
    shared.change("loans/serving.py", ".respond()", ".to(len, name='length').respond()")
    words = ("--manual=modelyard-promote", "--manual=modelyard-rollback")
    ended = shared.run(
        *words, CI_PIPELINE_SOURCE="push", CI_COMMIT_BEFORE_SHA=git(shared.project, "rev-parse", "HEAD~1")
    )
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
