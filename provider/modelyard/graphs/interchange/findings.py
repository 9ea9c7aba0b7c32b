"""What an importer cannot take over: all of it at once, each with its place in the source."""

from collections.abc import Sequence
from typing import NamedTuple

from modelyard.errors import ErrorKind, ModelyardError

__all__ = ["Finding", "ImportRefused"]


class Finding(NamedTuple):
    """One thing that cannot be taken over.

    Parameters
    ----------
    path
        Its place in the source: ``graph.steps.pre.class_args._fn``.
    problem
        What it is.
    mend
        What to do about it.
    """

    path: str
    problem: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}. {self.mend}".rstrip()


class ImportRefused(ModelyardError):
    """Raised when a graph of another system cannot be taken over as it is; it names everything that stands in the way.

    Parameters
    ----------
    source
        Which system's.
    findings
        What cannot be taken over.
    """

    kind = ErrorKind.INVALID

    def __init__(self, source: str, findings: Sequence[Finding]) -> None:
        count = "one thing" if len(findings) == 1 else f"{len(findings)} things"
        super().__init__(
            f"the graph of {source} has {count} that cannot be taken over",
            facts={"findings": [each._asdict() for each in findings]},
        )
        self.findings = list(findings)

    def __str__(self) -> str:
        return "\n".join([f"{self.what}:", *(f"  - {each}" for each in self.findings)])
