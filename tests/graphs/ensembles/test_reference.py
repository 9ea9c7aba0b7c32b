"""The reference tables of the page are those of the code."""

import inspect
import re
from pathlib import Path

import pytest

from modelyard.graphs import ensembles
from modelyard.graphs.group_building import ENSEMBLE_OPTIONS

PAGE = (Path(__file__).parents[3] / "docs/graphs/ensembles.md").read_text()
BLOCKS = [name for name in ensembles.__all__ if not issubclass(getattr(ensembles, name), Exception)]
ROW = re.compile(r"^\| `(\w+)` \| (\S.*?) \|", re.MULTILINE)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_parameter_and_default_is_on_the_page(name: str) -> None:
    section = PAGE.partition(f"\n### {name}\n")[2].partition("\n#")[0]
    parameters = inspect.signature(getattr(ensembles, name)).parameters
    assert dict(ROW.findall(section)) == {
        each.name: "required" if each.default is inspect.Parameter.empty else f"`{each.default!r}`"
        for each in parameters.values()
        if each.name != "members"
    }


def test_every_option_and_error_is_on_the_page() -> None:
    options = PAGE.partition("\nEvery ensemble:\n")[2].partition("\nWrong arguments")[0]
    assert dict(ROW.findall(options)) == {name: f"`{default!r}`" for name, default in ENSEMBLE_OPTIONS.items()}
    for name in ("MembersFailed", "AnswerWrong", "VoteTied", "WeightMissing"):
        assert f"\n| `{name}` |" in PAGE
