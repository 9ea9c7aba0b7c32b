"""Tells what was found for another commit than the one that is here, in a workspace that lasts."""

from collections.abc import Mapping

from modelyard.ci.errors import RunOutdated
from modelyard.ci.job import CiJob
from modelyard.ci.records import PlanRecord, RunRecord

__all__ = ["check_present"]


def check_present(job: CiJob, plan: PlanRecord | None, runs: Mapping[str, RunRecord]) -> None:
    """Refuse a plan or a run of another commit than the one that is checked out or judged.

    Where a job reports what another event's run has left, the commit that is checked out says nothing, and the forge
    alone knows the one that is judged: without its word nothing is refused.

    Parameters
    ----------
    job
        The job.
    plan
        What it has planned; None if nothing is.
    runs
        File → what ran.

    Raises
    ------
    RunOutdated
        The first that is about another commit.
    """
    context, present = job.context, job.project.stamp.commit
    if context.event == "comment":
        present = context.head_commit
    if not present or context.event == "workflow_run":
        return
    about = {"plan.json": plan.head if plan else "", **{name: each.commit for name, each in runs.items()}}
    for name, commit in about.items():
        if commit and commit not in (present, context.head_commit):
            raise RunOutdated(str(job.folder.path / name), commit, present)
