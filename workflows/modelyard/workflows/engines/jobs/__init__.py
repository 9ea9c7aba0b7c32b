"""Workflows as jobs of a CI host: what each job does, and the files that GitHub and GitLab read."""

from modelyard.workflows.engines.jobs.folder import RunFolder
from modelyard.workflows.engines.jobs.plan import Job, JobPlan
from modelyard.workflows.engines.jobs.running import JobRun

__all__ = ["Job", "JobPlan", "JobRun", "RunFolder"]
