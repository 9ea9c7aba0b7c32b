import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from modelyard.errors import ErrorKind
from modelyard.operations import Track
from modelyard.projects import open_project
from modelyard.projects.dispatch import journal_of
from modelyard.workflows import StepFailed, Workflow
from modelyard.workflows.engines import LocalEngine

BIG = 123456789012345678901234567890


class Noted:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float | None, float]] = []

    @contextmanager
    def track(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Track]:
        noted = self

        class Counted:
            done = 0.0

            def advance(self, amount: float = 1) -> None:
                self.done += amount

        track = Counted()
        yield track
        noted.told.append((what, total, track.done))


def engine(traced: Any, run: str = "r1", **options: Any) -> LocalEngine:
    return LocalEngine(project=str(traced.root), project_name="traced", workflow_run=run, **options)


def flow(traced: Any, name: str) -> Workflow:
    found = open_project(str(traced.root)).load_workflow(name)
    assert isinstance(found, Workflow)
    return found


def test_values_flow_from_inputs_and_results(traced: Any) -> None:
    main = flow(traced, "main")
    progress = Noted()
    outcome = engine(traced, progress=progress).run(main, main.bind({"month": "8", "tags": '["x", "ö"]'}))
    assert outcome.states == {"one": "succeeded", "two": "succeeded", "three": "succeeded"}
    two = {"month": 8, "big": BIG, "rows": [1, 2, 3], "extra": ["x", "ö"]}
    assert outcome.results["two"] == {"value": two}
    assert outcome.results["three"]["value"]["received"] == {"first": 1, "all": [None, two, ["x", "ö"]]}
    assert traced.ran == ["one", "two", "three"]
    assert ("workflow main", 3, 3) in progress.told


def test_the_same_run_takes_what_had_finished_and_another_starts_anew(traced: Any) -> None:
    main = flow(traced, "main")
    traced.told("fail").touch()
    with pytest.raises(StepFailed) as failed:
        engine(traced).run(main, main.bind({}))
    assert traced.ran == ["one", "two"]
    error = failed.value
    assert error.error_kind is ErrorKind.USER_CODE
    assert error.where.startswith("workflow main, step two, ")
    assert "two is told to fail" in error.what
    assert error.facts["steps"] == {"one": "succeeded", "two": "failed", "three": "blocked"}
    assert (error.facts["workflow_run"], error.facts["step"]) == ("r1", "two")

    traced.told("fail").unlink()
    outcome = engine(traced).run(main, main.bind({}))
    assert outcome.results["two"]["value"]["big"] == BIG
    assert traced.ran == ["one", "two", "two", "three"]

    engine(traced, "r2").run(main, main.bind({}))
    assert traced.ran[4:] == ["one", "two", "three"]


def test_acknowledged_steps_run_again(traced: Any) -> None:
    main = flow(traced, "main")
    engine(traced).run(main, main.bind({}))
    outcome = engine(traced).run(main, main.bind({}))
    assert traced.ran == ["one", "two", "three"]
    engine(traced).acknowledge(outcome)
    engine(traced).run(main, main.bind({}))
    assert traced.ran == ["one", "two", "three"] * 2
    record = journal_of(traced.root).record("traced/r1/two")
    assert record is not None
    assert (record.generation, record.operation) == (2, "call")


def test_a_reference_to_what_is_not_there_names_it(traced: Any) -> None:
    nowhere = flow(traced, "nowhere")
    with pytest.raises(StepFailed) as failed:
        engine(traced).run(nowhere, {})
    assert str(failed.value) == (
        "workflow nowhere, step two: one.value.rows[7] leads nowhere: there is no 7 in [1,2,3]. "
        "Let the step return it, or refer to something that it returns."
    )
    assert failed.value.error_kind is ErrorKind.INVALID


def test_steps_may_run_in_processes_of_their_own(traced: Any) -> None:
    main = flow(traced, "main")
    outcome = engine(traced, launcher="process").run(main, main.bind({}))
    assert outcome.results["three"]["value"]["received"]["first"] == 1
    record = journal_of(traced.root).record("traced/r1/one")
    assert record is not None
    handle = journal_of(traced.root).job(record).handle()
    assert handle is not None
    assert handle.launcher == "process"


def test_the_log_tells_each_step(traced: Any, caplog: pytest.LogCaptureFixture) -> None:
    main = flow(traced, "main")
    with caplog.at_level(logging.INFO, "modelyard.workflows"):
        engine(traced).run(main, main.bind({}))
    lines = [record.getMessage() for record in caplog.records if record.name == "modelyard.workflows"]
    assert lines[0] == "step 1/3 one: call"
    assert lines[1].startswith("step 1/3 one: succeeded in 0.")
    assert [line.partition(":")[0] for line in lines] == [
        *("step 1/3 one", "step 1/3 one", "step 2/3 two", "step 2/3 two", "step 3/3 three", "step 3/3 three")
    ]
