"""What holds for every GitLab template and example without running it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelyard.operations.generation.template_children import child_pipeline

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
TEMPLATES = sorted((ROOT / "gitlab-ci").glob("*.yml"))
EXAMPLES = sorted((ROOT / "examples" / "gitlab").glob("*.yml"))
INPUT = re.compile(r"\$\[\[ *inputs\.([a-z-]+) *\]\]")
SCRIPTS = ("before_script", "script", "after_script")


def parts(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a template's inputs and its jobs."""
    head, jobs = yaml.safe_load_all(path.read_text())
    return head["spec"]["inputs"], jobs


def unknown_inputs(caller: dict[str, Any]) -> list[str]:
    """Return what a caller gives and the template does not have: GitLab refuses it, its emulator does not."""
    found = []
    for each in caller["include"]:
        where = next(each[kind] for kind in ("file", "component", "remote", "local") if kind in each)
        name = Path(where.partition("@")[0]).stem
        known, _ = parts(ROOT / "gitlab-ci" / f"{name}.yml")
        found += [f"{name}: {given}" for given in each.get("inputs", {}) if given not in known]
        needed = [given for given, spec in known.items() if "default" not in spec]
        found += [f"{name}: {given} is missing" for given in needed if given not in each.get("inputs", {})]
    return found


def test_there_are_the_templates_that_the_pages_name() -> None:
    page = (ROOT / "docs" / "ci" / "gitlab.md").read_text()
    assert {each.stem for each in TEMPLATES} == set(re.findall(r"^\| `([a-z-]+)` \| .* \| .* \|$", page, re.MULTILINE))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template(path: Path) -> None:
    assert (ROOT / "templates" / path.name).read_text() == path.read_text()
    inputs, jobs = parts(path)
    assert set(INPUT.findall(path.read_text())) == set(inputs)
    assert all(each["description"].endswith((".", "true or false.")) for each in inputs.values())
    for name, job in jobs.items():
        assert INPUT.search(name)
        if name.startswith("."):
            continue
        whole = {**jobs.get(job.get("extends"), {}), **job}
        assert {"stage", "rules", "script" if "trigger" not in job else "trigger"} <= job.keys()
        assert "trigger" in job or {"image", "timeout", "before_script", "variables"} <= whole.keys()
        assert "services" not in whole
    for job in jobs.values():
        written = [line for key in SCRIPTS for line in job.get(key, [])]
        assert not any("$[[" in line for line in written)
        assert all(isinstance(line, str) for line in written)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_gives_what_the_template_takes(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 12
    assert unknown_inputs(yaml.safe_load(text)) == []


def test_an_unknown_input_is_found() -> None:
    caller = {"include": [{"local": "/gitlab-ci/retrain.yml", "inputs": {"base-line": "none"}}]}
    assert unknown_inputs(caller) == ["retrain: base-line", "retrain: workflow is missing"]


def test_lines_keep_within_what_a_shell_of_any_kind_reads() -> None:
    for path in TEMPLATES:
        _, jobs = parts(path)
        for job in jobs.values():
            text = "\n".join(line for key in SCRIPTS for line in job.get(key, []))
            assert "[[" not in text
            assert "eval" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_the_variables_of_a_template_are_used(path: Path) -> None:
    _, jobs = parts(path)
    (base,) = (job for name, job in jobs.items() if name.startswith("."))
    text = path.read_text()
    read = {name for name in base["variables"] if re.search(rf"\$\{{?{name}\b", text)}
    children = child_pipeline(["main"]) if "parallel" in path.stem else ""
    read |= {name for name in base["variables"] if re.search(rf"\$\{{?{name}\b", children)}
    assert {name for name in base["variables"] if not name.startswith("MODELYARD_")} == read - {"MODELYARD_KEY"}


def test_gitlabs_schema_and_yamllint_find_nothing(tmp_path: Path) -> None:
    for name in ("yamllint", "check-jsonschema"):
        if not (BIN / name).exists():
            pytest.skip(f"{name} is not installed: it is in the extra lint")
    # The schema is of pipelines: of a template, that is what follows the inputs.
    bodies = []
    for path in TEMPLATES:
        bodies.append(tmp_path / path.name)
        bodies[-1].write_text(body(path))
    for names in ((), ("main", "quick")):
        bodies.append(tmp_path / f"child-of-{len(names)}.yml")
        bodies[-1].write_text(child_pipeline(names))
    check(
        "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", *map(str, bodies)
    )
    check("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", *map(str, EXAMPLES))
    rules = "{extends: relaxed, rules: {line-length: disable}}"
    children = [str(each) for each in bodies if each.name.startswith("child")]
    check("yamllint", "--strict", "-d", rules, "gitlab-ci", "templates", "examples/gitlab", *children)


def body(path: Path) -> str:
    """Return a template's jobs with each input's default, or some value."""
    known, _ = parts(path)
    text = path.read_text().partition("\n---\n")[2]
    return INPUT.sub(lambda found: str(known[found[1]].get("default", "anything")), text)


def check(*command: str) -> None:
    ended = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_page_shows_examples_as_they_are() -> None:
    page = (ROOT / "docs" / "ci" / "gitlab.md").read_text()
    shown = [each for each in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if each.startswith("include:")]
    examples = {each.read_text(): each.stem for each in EXAMPLES}
    assert [examples[each] for each in shown] == [
        "newcomer",
        "monorepo",
        "remote",
        "parallel",
        "main",
        "preview",
        "retrain",
    ]
