"""What the pages about graphs show is true: every example runs, every drawing is the one that its graph draws.

In a page, a drawing belongs to the graph that is called ``graph`` at that place; a block that begins with a comment
such as ``# timetable.py`` is a file in the current folder; any other block of Python without a prompt runs as it
stands, and then the tests that it defines. After a change of drawings ``python tests/graphs/test_documentation.py``
writes them anew.
"""

import doctest
import importlib
import logging
import multiprocessing.process  # noqa: F401 (new processes begin in the folder in which this was imported)
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest

DOCS = Path(__file__).parents[2] / "docs/graphs"
PAGES = sorted(DOCS.glob("*.md"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FENCE = re.compile(r"^```(mermaid|python|yaml)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# (\w+\.\w+)\n")
DRAW = "print(graph.show(), end='')  # doctest: -NORMALIZE_WHITESPACE\n"


@pytest.fixture(autouse=True)
def _level_of_the_log() -> Iterator[None]:
    """Take back what a page does to the log: other tests read it."""
    log = logging.getLogger("modelyard.graphs")
    before = log.level
    yield
    log.setLevel(before)


def examples(page: Path) -> doctest.DocTest:
    """Return everything on the page that can be tried, as one doctest."""
    blocks: list[str] = []

    def example(found: re.Match[str]) -> str:
        kind, text = found.groups()
        if kind == "mermaid":
            return f">>> {DRAW}{text}\n"
        if text.startswith(">>>"):
            return text
        blocks.append(text)
        name = FILE.match(text)
        if name:
            return f">>> write({name[1]!r}, BLOCKS[{len(blocks) - 1}])\n\n"
        if kind != "python":
            return ""
        tests = re.findall(r"^def (test_\w+)", text, re.MULTILINE)
        return f">>> exec(BLOCKS[{len(blocks) - 1}])\n" + "".join(f">>> {each}()\n" for each in tests) + "\n"

    text = FENCE.sub(example, page.read_text())
    names: dict[str, Any] = {"__name__": "__main__", "BLOCKS": blocks, "write": write}
    return doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)


def write(name: str, text: str) -> None:
    """Write a file that a page shows; a module can be imported at once."""
    Path(name).write_text(text)
    importlib.invalidate_caches()


@contextmanager
def empty_folder() -> Iterator[None]:
    """Work in a folder of its own, from which modules can be imported, and with nothing at ``memory://``."""
    known = set(sys.modules)
    fsspec.filesystem("memory").rm("/", recursive=True)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        sys.path.insert(0, folder)
        try:
            yield
        finally:
            sys.path.remove(folder)
            for name in set(sys.modules) - known:
                if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder + os.sep):
                    del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_and_drawing_of_the_page_is_true(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with empty_folder():
        result = doctest.DocTestRunner(optionflags=FLAGS).run(examples(page))
    assert result.failed == 0, capsys.readouterr().out
    assert result.attempted > 3


def test_every_concept_has_its_page() -> None:
    concepts = {"event", "step", "paths", "errors", "cycles", "batch", "streaming", "concurrency", "testing"}
    assert concepts | {"index", "specification", "mlrun"} <= {page.stem for page in PAGES}


def test_every_setting_of_a_step_has_its_section() -> None:
    from modelyard.graphs import StepSettings

    titles = re.findall(r"^### `(\w+)`", (DOCS / "step.md").read_text(), re.MULTILINE)
    assert {*StepSettings.__struct_fields__} <= {*titles}


def test_what_the_page_for_mlrun_names_is_there() -> None:
    from modelyard.graphs import ensembles, models, routers, steps

    table = (DOCS / "mlrun.md").read_text().partition("## Models, routers")[2].partition("\n\nA member")[0]
    right = "".join(row.split("|")[2] for row in table.splitlines() if row.startswith("| "))
    named = set(re.findall(r"`(?:[\w.]+\(|[\w.]*\.)?([A-Z]\w+)", right))
    assert len(named) == 18
    assert named <= {*models.__all__, *routers.__all__, *ensembles.__all__, *steps.__all__}


def test_every_field_of_a_specification_is_in_its_tables() -> None:
    from modelyard.graphs import GraphSpec, StepSpec
    from modelyard.graphs.definition import KINDS

    page = (DOCS / "specification.md").read_text()
    fields = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert {*GraphSpec.__struct_fields__, *StepSpec.__struct_fields__} == fields
    kinds = re.findall(r"`(\w+)`", page.partition("| `kind` |")[2].partition("\n")[0])
    assert set(kinds) == set(KINDS)


def anchors(page: Path) -> set[str]:
    """Return what GitHub, GitLab and the documentation call the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


class _Draw(doctest.DocTestRunner):
    """Takes down what the drawings of a page should be."""

    def __init__(self) -> None:
        super().__init__(optionflags=FLAGS)
        self.drawn: list[str] = []

    def report_start(self, out: Any, test: doctest.DocTest, example: doctest.Example) -> None:
        if example.source == DRAW:
            self.drawn.append(str(test.globs["graph"].show()))


def draw(page: Path) -> None:
    """Write the drawings of a page anew."""
    runner = _Draw()
    with empty_folder():
        runner.run(examples(page), out=lambda text: None, clear_globs=False)
    drawn = iter(runner.drawn)

    def drawing(found: re.Match[str]) -> str:
        return f"```mermaid\n{next(drawn)}```\n" if found[1] == "mermaid" else found[0]

    page.write_text(FENCE.sub(drawing, page.read_text()))


if __name__ == "__main__":
    for each in PAGES:
        draw(each)
