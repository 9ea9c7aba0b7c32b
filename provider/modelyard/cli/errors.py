"""Errors of the command line itself."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import msgspec

from modelyard.errors import ErrorKind, ErrorRecord, ModelyardError, near_name

__all__ = [
    "FileUnreadable",
    "FileUnwritable",
    "FlagInvalid",
    "GeneratedFilesDiffer",
    "Interrupted",
    "ProjectHasErrors",
    "RunNotFound",
    "UsageInvalid",
]


class UsageInvalid(ModelyardError):
    """Raised when the command line itself cannot be read: an unknown command or flag, a missing argument."""

    kind = ErrorKind.INVALID

    def __init__(self, what: str, command: str) -> None:
        super().__init__(what, mend=f"See {command} --help.", facts={"command": command})


class FlagInvalid(ModelyardError):
    """Raised when a flag's text cannot be read."""

    kind = ErrorKind.INVALID

    def __init__(self, flag: str, rule: str, text: str) -> None:
        shown = text if len(text) <= 80 else f"{text[:77]}…"
        super().__init__(f"must be {rule}, got {shown}", where=flag, facts={"flag": flag})


class FileUnreadable(ModelyardError):
    """Raised when a file named on the command line is missing or is not what it should be."""

    kind = ErrorKind.INVALID

    def __init__(self, flag: str, path: str, rule: str) -> None:
        super().__init__(f"{path} {rule}", where=flag, facts={"path": path})


class FileUnwritable(ModelyardError):
    """Raised when a file named on the command line cannot be written."""

    kind = ErrorKind.INVALID

    def __init__(self, flag: str, path: str, reason: str) -> None:
        super().__init__(
            f"{path} cannot be written: {reason}",
            where=flag,
            mend="Name a file in a folder that you may write to.",
            facts={"path": path},
        )


class GeneratedFilesDiffer(ModelyardError):
    """Raised when files are not what the declarations give rise to."""

    kind = ErrorKind.INVALID

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(
            f"{len(paths)} generated files differ from the declarations: {', '.join(paths)}",
            mend="Run modelyard generate.",
            facts={"paths": list(paths)},
        )


class ProjectHasErrors(ModelyardError):
    """Raised when a project's file is well-formed, but not all that it names can be used.

    Parameters
    ----------
    root
        The project's folder.
    failed
        What cannot be used.
    checked
        The record of the error of each thing that was checked; None for what is good.
    """

    kind = ErrorKind.INVALID

    def __init__(self, root: str, failed: Sequence[str], checked: Mapping[str, ErrorRecord | None]) -> None:
        super().__init__(
            f"{len(failed)} of {len(checked)} things that the project names cannot be used: {', '.join(failed)}",
            where=root,
            facts={"checked": {what: record and msgspec.to_builtins(record) for what, record in checked.items()}},
        )


class RunNotFound(ModelyardError):
    """Raised when the journal knows no run of a key."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, key: str, generation: int, known: list[str]) -> None:
        which = f" in generation {generation}" if generation else ""
        shown = known if len(known) <= 20 else []
        mend = near_name(key, known) if get_close_matches(key, known, n=1) or shown else "See modelyard runs list."
        super().__init__(f"the journal knows no run of the key {key!r}{which}", mend=mend, facts={"key": key})


class Interrupted(ModelyardError):
    """Raised when a signal ended the command; what it had started was cancelled."""

    kind = ErrorKind.CANCELLED

    def __init__(self, signal_name: str) -> None:
        super().__init__(f"stopped by {signal_name}", facts={"signal": signal_name})
