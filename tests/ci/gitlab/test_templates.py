"""What holds for every GitLab template and example without running it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
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
        assert "rules" in job
        assert "trigger" in job or {"stage", "image", "timeout", "script"} <= job.keys()
        assert "services" not in job
        written = [line for key in SCRIPTS for line in job.get(key, [])]
        assert not any("$[[" in line for line in written)
        assert all(isinstance(line, str) for line in written)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_gives_what_the_template_takes(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 12
    assert unknown_inputs(yaml.safe_load(text)) == []


def test_an_unknown_input_is_found() -> None:
    caller = {"include": [{"local": "/gitlab-ci/main.yml", "inputs": {"base-line": "none"}}]}
    assert unknown_inputs(caller) == ["main: base-line", "main: graph is missing"]


def test_lines_keep_within_what_a_shell_of_any_kind_reads() -> None:
    for path in TEMPLATES:
        _, jobs = parts(path)
        for job in jobs.values():
            text = "\n".join(line for key in SCRIPTS for line in job.get(key, []))
            assert "[[" not in text
            assert "eval" not in text


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
