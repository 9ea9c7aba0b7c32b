"""Every template by every kind of include: the same jobs come of it, and they run."""

import json
import shutil
from typing import Any

import pytest
from fake_forge import Forge
from gitlab_runner import ROOT, GitLabRunner, Pipeline, missing_part
from lasting_projects import LASTING

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing_part()), reason=missing_part())]

KINDS = {
    "project": {"project": "ml/modelyard", "ref": "v1", "file": "/gitlab-ci/{name}.yml"},
    "component": {"component": "gitlab.example.com/ml/modelyard/{name}@1"},
    "remote": {"remote": "{address}/ml/modelyard/-/raw/v1/gitlab-ci/{name}.yml"},
    "local": {"local": "/gitlab-ci/{name}.yml"},
}
INPUTS: dict[str, dict[str, Any]] = {
    "pull-request": {"preview": False},
    "pull-request-parallel": {},
    "main": {"graph": "approve"},
    "preview": {},
    "batch": {"model": "models:/loans@champion", "dataset": "data/test.parquet", "destination": "scored"},
    "retrain": {"workflow": "quick", "parameters": "rows=60"},
}
EXECUTED = (
    "request",
    "plan",
    "train",
    "preview",
    "preview-stop",
    "preview-reaper",
    "batch",
    "retrain",
)
"""Jobs that need nothing that was deployed; the pipelines that others start come from no include."""


def include(runner: GitLabRunner, kind: str, address: str) -> None:
    """Have all templates in the project's file, by one kind of include."""
    found = [
        {
            **{key: text.format(name=name, address=address) for key, text in KINDS[kind].items()},
            "inputs": {"environment": LASTING, **given},
        }
        for name, given in INPUTS.items()
    ]
    runner.write(json.dumps({"include": found}))


def test_each_kind_of_include_gives_the_same_jobs(loans: GitLabRunner, address: str) -> None:
    shutil.copytree(ROOT / "gitlab-ci", loans.project / "gitlab-ci")
    whole = set()
    for kind in KINDS:
        include(loans, kind, address)
        ended = loans.run("--preview", CI_PIPELINE_SOURCE="push")
        assert ended.code == 0, ended.said
        assert "modelyard-rollback:" in ended.printed
        whole.add(ended.printed)
    assert len(whole) == 1


@pytest.mark.parametrize("kind", ["component", "remote", "local"])
def test_what_is_included_runs(loans: GitLabRunner, address: str, forge: Forge, kind: str) -> None:
    if kind == "local":
        shutil.copytree(ROOT / "gitlab-ci", loans.project / "gitlab-ci")
    include(loans, kind, address)
    loans.change("README.md", "Loans.", "Loans, explained.")
    ended = loans.request(*(f"modelyard-{name}" for name in EXECUTED))
    assert ended.code == 0, ended.said
    for name in EXECUTED:
        assert f"PASS  modelyard-{name}" in ended.said
    assert judged(ended) == {"modelyard-request": "nothing", "modelyard-train": "nothing"}
    assert ended.outputs("modelyard-batch")["ROWS"] == "300"
    steps = json.loads(ended.outputs("modelyard-retrain")["STEPS"])
    assert steps == {"prepare": "succeeded", "train": "succeeded", "register": "succeeded"}


def judged(ended: Pipeline) -> dict[str, str]:
    return {job: ended.outputs(job)["VERDICT"] for job in ("modelyard-request", "modelyard-train")}
