"""What GitLab reads of a workflow."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelyard.operations import ParameterType
from modelyard.workflows import Workflow, WorkflowInput, WorkflowInvalid, steps, workflow
from modelyard.workflows.engines.jobs.gitlab import as_gitlab_pipeline
from modelyard.workflows.engines.jobs.running import definition_digest
from modelyard.workflows.engines.remote import RunRequest

BIN = Path(sys.executable).parent
Requests = Callable[..., RunRequest]


def compiled(request: RunRequest, options: Mapping[str, str] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inputs and the jobs."""
    head, jobs = yaml.safe_load_all(as_gitlab_pipeline(request, options or {}))
    return head["spec"]["inputs"], jobs


def test_inputs_are_the_parameters(request_of: Requests) -> None:
    inputs, jobs = compiled(request_of("asking"))
    assert inputs["rows"] == {"description": "How many rows; more than one.", "type": "number"}
    assert {name: (each.get("type", "string"), each.get("default")) for name, each in inputs.items()} == {
        "rows": ("number", None),
        "share": ("number", 0.5),
        "fine": ("string", "0.30000000000000004"),
        "large": ("string", "1152921504606846976"),
        "name": ("string", "it's $HOME ä"),
        "lines": ("string", "a\nb: null\n"),
        "size": ("string", "s"),
        "flag": ("boolean", True),
        "items": ("string", "[1]"),
        "maybe": ("string", "null"),
    }
    assert inputs["size"]["options"] == ["s", "m"]
    given = jobs[".workflow-step"]["variables"]
    assert given["MODELYARD_PARAMETER_NAME"] == {"value": "$[[ inputs.name ]]", "expand": False}


def test_jobs_take_what_all_before_them_have_left(request_of: Requests) -> None:
    request = request_of("looping")
    _, jobs = compiled(request)
    base = jobs.pop(".workflow-step")
    assert base["image"] == "python:3.11"
    assert base["before_script"] == [
        f"python3 -m pip install --quiet 'modelyard[ci,ml,serving]=={version('modelyard')}'"
    ]
    assert base["variables"]["MODELYARD_WORKFLOW_RUN"] == "gitlab-$CI_PIPELINE_ID"
    assert base["variables"]["MODELYARD_WORKFLOW_DIGEST"] == definition_digest(request.workflow)
    last = jobs.pop("workflow-finish")
    assert (last["stage"], last["rules"], "needs" in last) == (".post", [{"when": "always"}], False)
    assert {name: job["needs"] for name, job in jobs.items()} == {
        "first": [],
        "one-0": [],
        "two-0": ["one-0"],
        "one-1": [],
        "two-1": ["one-1"],
        "unknown": ["first"],
        "slowly": [],
        "last": ["one-0", "two-0", "one-1", "two-1"],
    }
    assert jobs["two-1"] == {
        "extends": ".workflow-step",
        "stage": "test",
        "needs": ["one-1"],
        "timeout": "120 minutes",
        "script": ["modelyard workflows step work.flows:looping 'two[1]'"],
        "artifacts": {"when": "always", "expire_in": "7 days", "paths": [".modelyard/workflow/step-two-1"]},
    }


def test_options_say_where_and_with_what(request_of: Requests, project: Path) -> None:
    (project.parent / ".git").mkdir()
    options = {
        "runner": "small",
        "gpu-runner": "gpu,big",
        "production": "production",
        "requirements": "needs.txt",
        "index-url": "https://packages.example.com/simple",
        "image": "registry.example.com/ml@sha256:0",
        "files": "data",
    }
    _, jobs = compiled(request_of("asking", environment="prod"), options)
    base = jobs[".workflow-step"]
    assert base["image"] == "registry.example.com/ml@sha256:0"
    assert base["before_script"][0] == "cd -- work"
    assert base["before_script"][1].endswith("--requirement needs.txt")
    assert base["variables"]["PIP_INDEX_URL"] == "https://packages.example.com/simple"
    assert base["variables"]["MODELYARD_ENVIRONMENT"] == "prod"
    assert {name: job["tags"] for name, job in jobs.items() if "tags" in job} == {
        "step-cache": ["small"],
        "heavy": ["small"],
        "fit": ["gpu", "big"],
        "promote": ["small"],
        "workflow-finish": ["small"],
    }
    assert jobs["promote"]["resource_group"] == "work-production"
    assert jobs["promote"]["environment"] == {"name": "production"}
    assert [name for name, job in jobs.items() if "resource_group" in job] == ["promote"]
    assert jobs["heavy"]["timeout"] == "46 minutes"
    assert jobs["fit"]["artifacts"]["paths"] == ["work/.modelyard/workflow/step-fit"]
    assert jobs["fit"]["script"] == ["modelyard workflows step work.flows:asking fit --files data"]


def test_a_workflow_without_parameters_has_no_head(request_of: Requests) -> None:
    @workflow
    def plain() -> None:
        steps(name="one").call(function="work.functions:same")

    request = request_of("handing")
    text = as_gitlab_pipeline(RunRequest(**{**vars(request), "workflow": plain}), {})
    assert list(yaml.safe_load(text)) == [".workflow-step", "one", "workflow-finish"]


def flow_with(*inputs: WorkflowInput, count: int = 1) -> Workflow:
    @workflow
    def plain() -> None:
        earlier = None
        for number in range(count):
            after = (earlier,) if earlier else ()
            earlier = steps(name=f"s{number}", after=after).call(function="work.functions:same")

    return Workflow("plain", plain.body, inputs)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        (flow_with(WorkflowInput("größe", ParameterType("string"), default="")), "cannot take the parameter 'größe'"),
        (
            flow_with(*(WorkflowInput(name, ParameterType("string"), default="") for name in ("a", "A"))),
            "it differs from another by its case alone",
        ),
        (flow_with(WorkflowInput("a", ParameterType("string"), default="$[[ x ]]")), "would read an input"),
        (flow_with(count=52), "s51 comes after 51"),
    ],
    ids=["letters", "case", "default", "needs"],
)
def test_what_gitlab_cannot_take_is_refused(request_of: Requests, plain: Workflow, message: str) -> None:
    request = request_of("handing")
    with pytest.raises(WorkflowInvalid, match=message):
        as_gitlab_pipeline(RunRequest(**{**vars(request), "workflow": plain}), {})


def test_the_linters_find_nothing(request_of: Requests, tmp_path: Path) -> None:
    for name in ("yamllint", "check-jsonschema"):
        if not (BIN / name).exists():
            pytest.skip(f"{name} is not installed: it is in the extra lint")
    for name in ("asking", "looping", "branching"):
        text = as_gitlab_pipeline(request_of(name), {"production": "production", "runner": "small"})
        (tmp_path / f"{name}.yml").write_text(text)
        # The schema knows a file's jobs, not its head.
        (tmp_path / f"{name}-jobs.yml").write_text(text.partition("---\n")[2])
    rules = "{extends: relaxed, rules: {line-length: disable}}"
    check("yamllint", "--strict", "-d", rules, *map(str, tmp_path.glob("*.yml")))
    jobs = map(str, tmp_path.glob("*-jobs.yml"))
    check("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", *jobs)


def check(*command: str) -> None:
    ended = subprocess.run([BIN / command[0], *command[1:]], cwd="/", capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
