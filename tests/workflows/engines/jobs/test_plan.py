"""Which jobs a workflow becomes, and which of them need which."""

from collections.abc import Callable

import pytest

from modelyard.workflows import StepNotFound, Workflow, steps, workflow
from modelyard.workflows.engines.jobs import JobPlan

Flow = Callable[[str], Workflow]


def test_steps_branches_and_loops_become_jobs(flow: Flow) -> None:
    plan = JobPlan(flow("looping"))
    assert [(job.name, job.part, job.needs) for job in plan.jobs] == [
        ("first", "first", ()),
        ("one-0", "one[0]", ()),
        ("two-0", "two[0]", ("one-0",)),
        ("one-1", "one[1]", ()),
        ("two-1", "two[1]", ("one-1",)),
        ("unknown", "unknown", ("first",)),
        ("slowly", "slowly", ()),
        ("last", "last", ("two-0", "two-1")),
    ]
    assert [loop.name for loop in plan.loops] == ["unknown", "slowly"]
    assert [job.name for job in plan.before(plan.job("last"))] == ["one-0", "two-0", "one-1", "two-1"]
    assert plan.finish == "workflow-finish"


def test_who_needs_a_branch_waits_for_all_of_it(flow: Flow) -> None:
    plan = JobPlan(flow("branching"))
    assert [(job.name, job.needs) for job in plan.jobs] == [("yes", ()), ("no", ()), ("all", ("yes", "no"))]


def test_what_is_inside_a_loop_of_one_job_is_no_part(flow: Flow) -> None:
    with pytest.raises(StepNotFound, match="there is no step 'turn' in the workflow"):
        JobPlan(flow("looping")).job("turn")


def test_names_do_not_meet() -> None:
    @workflow
    def meeting() -> None:
        from modelyard.workflows import each

        with each([1]):
            steps(name="a").call(function="f")
        steps(name="a-0").call(function="f")
        steps(name="workflow-finish").call(function="f")

    plan = JobPlan(meeting)
    assert [job.name for job in plan.jobs] == ["a-0-x", "a-0", "workflow-finish"]
    assert plan.finish == "workflow-finish-x"
