"""What the pages about graphs show is true: every example runs, every drawing is the one that its graph draws.

A drawing in a page belongs to the graph that the page calls ``graph`` at that place. After a change of drawings
``python tests/graphs/test_documentation.py`` writes them anew.
"""

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs/graphs"
PAGES = sorted(DOCS.glob("*.md"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
DRAWING = re.compile(r"^```mermaid\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
DRAW = ">>> print(graph.show(), end='')  # doctest: -NORMALIZE_WHITESPACE\n"


def examples(page: Path) -> doctest.DocTest:
    text = DRAWING.sub(lambda found: f"{DRAW}{found[1]}\n", page.read_text())
    return doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, page.name, str(page), 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_and_drawing_of_the_page_is_true(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = doctest.DocTestRunner(optionflags=FLAGS).run(examples(page))
    assert result.failed == 0, capsys.readouterr().out
    assert result.attempted > 3


class _Draw(doctest.DocTestRunner):
    """Takes down what the drawings of a page should be."""

    def __init__(self) -> None:
        super().__init__(optionflags=FLAGS)
        self.drawn: list[str] = []

    def report_start(self, out: Any, test: doctest.DocTest, example: doctest.Example) -> None:
        if example.source == DRAW.removeprefix(">>> "):
            self.drawn.append(str(test.globs["graph"].show()))


def draw(page: Path) -> None:
    """Write the drawings of a page anew."""
    runner = _Draw()
    runner.run(examples(page), out=lambda text: None, clear_globs=False)
    drawn = iter(runner.drawn)
    page.write_text(DRAWING.sub(lambda found: f"```mermaid\n{next(drawn)}```\n", page.read_text()))


if __name__ == "__main__":
    for each in PAGES:
        draw(each)
