"""What GitHub reads of a workflow."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelyard.projects.errors import EnvironmentNotFound
from modelyard.workflows import WorkflowInvalid
from modelyard.workflows.engines.jobs.github import ACTIONS, as_github_workflow
from modelyard.workflows.engines.jobs.running import definition_digest
from modelyard.workflows.engines.remote import RunRequest

ROOT = Path(__file__).parents[4]
BIN = Path(sys.executable).parent
Requests = Callable[..., RunRequest]

OPTIONS = {
    "actions": "ml/modelyard@v1",
    "schedule": "30 5 * * 1",
    "files": "data,out/all",
    "production": "production",
    "runner": "self-hosted,small",
    "gpu-runner": "gpu",
    "large-runner": "self-hosted,large",
    "secrets": "OTHER",
    "variables": "MLFLOW_TRACKING_URI",
    "timeout": "30",
    "keep-days": "3",
}


def compiled(request: RunRequest, options: Mapping[str, str] | None = None) -> tuple[str, dict[str, Any]]:
    text = as_github_workflow(request, options or {})
    return text, yaml.load(text, Loader=yaml.BaseLoader)


def test_the_form_asks_for_the_parameters(request_of: Requests) -> None:
    text, found = compiled(request_of("asking"))
    inputs = found["on"]["workflow_dispatch"]["inputs"]
    assert inputs["rows"] == {"description": "How many rows; more than one.", "required": "true", "type": "number"}
    assert {name: (each["type"], each.get("default")) for name, each in inputs.items()} == {
        "rows": ("number", None),
        "share": ("number", "0.5"),
        "fine": ("string", "0.30000000000000004"),
        "large": ("string", "1152921504606846976"),
        "name": ("string", "it's $HOME ä"),
        "lines": ("string", "a\nb: null\n"),
        "size": ("choice", "s"),
        "flag": ("boolean", "true"),
        "items": ("string", "[1]"),
        "maybe": ("string", "null"),
    }
    assert inputs["size"]["options"] == ["s", "m"]
    assert inputs["items"]["description"] == "items. A JSON list."
    assert yaml.safe_load(text)["jobs"]["cache"]["timeout-minutes"] == 120


def test_jobs_say_what_they_need_and_may(request_of: Requests, project: Path) -> None:
    request = request_of("looping", environment="prod")
    _, found = compiled(request)
    assert found["permissions"] == {}
    assert found["concurrency"] == {"group": "work-looping", "cancel-in-progress": "false"}
    assert found["env"] == {
        "MODELYARD_WORKFLOW_RUN": "github-${{ github.run_id }}",
        "MODELYARD_WORKFLOW_DIGEST": definition_digest(request.workflow),
        "MODELYARD_ENVIRONMENT": "prod",
        "MODELYARD_PARAMETERS": "${{ toJSON(github.event.inputs) }}",
    }
    jobs = found["jobs"]
    needs = {name: job.get("needs", []) for name, job in jobs.items()}
    assert needs == {
        "first": [],
        "one-0": [],
        "two-0": ["one-0"],
        "one-1": [],
        "two-1": ["one-1"],
        "unknown": ["first"],
        "slowly": [],
        "last": ["two-0", "two-1"],
        "workflow-finish": ["unknown", "slowly", "last"],
    }
    assert [name for name, job in jobs.items() if job.get("if") == "always()"] == ["workflow-finish"]
    for name, job in jobs.items():
        assert job["permissions"] == {"contents": "read"}, name
        assert job["runs-on"] == "ubuntu-latest"
        checkout, setup, *_, keep = job["steps"]
        assert checkout["with"] == {"persist-credentials": "false"}
        assert setup["uses"] == "OWNER/REPO/github-actions/setup@v1"
        assert (keep["if"], keep["with"]["name"]) == ("always()", f"step-{name}")
        assert keep["with"]["path"] == f".modelyard/workflow/step-{name}"
        downloads = [step for step in job["steps"] if step.get("uses", "").startswith("actions/download-artifact")]
        taken = [{"pattern": "step-*", "path": ".modelyard/workflow"}] if needs[name] else []
        assert [step["with"] for step in downloads] == taken
    lines = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert lines[1] == "modelyard workflows step work.flows:looping 'one[0]'"
    assert lines[-1] == "modelyard workflows finish work.flows:looping"
    assert [line for line in lines if "${{" in line or "\n" in line] == []


def test_options_say_where_and_with_what(request_of: Requests) -> None:
    _, found = compiled(request_of("scheduled"), OPTIONS)
    assert found["on"]["schedule"] == [{"cron": "30 5 * * 1"}]
    _, found = compiled(request_of("asking"), {name: OPTIONS[name] for name in OPTIONS if name != "schedule"})
    jobs = found["jobs"]
    assert {name: job["runs-on"] for name, job in jobs.items()} == {
        "cache": ["self-hosted", "small"],
        "heavy": ["self-hosted", "large"],
        "fit": "gpu",
        "promote": ["self-hosted", "small"],
        "workflow-finish": ["self-hosted", "small"],
    }
    # Three tries of ten minutes, a minute between them, a quarter of an hour for all else.
    assert {name: job["timeout-minutes"] for name, job in jobs.items() if name != "heavy"} == dict.fromkeys(
        ("cache", "fit", "promote", "workflow-finish"), "30"
    )
    assert jobs["heavy"]["timeout-minutes"] == "46"
    assert [name for name, job in jobs.items() if job.get("environment") == "production"] == ["promote"]
    setup, work = jobs["fit"]["steps"][1], jobs["fit"]["steps"][2]
    assert setup["uses"] == "ml/modelyard/github-actions/setup@v1"
    assert work["env"] == {
        "MLFLOW_TRACKING_URI": "${{ vars.MLFLOW_TRACKING_URI }}",
        "FORGE_PASSWORD": "${{ secrets.FORGE_PASSWORD }}",
        "OTHER": "${{ secrets.OTHER }}",
    }
    assert work["run"] == "modelyard workflows step work.flows:asking fit --files data --files out/all"
    assert jobs["fit"]["steps"][3]["with"]["retention-days"] == "3"
    assert "${{ secrets" not in "".join(str(job["steps"][:2]) for job in jobs.values())


def test_a_step_without_a_gpu_to_have_takes_the_next_best_machine(request_of: Requests) -> None:
    _, found = compiled(request_of("asking"), {"runner": "small", "large-runner": "large"})
    assert {name: found["jobs"][name]["runs-on"] for name in ("cache", "heavy", "fit")} == {
        "cache": "small",
        "heavy": "large",
        "fit": "large",
    }


def test_jobs_get_what_their_environment_names(request_of: Requests) -> None:
    text, found = compiled(request_of("asking", environment="prod"), {"secrets": "MLFLOW_USER"})
    assert found["jobs"]["fit"]["steps"][2]["env"] == {
        "MLFLOW_URI": "${{ vars.MLFLOW_URI }}",
        "OWN_TOKEN": "${{ secrets.OWN_TOKEN }}",
        "MLFLOW_USER": "${{ secrets.MLFLOW_USER }}",
    }
    assert "is in a file of one machine" not in text
    with pytest.raises(EnvironmentNotFound, match="no environment 'test'"):
        as_github_workflow(request_of("asking", environment="test"), {})


def test_the_head_says_what_cannot_be_seen(request_of: Requests) -> None:
    head = [line for line in compiled(request_of("asking"))[0].splitlines() if line.startswith("#")]
    assert head == [
        "# The workflow asking of the project work: a job for each step.",
        "# Made by: modelyard workflows compile work.flows:asking --engine github",
        "# Change the workflow and make this file anew: its jobs refuse to run another workflow than this one.",
        "# heavy asks for processors or memory: large-runner names the labels of such a machine.",
        "# fit asks for a GPU: name the labels of such a machine with gpu-runner.",
        "# What the steps track is in a file of one machine: have a tracking server, or a runner that lasts.",
    ]
    head = [line for line in compiled(request_of("looping"))[0].splitlines() if line.startswith("#")]
    assert head[3:] == [
        "# The loop unknown is one job: only a run knows its turns.",
        "# The loop slowly is one job: its turns are not to be at work all at once.",
    ]


def test_a_project_in_a_folder_works_there(request_of: Requests, project: Path) -> None:
    (project.parent / ".git").mkdir()
    _, found = compiled(request_of("handing"))
    work, keep = found["jobs"]["write"]["steps"][-2:]
    assert work["working-directory"] == "work"
    assert keep["with"]["path"] == "work/.modelyard/workflow/step-write"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("asking", {"schedule": "0 3 * * *"}, "a schedule cannot be asked for rows"),
        ("handing", {"schedule": "0 0 3 * * *"}, "schedule must be five fields"),
        ("handing", {"actions": "modelyard"}, "actions must be a repository and its version"),
        ("handing", {"gpu-runner": "a b"}, "gpu-runner must be labels"),
        ("handing", {"project-path": "../x y"}, "project-path must be a folder"),
        ("handing", {"runnner": "a"}, "there is no option 'runnner'"),
    ],
)
def test_what_does_not_fit_is_refused(request_of: Requests, name: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(WorkflowInvalid, match=message):
        as_github_workflow(request_of(name), options)


def test_actions_are_those_of_the_ready_workflows() -> None:
    text = "".join(path.read_text() for path in (ROOT / ".github/workflows").glob("ml-*.yml"))
    for action, (commit, version) in ACTIONS.items():
        assert set(re.findall(rf"uses: {action}@(.*)", text)) == {f"{commit} # {version}"}


def test_the_linters_find_nothing(request_of: Requests, tmp_path: Path) -> None:
    for name in ("zizmor", "yamllint", "check-jsonschema"):
        if not (BIN / name).exists():
            pytest.skip(f"{name} is not installed: it is in the extra lint")
    folder = tmp_path / "repository/.github/workflows"
    folder.mkdir(parents=True)
    without = {name: value for name, value in OPTIONS.items() if name != "schedule"}
    for name, options in (("asking", without), ("scheduled", OPTIONS), ("looping", {}), ("branching", {})):
        # A reader names a commit of our actions, as the page says.
        text = as_github_workflow(request_of(name), options)
        (folder / f"{name}.yml").write_text(re.sub(r"(/setup)@v1$", rf"\1@{'0' * 40} # v1.0.0", text, flags=re.M))
    files = sorted(map(str, folder.iterdir()))
    rules = "{extends: relaxed, rules: {line-length: disable}}"
    check("zizmor", "--offline", "--no-progress", "--quiet", str(tmp_path / "repository"))
    check("yamllint", "--strict", "-d", rules, *files)
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)


def check(*command: str) -> None:
    program = shutil.which(command[0], path=str(BIN))
    assert program is not None
    ended = subprocess.run([program, *command[1:]], cwd="/", capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
