"""The emulator itself: what it takes from a workflow file, a script and an action."""

from typing import Any

import pytest
from github_emulator import Emulator, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is an emulator")

PUSH: dict[str, Any] = {"ref": "refs/heads/main", "before": "0" * 40}
HEAD = "name: caller\non: push\npermissions: {}\njobs:\n"


def test_scripts_hand_on_outputs_variables_paths_and_summaries(emulator: Emulator) -> None:
    run = emulator.run(
        HEAD
        + """
  first:
    runs-on: ubuntu-latest
    outputs: {text: "${{ steps.one.outputs.text }}"}
    env: {WHO: Ada}
    steps:
      - id: one
        shell: bash
        run: |
          { echo 'text<<END'; echo two; echo lines; echo END; } >> "$GITHUB_OUTPUT"
          echo LATER=yes >> "$GITHUB_ENV"
          echo "# page of $WHO" >> "$GITHUB_STEP_SUMMARY"
          echo "::add-mask::s3cret"
          echo "s3cret is hidden"
          echo "::error file=a.py,line=3,title=bad::it broke"
      - run: test "$LATER" = yes
      - id: fails
        run: exit 3
        continue-on-error: true
      - if: steps.fails.outcome == 'failure' && steps.fails.conclusion == 'success'
        run: echo went on
      - run: exit 4
      - run: echo never
      - if: always()
        run: echo always
  second:
    needs: first
    if: failure()
    runs-on: ubuntu-latest
    env: {TEXT: "${{ needs.first.outputs.text }}"}
    steps:
      - {shell: python, run: "import os; print(repr(os.environ['TEXT']))"}
  third: {needs: first, runs-on: ubuntu-latest, steps: [{run: echo never}]}
""",
        "push",
        PUSH,
    )
    assert run.message == ""
    assert run.result == "failure"
    first = run.jobs["first"]
    assert (first["result"], first["codes"]) == ("failure", [0, 0, 3, 0, 4, 0])
    assert first["outputs"] == {"text": "two\nlines"}
    assert first["summary"] == "# page of Ada\n"
    assert first["annotations"] == [
        {"level": "error", "file": "a.py", "line": "3", "title": "bad", "message": "it broke"}
    ]
    assert "*** is hidden" in first["log"]
    assert "s3cret is" not in first["log"]
    assert (run.jobs["second"]["log"].strip(), run.jobs["third"]["result"]) == ("'two\\nlines'", "skipped")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("github.event_name == 'PUSH'", "true"),
        ("format('{0}-{1}', 'a}}', 1)", "a}}-1"),
        ("fromJSON('{\"a\":[1, 2]}').a[1]", "2"),
        ("contains(fromJSON('[\"x\"]'), 'X')", "true"),
        ("hashFiles('README.md') != ''", "true"),
        ("hashFiles('no/such/file')", ""),
        ("secrets.NONE || 'nothing'", "nothing"),
    ],
)
def test_expressions(emulator: Emulator, expression: str, value: str) -> None:
    text = f"""
  only:
    runs-on: ubuntu-latest
    outputs: {{value: "${{{{ steps.one.outputs.value }}}}"}}
    steps:
      - uses: actions/checkout@v5
      - id: one
        env:
          VALUE: ${{{{ {expression} }}}}
        run: echo "value=$VALUE" >> "$GITHUB_OUTPUT"
"""
    run = emulator.run(HEAD + text, "push", PUSH)
    assert run.message == ""
    assert run.jobs["only"]["outputs"] == {"value": value}


def test_a_matrix_has_a_job_for_each_combination(emulator: Emulator) -> None:
    text = """
  only:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        size: ${{ fromJSON('[1, 2]') }}
        kind: [a]
        exclude: [{size: 2}]
        include: [{size: 1, more: b}, {size: 3, kind: c}]
    env: {TOLD: "${{ toJSON(matrix) }}"}
    steps: [{run: echo $TOLD}]
"""
    run = emulator.run(HEAD + text, "push", PUSH)
    assert [*run.jobs] == ["only (1, a, b)", "only (3, c)"]
    assert '"more": "b"' in run.jobs["only (1, a, b)"]["log"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("functoin: fit", "has no input functoin; it has function, dataset,"),
        ("dataset: a", "needs the input function"),
    ],
)
def test_an_action_is_refused_what_it_does_not_know(emulator: Emulator, inputs: str, said: str) -> None:
    step = f"{{uses: OWNER/REPO/github-actions/train@v1, with: {{{inputs}}}}}"
    run = emulator.run(HEAD + f"\n  only: {{runs-on: ubuntu-latest, steps: [{step}]}}\n", "push", PUSH)
    assert run.result == "error"
    assert said in run.message


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("with: {worklow: main}", "the input worklow is not declared; declared are workflow, parameters,"),
        ("with: {parameters: a=1}", "the input workflow is required"),
        ("with: {workflow: main, timeout: long}", 'the input timeout is a number, not "long"'),
        ("with: {workflow: main}\n    secrets: {tracking-toke: x}", "the secret tracking-toke is not declared"),
        (
            "with: {workflow: main}\n    permissions: {contents: read}",
            "the job wants id-token: write, and is allowed none",
        ),
    ],
)
def test_a_workflow_is_refused_what_it_does_not_know(emulator: Emulator, given: str, said: str) -> None:
    allowed = "" if "permissions" in given else "permissions: {contents: read, id-token: write}\n    "
    text = f"\n  only:\n    uses: OWNER/REPO/.github/workflows/ml-retrain.yml@v1\n    {allowed}{given}\n"
    run = emulator.run(HEAD + text, "push", PUSH)
    assert run.result == "error"
    assert said in run.message


def test_a_file_that_github_refuses_is_refused(emulator: Emulator) -> None:
    run = emulator.run(HEAD + "\n  only: {runs-on: ubuntu-latest, stpes: []}\n", "push", PUSH)
    assert run.result == "error"
    assert "stpes" in run.message


def test_another_event_starts_nothing(emulator: Emulator) -> None:
    run = emulator.run(HEAD + "\n  only: {runs-on: ubuntu-latest, steps: [{run: exit 1}]}\n", "schedule", {})
    assert run.result == "not started"
