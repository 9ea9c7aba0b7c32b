"""The folder through which the commands of one CI job hand on what they found."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from modelyard.ci.errors import FolderIncomplete, FolderUnwritable
from modelyard.ci.records import RunRecord
from modelyard.ci.redaction import Redaction
from modelyard.operations.atomic import write_atomically

__all__ = ["CiFolder", "together"]

_LARGEST = 64_000_000
"""Bytes; the files may come from another job, whose code a stranger has written."""

_LEFT = ("plan.json", "run.json", "preview.json", "gate.json", "promote.json", "report.md", "metrics.json")

RecordT = TypeVar("RecordT", bound=msgspec.Struct)


class CiFolder:
    """The folder of one CI job.

    Parameters
    ----------
    path
        Where it is; made when something is written.
    redaction
        What must not be in any file; by default the secrets in this process's environment.
    """

    def __init__(self, path: Path, redaction: Redaction | None = None) -> None:
        self.path = path
        self._redaction = redaction or Redaction.of(os.environ)

    def write(self, name: str, value: Any) -> Path:
        """Write a JSON file, whole or not at all, and return its path.

        Raises
        ------
        FolderUnwritable
            It cannot be written.
        """
        plain = self._redaction.values(msgspec.to_builtins(value))
        return self._write(name, msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n")

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file, whole or not at all, and return its path; raises as `write`."""
        return self._write(name, self._redaction(text).encode())

    def _write(self, name: str, content: bytes) -> Path:
        place = self.path / name
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(place, content)
        except OSError as error:
            raise FolderUnwritable(str(place), error.strerror or str(error)) from error
        return place

    def read(self, name: str, record: type[RecordT]) -> RecordT | None:
        """Return what a file holds; None where there is none.

        Raises
        ------
        FolderIncomplete
            The file is damaged.
        """
        place = self.path / name
        try:
            if place.stat().st_size > _LARGEST:
                raise FolderIncomplete(str(place), f"modelyard ci {place.stem}", "it is larger than any such file")
            return msgspec.json.decode(place.read_bytes(), type=record)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise FolderIncomplete(str(place), f"modelyard ci {place.stem}", f"cannot be read: {error}") from error

    def each_run(self) -> dict[str, RunRecord]:
        """Return what ran, by file: of this job, and of the jobs of a matrix whose folders lie in this one.

        Raises
        ------
        FolderIncomplete
            A file is damaged.
        """
        below = sorted(path.relative_to(self.path).as_posix() for path in self.path.glob("*/run.json"))
        return {name: found for name in ("run.json", *below) if (found := self.read(name, RunRecord))}

    def runs(self) -> RunRecord | None:
        """Return what ran, taken together; None if nothing did; raises as `each_run`."""
        return together(self.each_run())

    def clear(self) -> None:
        """Take away what an earlier job has left in a workspace that lasts: nobody must take it for this one's.

        Raises
        ------
        FolderUnwritable
            A file cannot be taken away.
        """
        for path in [place for name in _LEFT for place in (self.path / name, *self.path.glob(f"*/{name}"))]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise FolderUnwritable(str(path), error.strerror or str(error)) from error

    def require(self, name: str, record: type[RecordT]) -> RecordT:
        """Return what a file holds.

        Raises
        ------
        FolderIncomplete
            It is not there, or damaged.
        """
        found = self.read(name, record)
        if found is None:
            raise FolderIncomplete(str(self.path / name), f"modelyard ci {Path(name).stem}")
        return found


def together(runs: Mapping[str, RunRecord]) -> RunRecord | None:
    """Return the runs of several jobs as one; None if there is none.

    Parameters
    ----------
    runs
        File → what it holds; project, environment and commit are those of the first.
    """
    found = list(runs.values())
    if not found:
        return None
    return msgspec.structs.replace(
        found[0],
        workflows=tuple(each for record in found for each in record.workflows),
        graphs={name: drawn for record in found for name, drawn in record.graphs.items()},
        failures=tuple(each for record in found for each in record.failures),
    )
