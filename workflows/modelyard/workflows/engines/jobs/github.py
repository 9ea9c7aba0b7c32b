"""A workflow as a workflow of GitHub Actions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.workflows.definition import Step, WorkflowInput
from modelyard.workflows.engines.jobs.folder import FOLDER, part_folder
from modelyard.workflows.engines.jobs.host_file import as_yaml, check_names, command, head, meaning, number_of
from modelyard.workflows.engines.jobs.inputs import ALL, host_text
from modelyard.workflows.engines.jobs.plan import Job, JobPlan
from modelyard.workflows.engines.jobs.running import definition_digest
from modelyard.workflows.engines.jobs.settings import Settings, environment_definition, is_live, variables_of
from modelyard.workflows.engines.remote import RunRequest
from modelyard.workflows.errors import WorkflowInvalid

__all__ = ["ACTIONS", "as_github_workflow"]

ACTIONS = {
    "actions/checkout": ("08c6903cd8c0fde910a37f88322edcfb5dd907a8", "v5.0.0"),
    "actions/download-artifact": ("d3f86a106a0bac45b974a628896c90dbdf5c8093", "v4.3.0"),
    "actions/upload-artifact": ("ea165f8d65b6e75b540449e92b4886f43607fa02", "v4.6.2"),
}
"""The actions of others: their commits, and what these are called."""

_MOST_INPUTS = 25


def as_github_workflow(request: RunRequest, options: Mapping[str, str]) -> str:
    """Return a workflow as the text of a file below ``.github/workflows``.

    Parameters
    ----------
    request
        The workflow and its project.
    options
        Those of all hosts (`modelyard.workflows.engines.jobs.settings.OPTIONS`), and ``actions``: the repository with
        modelyard's actions and its version; ``schedule``: when it starts by itself, as five fields in UTC; ``secrets``
        and ``variables``: names of what jobs get of the repository's secrets and variables, besides the secrets that
        the environment declares and the variables that it names.

    Raises
    ------
    WorkflowInvalid
        An option breaks its rule, or GitHub could not take the workflow.
    """
    settings = Settings.of(request, options, "actions", "schedule", "secrets", "variables")
    plan = JobPlan(request.workflow)
    file = _File(request, settings, plan)
    content = {
        "name": f"{request.project_name} {plan.workflow.name}",
        "on": file.triggers(),
        "permissions": {},
        "concurrency": {"group": f"{request.project_name}-{plan.workflow.name}", "cancel-in-progress": False},
        "env": file.variables(),
        "jobs": {**{job.name: file.job(job) for job in plan.jobs}, plan.finish: file.finish()},
    }
    return head(request, plan, settings, "github") + _readable(as_yaml(content))


class _File:
    """One file in the making."""

    def __init__(self, request: RunRequest, settings: Settings, plan: JobPlan) -> None:
        self._request = request
        self._settings = settings
        self._plan = plan
        self._folder = f"{settings.project_path}/{FOLDER}" if settings.project_path != "." else FOLDER

    def triggers(self) -> dict[str, Any]:
        inputs = self._plan.workflow.inputs
        check_names(inputs, "GitHub")
        if len(inputs) > _MOST_INPUTS:
            mend = "Take several together as one mapping."
            raise WorkflowInvalid(f"GitHub asks for {_MOST_INPUTS} parameters at most, not {len(inputs)}", mend=mend)
        asked = {each.name: _input(each) for each in inputs}
        found: dict[str, Any] = {"workflow_dispatch": {"inputs": asked} if asked else None}
        if schedule := self._settings["schedule"]:
            for each in inputs:
                if each.required:
                    told = f"a schedule cannot be asked for {each.name}"
                    raise WorkflowInvalid(told, where="--option schedule", mend="Give the parameter a default.")
            found["schedule"] = [{"cron": schedule}]
        return found

    def variables(self) -> dict[str, str]:
        found = {
            "MODELYARD_WORKFLOW_RUN": "github-${{ github.run_id }}",
            "MODELYARD_WORKFLOW_DIGEST": definition_digest(self._request.workflow),
        }
        if self._request.environment:
            found["MODELYARD_ENVIRONMENT"] = self._request.environment
        if self._plan.workflow.inputs:
            # As text: GitHub would round numbers. A schedule gives none.
            found[ALL] = "${{ toJSON(github.event.inputs) }}"
        return found

    def job(self, job: Job) -> dict[str, Any]:
        steps = self._steps(command(self._request, self._settings, job.part), part_folder(job.name), bool(job.needs))
        return {
            **({"needs": list(job.needs)} if job.needs else {}),
            **self._machine(job.steps, job),
            "outputs": {"state": "${{ steps.work.outputs.state }}"},
            "steps": steps,
        }

    def finish(self) -> dict[str, Any]:
        plan = self._plan
        needed = {name for job in plan.jobs for name in job.needs}
        last = [job.name for job in plan.jobs if job.name not in needed]
        handlers = (plan.workflow.on_exit,) if plan.workflow.on_exit else ()
        steps = self._steps(command(self._request, self._settings), part_folder(plan.finish), bool(last))
        return {
            **({"needs": last} if last else {}),
            "if": "always()",
            **self._machine(handlers, None),
            "steps": steps,
        }

    def _machine(self, steps: Sequence[Step], job: Job | None) -> dict[str, Any]:
        settings = self._settings
        labels = settings.labels(steps) or ["ubuntu-latest"]
        found: dict[str, Any] = {
            "runs-on": labels[0] if len(labels) == 1 else labels,
            "timeout-minutes": settings.minutes(job),
            "permissions": {"contents": "read"},
        }
        if settings["image"]:
            found["container"] = settings["image"]
        if settings["production"] and any(map(is_live, steps)):
            found["environment"] = settings["production"]
        return found

    def _steps(self, line: str, artifact: str, takes: bool) -> list[dict[str, Any]]:
        settings = self._settings
        place = settings.project_path if settings.project_path != "." else ""
        setup = {
            "requirements": settings["requirements"],
            "index-url": settings["index-url"],
            "project-path": place,
        }
        given = {
            "python-version": settings.python,
            "version": settings.version,
            "extras": settings.extras,
            **{name: value for name, value in setup.items() if value},
        }
        repository, _, at = (settings["actions"] or "OWNER/REPO@v1").partition("@")
        variables = self._given()
        first = [
            {"uses": _pinned("actions/checkout"), "with": {"persist-credentials": False}},
            {"uses": f"{repository}/github-actions/setup@{at}", "with": given},
        ]
        if takes:
            taken = {"pattern": "step-*", "path": self._folder}
            first.append({"uses": _pinned("actions/download-artifact"), "with": taken})
        work = {
            "id": "work",
            "shell": "bash",
            **({"working-directory": place} if place else {}),
            **({"env": variables} if variables else {}),
            "run": line,
        }
        keep = {
            "if": "always()",
            "uses": _pinned("actions/upload-artifact"),
            "with": {
                "name": artifact,
                "path": f"{self._folder}/{artifact}",
                "include-hidden-files": True,
                "if-no-files-found": "ignore",
                "overwrite": True,
                "retention-days": settings.keep_days,
            },
        }
        return [*first, work, keep]

    def _given(self) -> dict[str, str]:
        definition = environment_definition(self._request)
        secrets = dict.fromkeys([*definition.secrets, *self._settings.names("secrets")])
        variables = dict.fromkeys([*variables_of(definition), *self._settings.names("variables")])
        found = {name: f"${{{{ vars.{name} }}}}" for name in variables if name not in secrets}
        return {**found, **{name: f"${{{{ secrets.{name} }}}}" for name in secrets}}


def _input(each: WorkflowInput) -> dict[str, Any]:
    found: dict[str, Any] = {"description": meaning(each), "required": each.required}
    text = None if each.required else host_text(each, each.default)
    if text is not None and "${{" in text:
        mend = "Put it together in a function of the project."
        raise WorkflowInvalid(f"GitHub would read an expression in the default of {each.name}", mend=mend)
    if each.type.kind == "boolean" and not each.type.optional:
        return {**found, "type": "boolean", **({} if each.required else {"default": each.default})}
    if each.type.kind == "choice" and not each.type.optional:
        found |= {"type": "choice", "options": list(each.type.choices)}
    elif number_of(each):
        return {**found, "type": "number", **({} if each.required else {"default": each.default})}
    else:
        found["type"] = "string"
    return found if text is None else {**found, "default": text}


def _pinned(action: str) -> str:
    return f"{action}@{ACTIONS[action][0]}"


def _readable(text: str) -> str:
    """Return the text with each commit's version beside it, and with empty lines between its parts."""
    for commit, name in ACTIONS.values():
        text = re.sub(rf"@{commit}$", f"@{commit} # {name}", text, flags=re.MULTILINE)
    # An empty line before each part, and before each job but the first.
    text = re.sub(r"\n(?=(?:jobs|on|permissions|env):)", "\n\n", text)
    return re.sub(r"(?<!jobs:)\n(?=  [a-z][\w-]*:\n    (?:needs|runs-on|if):)", "\n\n", text)
