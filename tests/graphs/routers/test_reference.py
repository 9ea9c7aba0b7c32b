"""The reference tables of the page are those of the code."""

import inspect
import re
from pathlib import Path

import pytest

from modelyard.graphs import routers

PAGE = (Path(__file__).parents[3] / "docs/graphs/routers.md").read_text()
BLOCKS = [
    name
    for name, each in vars(routers).items()
    if inspect.isclass(each) and name in routers.__all__ and name != "Arm" and not issubclass(each, Exception)
]
GIVEN = ("members", "context")
"""Parameters that the engine gives."""


@pytest.mark.parametrize("name", BLOCKS)
def test_every_parameter_and_default_is_on_the_page(name: str) -> None:
    section = PAGE.partition(f"\n### {name}\n")[2].partition("\n#")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (\S.*?) \|", section, re.MULTILINE))
    parameters = inspect.signature(getattr(routers, name)).parameters
    assert told == {
        each.name: "required" if each.default is inspect.Parameter.empty else f"`{each.default!r}`"
        for each in parameters.values()
        if each.name not in GIVEN
    }


def test_every_error_is_on_the_page() -> None:
    errors = [name for name in routers.__all__ if issubclass(getattr(routers, name), Exception)]
    assert errors == ["FeaturesUnfit", "RewardInvalid", "RuleUnfit"]
    for name in (*errors, "RouteUnknown", "RouteMissing", "FeatureMissing"):
        assert f"\n| `{name}` |" in PAGE
