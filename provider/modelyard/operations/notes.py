"""What a job writes down besides its result: the datasets that it read and wrote, the project that it ran."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

__all__ = ["Note", "Subject", "read_notes", "write_note"]

Subject = Literal["project", "input", "output"]
"""The project, a dataset that was read, a dataset that was written."""

_FILE = "notes.jsonl"


class Note(NamedTuple):
    """One thing that was written down."""

    subject: str
    facts: dict[str, Any]


def write_note(folder: Path, subject: Subject, facts: Mapping[str, Any]) -> None:
    """Write a note into a job's folder; where that is not possible, the work goes on without.

    Parameters
    ----------
    folder
        The job's folder.
    subject
        What it is about.
    facts
        JSON values; of a dataset those of `modelyard.data.DatasetSource`.
    """
    line = json.dumps([subject, dict(facts)])
    with suppress(OSError), (folder / _FILE).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def read_notes(folder: Path) -> list[Note]:
    """Return the notes of a job, in their order; a line that was cut off is left out.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_note(folder, "input", {"uri": "/data/july.parquet", "rows": 31})
    >>> read_notes(folder)
    [Note(subject='input', facts={'uri': '/data/july.parquet', 'rows': 31})]
    """
    try:
        lines = (folder / _FILE).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with suppress(ValueError):
            subject, facts = json.loads(line)
            found.append(Note(subject, facts))
    return found
