"""What docs/deploy.md and docs/rollouts.md show is true."""

import doctest
import re
from pathlib import Path

from modelyard.deploy.local.settings import KNOWN_SETTINGS, ServingSettings
from modelyard.deploy.rollout import Gates

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "deploy.md").read_text()


def test_every_setting_is_on_the_page_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.+) \|$", PAGE, re.MULTILINE))
    assert set(rows) == set(KNOWN_SETTINGS)
    settings = ServingSettings("/python")
    assert rows["workers"] == str(settings.workers.min)
    assert rows["body_limit"] == str(settings.limits.body)
    assert rows["batch"] == str(settings.batch)
    assert rows["revisions"] == str(settings.revisions)
    assert settings.host in rows["host"]


def test_every_gate_is_on_the_page_of_rollouts_with_its_default() -> None:
    page = (DOCS / "rollouts.md").read_text()
    rows = dict(re.findall(r"^\| `gates\.(\w+)` \| .* \| (.+) \|$", page, re.MULTILINE))
    assert set(rows) == set(Gates.__struct_fields__)
    gates = Gates()
    said = [rows[name] for name in ("requests", "error_rate", "latency", "within")]
    assert said == [f"{value:g}" for value in (gates.requests, gates.error_rate, gates.latency, gates.within)]


def test_the_examples_on_the_page_of_rollouts_run() -> None:
    result = doctest.testfile(str(DOCS / "rollouts.md"), module_relative=False)
    assert (result.attempted > 5, result.failed) == (True, 0)
