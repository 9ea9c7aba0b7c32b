"""A child pipeline with a job for each workflow that a change touches, executed from the example."""

import re

import pytest
from fake_forge import Forge
from gitlab_runner import GitLabRunner, missing_part
from lasting_projects import LASTING

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing_part()), reason=missing_part())]


def test_each_touched_workflow_is_a_job_and_the_last_one_previews(loans: GitLabRunner, forge: Forge) -> None:
    loans.starts_children = True
    loans.call("parallel.yml", f"      environment: {LASTING}\n      preview: true\n")
    loans.change("loans/training.py", 'USED = ["income", "age"]', 'USED = ["age"]')
    ended = loans.request()
    assert ended.code == 0, ended.said
    assert "PASS  [modelyard-workflows] -> run: [main]" in ended.said
    assert "PASS  [modelyard-workflows] -> run: [quick]" in ended.said
    assert "announcing" not in ended.said
    (note,) = forge.notes[7]
    assert "**Passed:** <code>1 gate holds, 1 was skipped" in note["body"]
    assert [each["state"] for each in forge.statuses] == ["pending", "success"]
    assert re.search("> approve +approve-pr-7 +- +5 +0 ", ended.said), ended.said
    assert "endpoint approve-pr-7-champion" in ended.said


def test_a_page_alone_is_told_by_the_last_job(runner: GitLabRunner, forge: Forge) -> None:
    runner.starts_children = True
    runner.call("parallel.yml")
    runner.change("README.md", "Loans.", "Loans, explained.")
    ended = runner.request()
    assert ended.code == 0, ended.said
    assert "PASS  [modelyard-workflows] -> report" in ended.said
    assert "-> run" not in ended.said
    (note,) = forge.notes[7]
    assert "**Nothing to run:**" in note["body"]
