"""docs/graphs/library.md is made of the code: ``python tests/graphs/testing/test_library_page.py`` writes it anew."""

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.graphs.steps import FieldOperations, Fields
from modelyard.graphs.testing import library_blocks

PAGE = Path(__file__).parents[3] / "docs/graphs/library.md"
INTRODUCTION = """\
# Library

All ready-made blocks of models, routers, ensembles and [steps](steps.md), made of what their code says:
`python tests/graphs/testing/test_library_page.py` writes this page.

A block is given to a graph with its parameters: `graph.to(Fields, drop=["tail"])`, `graph.filter(Sample, every=10)`,
`graph.model("delays", OnnxModel, …)`, `graph.router(ByPath, routes={…}, …)`, `graph.ensemble(Vote, members={…}, …)`.
Parameters that it cannot have are refused when the graph opens. They are JSON values, so that the graph can be written
down, but for functions: give their dotted paths. *State per worker*: each worker process remembers for itself.
"""
TITLES = {"models": "Models", "routers": "Routers", "ensembles": "Ensembles", "steps": "Steps"}
KINDS = {"call": "`to`", "filter": "`filter`", "choice": "`choice`", "flat_map": "`flat_map`"}
MADE_BY = {"EstimatorModel": r"\.model\(\"\w+\", \"models:/"}
"""Blocks that are not named where they are used."""
INJECTED = ("self", "members", "context")
SECTION = re.compile(r"^(\w[\w ]*)\n-+\n", re.MULTILINE)


def sections(block: Any) -> dict[str, str]:
    """Return the parts of a docstring in NumPy's style; the first one has no name."""
    text = inspect.cleandoc(block.__doc__ or "")
    parts = SECTION.split(text)
    return {"": parts[0].strip()} | {parts[i]: parts[i + 1].strip("\n") for i in range(1, len(parts), 2)}


def entries(section: str) -> dict[str, str]:
    """Return name → meaning of a section such as Parameters."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith(" "):
            names = [each.strip().lstrip("*") for each in line.partition(" : ")[0].split(",")]
        for name in names if line.startswith(" ") else ():
            found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found


def markdown(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


def parameters(block: type) -> Iterator[tuple[str, str, str]]:
    """Yield name, default and meaning of each parameter."""
    told = entries(sections(block).get("Parameters", ""))
    for base in block.__mro__[1:]:
        told = entries(sections(base).get("Parameters", "")) | told if base.__module__.startswith("modelyard") else told
    for name, each in inspect.signature(block).parameters.items():
        if name in INJECTED:
            continue
        if block is Fields and each.kind is each.VAR_KEYWORD:
            for operation, meaning in entries(sections(FieldOperations)["Attributes"]).items():
                yield operation, "", markdown(meaning)
            continue
        default = "required" if each.default is each.empty else f"`{each.default!r}`"
        yield name, "" if each.kind is each.VAR_KEYWORD else default, markdown(told.get(name, ""))


def described(block: type) -> str:
    parts = sections(block)
    promise, _, rest = parts[""].partition("\n\n")
    lines = [f"### {block.__name__}", "", markdown(promise), ""]
    if rest:
        lines += [markdown(rest), ""]
    kinds = getattr(block, "kinds", None)
    if kinds:
        lines += [f"*Goes with* {', '.join(KINDS[kind] for kind in kinds)}.", ""]
    state = getattr(block, "state", "")
    if state:
        lines += ["*State per worker* with `every`." if callable(state) else f"*State per {state}.*", ""]
    rows = list(parameters(block))
    if rows:
        lines += ["| parameter | default | |", "|---|---|---|"]
        lines += [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in rows] + [""]
    errors = entries(parts.get("Raises", ""))
    if errors:
        lines += ["| error | when |", "|---|---|"]
        lines += [f"| `{name}` | {markdown(meaning)} |" for name, meaning in errors.items()] + [""]
    example = parts.get("Examples", "")
    if example:
        lines += [fenced(imported(block, example) + textwrap.dedent(example).strip())]
    return "\n".join(lines)


def fenced(example: str) -> str:
    """Return an example in blocks of code, with what is said between them outside."""
    parts: list[tuple[bool, list[str]]] = []
    for paragraph in example.split("\n\n"):
        is_code = paragraph.startswith(">>>")
        if not parts or parts[-1][0] != is_code:
            parts.append((is_code, []))
        parts[-1][1].append(paragraph)
    told = ["\n\n".join(paragraphs) for _, paragraphs in parts]
    return "".join(
        f"```python\n{text}\n\n```\n" if is_code else f"\n{markdown(text)}\n\n"
        for (is_code, _), text in zip(parts, told, strict=True)
    )


def imported(block: type, example: str) -> str:
    """Return the line of import that the example needs, which its docstring's module makes unnecessary there."""
    package = ".".join(block.__module__.split(".")[:3])
    names = [name for name in sys.modules[package].__all__ if re.search(rf"\b{name}\b", example)]
    return f">>> from {package} import {', '.join(sorted(names))}\n" if names else ""


def page() -> str:
    parts = [INTRODUCTION]
    for package, blocks in library_blocks().items():
        parts.append(f"## {TITLES[package]}\n")
        parts += [described(block) for block in blocks]
    return "\n".join(parts).rstrip("\n") + "\n"


BLOCKS = [block for blocks in library_blocks().values() for block in blocks]


def test_the_page_is_made_of_the_code() -> None:
    assert PAGE.read_text() == page(), "run: python tests/graphs/testing/test_library_page.py"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
def test_every_block_says_what_it_takes_and_shows_how(block: type) -> None:
    silent = [name for name, _, meaning in parameters(block) if not meaning]
    assert silent == []
    if ">>>" not in sections(block).get("Examples", "") and not shown_on_a_page(block):
        package = block.__module__.split(".")[2]
        assert not (PAGE.parent / f"{package}.md").exists(), f"neither its docstring nor {package}.md has an example"
        pytest.skip(f"{package}.md is still to be written")


def shown_on_a_page(block: type) -> bool:
    """Whether an example of another page, which the tests run, uses the block."""
    pages = [each for each in PAGE.parent.glob("*.md") if each != PAGE]
    lines = [line for each in pages for line in each.read_text().splitlines() if line.startswith((">>>", "..."))]
    return any(re.search(MADE_BY.get(block.__name__, rf"\b{block.__name__}\b"), line) for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page())
