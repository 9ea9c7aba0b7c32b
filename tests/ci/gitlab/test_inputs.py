"""Both hosts take the same: what differs is in a list, with its reason, and on the page."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelyard.operations.generation.template_inputs import COUNTERPARTS, DIFFERENT_DEFAULTS, ONLY_HERE, OWN_WORDS

ROOT = Path(__file__).parents[3]
Inputs = dict[str, dict[str, Any]]


@cache
def of_gitlab(template: str) -> Inputs:
    head = next(yaml.safe_load_all((ROOT / f"gitlab-ci/{template}.yml").read_text()))
    found: Inputs = head["spec"]["inputs"]
    return found


@cache
def of_github(workflow: str) -> Inputs:
    text = (ROOT / f".github/workflows/{workflow}.yml").read_text()
    found: Inputs = yaml.safe_load(text)[True]["workflow_call"]["inputs"]
    return found


def listed(host: str, template: str) -> set[str]:
    rows = [each for each in ONLY_HERE if each.host == host and template in (each.templates or COUNTERPARTS)]
    return {name for each in rows for name in each.names}


@pytest.mark.parametrize("template", COUNTERPARTS)
def test_what_only_one_host_takes_is_listed(template: str) -> None:
    gitlab, github = of_gitlab(template), of_github(COUNTERPARTS[template])
    assert set(gitlab) - set(github) == listed("gitlab", template) & set(gitlab) - set(github)
    assert set(github) - set(gitlab) == listed("github", template) & set(github) - set(gitlab)


def test_nothing_is_listed_that_both_have_or_none() -> None:
    for each in ONLY_HERE:
        templates = each.templates or tuple(COUNTERPARTS)
        for name in each.names:
            gitlab = {template for template in templates if name in of_gitlab(template)}
            github = {template for template in templates if name in of_github(COUNTERPARTS[template])}
            assert bool(gitlab) is (each.host == "gitlab"), each
            assert bool(github) is (each.host == "github"), each


@pytest.mark.parametrize("template", COUNTERPARTS)
def test_what_both_take_means_the_same(template: str) -> None:
    gitlab, github = of_gitlab(template), of_github(COUNTERPARTS[template])
    for name in gitlab.keys() & github.keys():
        mine, other = gitlab[name], github[name]
        assert ("default" in mine) is not other.get("required", False), name
        assert name in DIFFERENT_DEFAULTS or mine.get("default") == other.get("default"), name
        assert name in OWN_WORDS or mine["description"] == other["description"], name
        assert mine.get("type", "string") == other["type"], name


def test_the_page_tells_of_what_differs() -> None:
    page = (ROOT / "docs/ci/gitlab.md").read_text()
    for each in ONLY_HERE:
        assert f"| {', '.join(f'`{name}`' for name in each.names)} | " in page, each
        assert each.reason in page
