"""What holds for every action, workflow and example, without running it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
ACTIONS = sorted((ROOT / "github-actions").glob("*/action.yml"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("ml-*.yml"))
EXAMPLES = sorted((ROOT / "examples/github").glob("*.yml"))
PINNED = re.compile(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
OURS = re.compile(r"(\$|OWNER/REPO)/(github-actions|\.github/workflows)/")


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    return found


def steps_of(path: Path) -> list[dict[str, Any]]:
    found = read(path)
    if "runs" in found:
        return list(found["runs"]["steps"])
    return [step for job in found["jobs"].values() for step in job.get("steps", [])]


def named(path: Path) -> str:
    return path.parent.name if path.name == "action.yml" else path.stem


@pytest.mark.parametrize("path", [*ACTIONS, *WORKFLOWS], ids=named)
def test_no_expression_is_in_a_script(path: Path) -> None:
    scripts = [step["run"] for step in steps_of(path) if "run" in step]
    assert [script for script in scripts if "${{" in script] == []
    assert [step for step in steps_of(path) if "run" in step and "shell" not in step] == []


@pytest.mark.parametrize("path", [*ACTIONS, *WORKFLOWS, *EXAMPLES], ids=named)
def test_other_peoples_actions_are_pinned_by_their_commit(path: Path) -> None:
    used = [line.split("uses:")[1].strip() for line in path.read_text().splitlines() if re.match(r"\s*-? ?uses:", line)]
    assert [each for each in used if not OURS.match(each) and not PINNED.fullmatch(each)] == []


@pytest.mark.parametrize("path", [*ACTIONS, *WORKFLOWS], ids=named)
def test_every_input_is_used(path: Path) -> None:
    found = read(path)
    inputs = found["inputs"] if "inputs" in found else found["on"]["workflow_call"]["inputs"]
    text = path.read_text()
    assert [name for name in inputs if not re.search(rf"\binputs\.{re.escape(name)}\b(?!-)", text)] == []


@pytest.mark.parametrize("path", ACTIONS, ids=named)
def test_the_tables_are_those_of_the_file(path: Path) -> None:
    found = read(path)
    page = (path.parent / "README.md").read_text()
    inputs, outputs = page.split("| output | meaning |")
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \| (.*) \|$", inputs, re.MULTILINE)
    expected = []
    for name, each in found["inputs"].items():
        default = each.get("default", "")
        told = "required" if each.get("required") else "the job's own" if "${{" in default else f"`{default}`"
        expected.append((name, each["description"].replace("|", "\\|"), told if told != "``" else ""))
    assert rows == expected
    shown = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", outputs, re.MULTILINE)
    declared = [(name, each["description"].replace("|", "\\|")) for name, each in found.get("outputs", {}).items()]
    assert shown == declared


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_every_job_says_what_it_may_and_how_long(path: Path) -> None:
    found = read(path)
    assert found["permissions"] == {}
    assert "workflow_call" in found["on"]
    for name, job in found["jobs"].items():
        assert job["permissions"], name
        assert "timeout-minutes" in job, name
        assert "id-token" not in job["permissions"] or "pull-requests" not in job["permissions"], name
        checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout")]
        assert {step["with"]["persist-credentials"] for step in checkouts} == {"false"}, name
    assert "secrets: inherit" not in path.read_text()
    assert "pull_request_target" not in path.read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_actions_get_what_they_know(path: Path) -> None:
    for step in steps_of(path):
        if not step.get("uses", "").startswith("$/"):
            continue
        action = read(ROOT / step["uses"].removeprefix("$/") / "action.yml")
        given = step.get("with", {})
        assert set(given) <= set(action["inputs"]), step["uses"]
        assert {name for name, each in action["inputs"].items() if each.get("required") == "true"} <= set(given)


def test_an_input_means_the_same_in_every_workflow() -> None:
    known: dict[str, dict[str, Any]] = {}
    differing = {"graph", "requests", "key", "model", "production", "runner"}
    for path in WORKFLOWS:
        for name, each in read(path)["on"]["workflow_call"]["inputs"].items():
            if name not in differing:
                assert known.setdefault(name, each) == each, (path.name, name)


def test_a_newcomer_copies_twelve_lines_at_most() -> None:
    page = (ROOT / "docs/ci/github.md").read_text()
    blocks = re.findall(r"```yaml\n(name: .*?)```", page, re.DOTALL)
    assert blocks == [(ROOT / f"examples/github/{name}.yml").read_text() for name in ("pull-request", "main")]
    assert [len(block.splitlines()) <= 12 for block in blocks] == [True, True]
    front = (ROOT / "README.md").read_text()
    assert re.findall(r"```yaml\n(name: models.*?)```", front, re.DOTALL) == blocks[:1]


@pytest.mark.parametrize("path", EXAMPLES, ids=named)
def test_callers_give_what_is_known_and_grant_what_is_needed(path: Path) -> None:
    for name, job in read(path)["jobs"].items():
        called = read(ROOT / ".github/workflows" / Path(job["uses"].partition("@")[0]).name)
        known = called["on"]["workflow_call"]
        assert set(job.get("with", {})) <= set(known["inputs"]), name
        assert {key for key, each in known["inputs"].items() if each.get("required") == "true"} <= set(
            job.get("with", {})
        )
        assert set(job.get("secrets", {})) <= set(known.get("secrets", {})), name
        needed: dict[str, str] = {}
        for each in called["jobs"].values():
            for scope, level in each["permissions"].items():
                needed[scope] = "write" if "write" in (level, needed.get(scope)) else level
        assert job["permissions"] == needed, name


def check(*command: str) -> None:
    ended = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_linters_find_nothing(tmp_path: Path) -> None:
    for name in ("zizmor", "yamllint", "check-jsonschema"):
        if not (BIN / name).exists():
            pytest.skip(f"{name} is not installed: it is in the extra lint")
    # An example names our actions by their version, which a reader replaces as the page says.
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    for path in EXAMPLES:
        (folder / path.name).write_text(path.read_text().replace("@v1", f"@{'0' * 40} # v1.0.0"))
    check("zizmor", "--offline", "--no-progress", "--quiet", "github-actions", ".github", str(tmp_path))
    rules = "{extends: relaxed, rules: {line-length: disable}}"
    check("yamllint", "--strict", "-d", rules, "github-actions", ".github", "examples/github")
    check("check-jsonschema", "--builtin-schema", "vendor.github-actions", *map(str, ACTIONS))
    workflows = [str(path) for path in (*WORKFLOWS, *EXAMPLES)]
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
