"""A workflow as a pipeline of GitLab, for a project's own pipeline to start as a child."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.workflows.definition import Step, WorkflowInput
from modelyard.workflows.engines.jobs.folder import FOLDER, part_folder
from modelyard.workflows.engines.jobs.host_file import as_yaml, check_names, command, head, meaning, number_of
from modelyard.workflows.engines.jobs.inputs import host_text, variable_of
from modelyard.workflows.engines.jobs.plan import Job, JobPlan
from modelyard.workflows.engines.jobs.running import definition_digest
from modelyard.workflows.engines.jobs.settings import Settings, is_live
from modelyard.workflows.engines.remote import RunRequest
from modelyard.workflows.errors import WorkflowInvalid

__all__ = ["as_gitlab_pipeline"]

_BASE = ".workflow-step"
_MOST_NEEDS = 50
_KEYWORDS = {
    *("image", "services", "stages", "types", "variables", "cache", "include", "default", "workflow", "spec", "pages"),
    *("before_script", "after_script", "true", "false", "nil"),
}
"""What cannot be the name of a job, or makes it another sort of job."""


def as_gitlab_pipeline(request: RunRequest, options: Mapping[str, str]) -> str:
    """Return a workflow as the text of a file that ``trigger: include:`` names.

    Parameters
    ----------
    request
        The workflow and its project.
    options
        Those of all hosts, see `modelyard.workflows.engines.jobs.settings.OPTIONS`.

    Raises
    ------
    WorkflowInvalid
        An option breaks its rule, or GitLab could not take the workflow.
    """
    settings = Settings.of(request, options)
    plan = JobPlan(request.workflow)
    file = _File(request, settings, plan)
    text = head(request, plan, settings, "gitlab")
    inputs = file.inputs()
    if inputs:
        text += as_yaml({"spec": {"inputs": inputs}}) + "---\n"
    jobs = {file.name(job.name): file.job(job) for job in plan.jobs}
    content = {_BASE: file.base(), **jobs, plan.finish: file.finish()}
    return text + "\n".join(as_yaml({name: job}) for name, job in content.items())


class _File:
    """One file in the making."""

    def __init__(self, request: RunRequest, settings: Settings, plan: JobPlan) -> None:
        self._request = request
        self._settings = settings
        self._plan = plan
        self._folder = f"{settings.project_path}/{FOLDER}" if settings.project_path != "." else FOLDER
        self._taken = {job.name for job in plan.jobs}

    def name(self, job: str) -> str:
        """Return a job's name; one that means something else to GitLab gets another."""
        if job not in _KEYWORDS:
            return job
        name = f"step-{job}"
        while name in self._taken:
            name = f"step-{name}"
        return name

    def inputs(self) -> dict[str, Any]:
        check_names(self._plan.workflow.inputs, "GitLab")
        return {each.name: _input(each) for each in self._plan.workflow.inputs}

    def base(self) -> dict[str, Any]:
        settings = self._settings
        variables: dict[str, Any] = {
            "MODELYARD_WORKFLOW_RUN": "gitlab-$CI_PIPELINE_ID",
            "MODELYARD_WORKFLOW_DIGEST": definition_digest(self._request.workflow),
        }
        if self._request.environment:
            variables["MODELYARD_ENVIRONMENT"] = self._request.environment
        if settings["index-url"]:
            variables["PIP_INDEX_URL"] = settings["index-url"]
        for each in self._plan.workflow.inputs:
            variables[variable_of(each.name)] = {"value": f"$[[ inputs.{each.name} ]]", "expand": False}
        extras = f"[{settings.extras}]" if settings.extras else ""
        install = ["python3", "-m", "pip", "install", "--quiet", f"modelyard{extras}=={settings.version}"]
        if settings["requirements"]:
            install += ["--requirement", settings["requirements"]]
        entered = [] if settings.project_path == "." else [shlex.join(["cd", "--", settings.project_path])]
        return {
            "image": settings["image"] or f"python:{settings.python}",
            "rules": [{"when": "on_success"}],
            "variables": variables,
            "before_script": [*entered, shlex.join(install)],
        }

    def job(self, job: Job) -> dict[str, Any]:
        before = [self.name(each.name) for each in self._plan.before(job)]
        if len(before) > _MOST_NEEDS:
            mend = "Make several workflows of it."
            told = f"GitLab lets a job need {_MOST_NEEDS} others at most; {job.part} comes after {len(before)}"
            raise WorkflowInvalid(told, mend=mend)
        return {
            "extends": _BASE,
            "stage": "test",
            "needs": before,
            **self._machine(job.steps, job),
            "script": [command(self._request, self._settings, job.part)],
            "artifacts": self._artifacts(job.name),
        }

    def finish(self) -> dict[str, Any]:
        handlers = (self._plan.workflow.on_exit,) if self._plan.workflow.on_exit else ()
        return {
            "extends": _BASE,
            "stage": ".post",
            "rules": [{"when": "always"}],
            **self._machine(handlers, None),
            "script": [command(self._request, self._settings)],
            "artifacts": self._artifacts(self._plan.finish),
        }

    def _machine(self, steps: Sequence[Step], job: Job | None) -> dict[str, Any]:
        settings = self._settings
        found: dict[str, Any] = {"timeout": f"{settings.minutes(job)} minutes"}
        if labels := settings.labels(steps):
            found["tags"] = labels
        if any(map(is_live, steps)):
            live = settings["production"] or self._request.environment or "live"
            found["resource_group"] = f"{self._request.project_name}-{live}"
            if settings["production"]:
                found["environment"] = {"name": settings["production"]}
        return found

    def _artifacts(self, job: str) -> dict[str, Any]:
        return {
            "when": "always",
            "expire_in": f"{self._settings.keep_days} days",
            "paths": [f"{self._folder}/{part_folder(job)}"],
        }


def _input(each: WorkflowInput) -> dict[str, Any]:
    found: dict[str, Any] = {"description": meaning(each)}
    default: Any = None if each.required else host_text(each, each.default)
    if default is not None and "$[[" in default:
        mend = "Put it together in a function of the project."
        raise WorkflowInvalid(f"GitLab would read an input in the default of {each.name}", mend=mend)
    if each.type.kind == "boolean" and not each.type.optional:
        found["type"], default = "boolean", each.default
    elif each.type.kind == "choice" and not each.type.optional:
        found["options"] = list(each.type.choices)
    elif number_of(each):
        found["type"], default = "number", each.default
    return found if each.required else {**found, "default": default}
