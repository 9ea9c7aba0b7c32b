"""What docs/deploy.md shows is true."""

import re
from pathlib import Path

from modelyard.deploy.local.settings import KNOWN_SETTINGS, ServingSettings

PAGE = (Path(__file__).parents[2] / "docs/deploy.md").read_text()


def test_every_setting_is_on_the_page_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.+) \|$", PAGE, re.MULTILINE))
    assert set(rows) == set(KNOWN_SETTINGS)
    settings = ServingSettings("/python")
    assert rows["workers"] == str(settings.workers)
    assert rows["body_limit"] == str(settings.body_limit)
    assert settings.host in rows["host"]
