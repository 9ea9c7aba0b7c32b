"""The merge request template, executed from the examples: by project, component, address and as a local file."""

import json
import shutil

import pytest
from fake_forge import Forge
from gitlab_runner import ROOT, GitLabRunner, missing_part
from loans_project import git

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing_part()), reason=missing_part())]


def test_a_worse_model_then_a_page_alone(runner: GitLabRunner, forge: Forge) -> None:
    runner.call("newcomer.yml")
    runner.change("loans/training.py", 'USED = ["income", "age"]', 'USED = ["income"]')
    ended = runner.request()

    assert (ended.code, "finished in" in ended.said, "FAIL 6" in ended.said) == (1, True, True), ended.said
    (note,) = forge.notes[7]
    assert "**Gate failed:** <code>roc&#95;auc &#62;= " in note["body"]
    outputs = ended.outputs("modelyard-request")
    assert (outputs["GATE"], outputs["VERDICT"], outputs["SMOKE"]) == ("fail", "failure", "pass")
    assert (outputs["MODEL_URI"], outputs["MODEL_VERSION"]) == ("models:/loans/2", "2")
    assert "roc_auc" in ended.report("modelyard-request", "metrics.txt")
    assert "roc_auc &gt;= champion - 0.005" in ended.report("modelyard-request", "junit.xml")
    assert json.loads(ended.report("modelyard-request", "annotations.json"))
    assert [each["state"] for each in forge.statuses] == ["pending", "failed"]
    assert "forge-secret" not in ended.said

    git(runner.project, "switch", "-q", "-C", "change", "main")
    runner.change("README.md", "Loans.", "Loans, explained.")
    ended = runner.request()
    assert ended.code == 0, ended.said
    assert "fitting" not in ended.said
    (again,) = forge.notes[7]
    assert (again["id"], again["updates"]) == (note["id"], 1)
    assert "**Nothing to run:**" in again["body"]
    assert ended.outputs("modelyard-request")["VERDICT"] == "nothing"


def test_a_component_of_the_newest_version(runner: GitLabRunner, forge: Forge) -> None:
    runner.call("component.yml")
    runner.change("README.md", "Loans.", "Loans, explained.")
    ended = runner.request()
    assert ended.code == 0, ended.said
    assert "GRAPH " not in ended.said
    assert len(forge.notes[7]) == 1
    assert runner.installs.read_text() == "-m pip install --quiet modelyard[ci,ml,serving]\n"


def test_an_address_and_inputs_of_several_lines(runner: GitLabRunner, forge: Forge, address: str) -> None:
    runner.call("remote.yml", **{"https://gitlab.example.com": address})
    runner.change("loans/training.py", 'USED = ["income", "age"]', 'USED = ["income"]')
    ended = runner.request()
    assert "FAIL 6" in ended.said
    assert "fitting fit on 160 rows" in ended.said
    assert "roc_auc >= 0.99" in ended.said
    assert ended.outputs("modelyard-request")["MODEL_URI"] == "models:/quick-loans/1"
    assert len(forge.notes[7]) == 1


def test_a_project_in_a_folder_of_its_repository(runner: GitLabRunner, forge: Forge) -> None:
    folder = runner.project / "models" / "loans"
    folder.mkdir(parents=True)
    for name in ("loans", "modelyard.yaml", "README.md"):
        git(runner.project, "mv", name, f"models/loans/{name}")
    shutil.copytree(ROOT / "gitlab-ci", runner.project / "gitlab-ci")
    runner.call("monorepo.yml")
    runner.change("models/loans/README.md", "Loans.", "Loans, explained.")
    ended = runner.request()
    assert ended.code == 0, ended.said
    assert ended.outputs("loans-request")["VERDICT"] == "nothing"
    assert len(forge.notes[7]) == 1


def test_a_push_runs_nothing(runner: GitLabRunner) -> None:
    runner.call("newcomer.yml")
    assert "modelyard-request" not in runner.run("--list-csv", CI_PIPELINE_SOURCE="push").said
