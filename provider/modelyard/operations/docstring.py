"""Reads what an operation's docstring says: summary, description, parameters, examples."""

import inspect
import re
from typing import NamedTuple

__all__ = ["Docstring", "read_docstring"]

_SECTION = re.compile(r"^(?P<title>[A-Z][A-Za-z ]+)\n-{3,}$", re.MULTILINE)
_CONTINUED = re.compile(r"\s*\\\n\s*")


class Docstring(NamedTuple):
    """The parts of a NumPy-style docstring that the doors show."""

    summary: str
    description: str
    parameters: dict[str, str]
    results: dict[str, str]
    examples: tuple[str, ...]


def read_docstring(subject: object) -> Docstring:
    """Return the parts of the docstring of `subject`.

    The ``Examples`` section of an operation holds shell commands, one to a line, each after ``$``.
    """
    text = inspect.getdoc(subject) or ""
    pieces = _SECTION.split(text)
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    summary, _, description = pieces[0].strip().partition("\n\n")
    return Docstring(
        summary=" ".join(summary.split()),
        description=description.strip(),
        parameters=_entries(sections.get("Parameters", "")),
        results=_entries(sections.get("Attributes", "") or sections.get("Parameters", "")),
        examples=tuple(
            line.strip().removeprefix("$").strip()
            for line in _CONTINUED.sub(" ", sections.get("Examples", "")).splitlines()
            if line.strip().startswith("$")
        ),
    )


def _entries(section: str) -> dict[str, str]:
    entries: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line and not line[0].isspace():
            names = [name.strip() for name in line.split(":")[0].split(",")]
            entries.update(dict.fromkeys(names, ""))
        elif line.strip():
            for name in names:
                entries[name] = f"{entries[name]} {line.strip()}".strip()
    return entries
