"""A child pipeline with a job for each workflow that a change touches, executed from the example."""

import pytest
from fake_forge import Forge
from gitlab_runner import GitLabRunner, missing_part

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing_part()), reason=missing_part())]


def test_each_touched_workflow_is_a_job(runner: GitLabRunner, forge: Forge) -> None:
    runner.starts_children = True
    runner.call("parallel.yml")
    runner.change("loans/training.py", 'USED = ["income", "age"]', 'USED = ["age"]')
    ended = runner.request()
    assert ended.code == 0, ended.said
    assert "PASS  [modelyard-workflows] -> run: [main]" in ended.said
    assert "PASS  [modelyard-workflows] -> run: [quick]" in ended.said
    assert "announcing" not in ended.said
    (note,) = forge.notes[7]
    assert "**Passed:** <code>1 gate holds, 1 was skipped" in note["body"]
    assert [each["state"] for each in forge.statuses] == ["pending", "success"]
