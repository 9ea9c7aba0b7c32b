"""A project's own workflow on GitHub, emulated: a model is trained in one job from files that another has made."""

import json
from pathlib import Path

import pytest
from github_emulator import BIN, Emulator, missing
from loans_project import git, write_loans
from warm_commands import warm_commands

from modelyard.projects import open_project
from modelyard.workflows import Workflow
from modelyard.workflows.engines.jobs.github import as_github_workflow
from modelyard.workflows.engines.remote import RunRequest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing() or "there is an emulator"),
]


def test_datasets_and_models_reach_the_jobs_that_need_them(tmp_path: Path) -> None:
    project, state = write_loans(tmp_path / "loans"), tmp_path / "lasting"
    with (project / "modelyard.yaml").open("a") as file:
        tracking = f"sqlite:///{state}/mlflow.db"
        file.write(
            f"environments:\n  shared: {{state: '{state}', tracking: '{tracking}', secrets: [LOANS_PASSWORD]}}\n"
        )
    git(project, "commit", "-q", "-a", "-m", "shared")
    opened = open_project(project)
    flow = opened.load_workflow("quick")
    assert isinstance(flow, Workflow)
    request = RunRequest(
        workflow=flow, name="quick", inputs={}, project=str(project), project_name="loans", workflow_run=""
    )
    text = as_github_workflow(request, {"files": "data"})
    with warm_commands(tmp_path / "warm") as commands:
        emulator = Emulator(
            project,
            tmp_path / "runs",
            "http://127.0.0.1:9/github",
            secrets={"LOANS_PASSWORD": "hunter2-hunter2"},
            commands={"": [commands, BIN]},
        )
        run = emulator.run(text, "workflow_dispatch", {"ref": "refs/heads/main", "inputs": {"rows": "120"}})
    assert (run.message, run.result) == ("", "success"), run.log
    assert {name: job["result"] for name, job in run.jobs.items()} == dict.fromkeys(
        ("prepare", "train", "register", "workflow-finish"), "success"
    )
    assert run.jobs["train"]["outputs"] == {"state": "succeeded"}
    kept = tmp_path / "runs/run-1/artifacts"
    outcome = json.loads((kept / "step-workflow-finish/outcome.json").read_text())
    assert outcome["results"]["register"]["model"] == "models:/quick-loans/1"
    assert outcome["results"]["prepare"]["value"]["train"] == "data/train.parquet"
    handed = sorted(path.relative_to(kept).as_posix() for path in kept.rglob("files/data/*"))
    assert handed == ["step-prepare/files/data/test.parquet", "step-prepare/files/data/train.parquet"]
    assert "hunter2" not in run.log
