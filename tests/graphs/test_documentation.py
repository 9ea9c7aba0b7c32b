"""What docs/graphs.md shows is true."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/graphs.md"


def test_every_example_on_the_page_runs() -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testfile(str(PAGE), module_relative=False, optionflags=flags)
    assert result.attempted > 5
    assert result.failed == 0
