"""The folder through which the commands of one CI job hand on what they found."""

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from modelyard.ci.errors import FolderIncomplete
from modelyard.ci.records import RunRecord
from modelyard.ci.redaction import Redaction
from modelyard.operations.atomic import write_atomically

__all__ = ["CiFolder"]

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
        """Write a JSON file, whole or not at all, and return its path."""
        plain = self._redaction.values(msgspec.to_builtins(value))
        return self._write(name, msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n")

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file, whole or not at all, and return its path."""
        return self._write(name, self._redaction(text).encode())

    def _write(self, name: str, content: bytes) -> Path:
        self.path.mkdir(parents=True, exist_ok=True)
        place = self.path / name
        write_atomically(place, content)
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
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise FolderIncomplete(str(place), f"modelyard ci {place.stem}", f"cannot be read: {error}") from error

    def runs(self) -> RunRecord | None:
        """Return what ran: of this job, and of the jobs of a matrix whose folders lie in this one; None if nothing did.

        Raises
        ------
        FolderIncomplete
            A file is damaged.
        """
        own = self.read("run.json", RunRecord)
        below = sorted(path.parent.name for path in self.path.glob("*/run.json"))
        others = [record for name in below if (record := self.read(f"{name}/run.json", RunRecord))]
        found = [own, *others] if own else others
        if not found:
            return None
        return msgspec.structs.replace(
            found[0],
            workflows=tuple(each for record in found for each in record.workflows),
            graphs={name: drawn for record in found for name, drawn in record.graphs.items()},
            failures=tuple(each for record in found for each in record.failures),
        )

    def clear(self) -> None:
        """Take away what an earlier job has left in a workspace that lasts: nobody must take it for this one's."""
        for name in _LEFT:
            (self.path / name).unlink(missing_ok=True)
            for path in self.path.glob(f"*/{name}"):
                path.unlink(missing_ok=True)

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
