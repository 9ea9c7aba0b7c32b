"""The base of every error that modelyard raises on purpose."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar

import msgspec

from modelyard.errors.kind import ErrorKind, Outcome, outcome_of

__all__ = ["ErrorRecord", "ForeignError", "ModelyardError", "near_name"]


class ErrorRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as JSON: what crosses a process, a network or a journal."""

    type: str
    kind: ErrorKind
    message: str
    where: str = ""
    mend: str = ""
    facts: dict[str, Any] = {}


class ModelyardError(Exception):
    """Base of all errors raised on purpose; leaves declare a kind and take facts.

    ::

        ModelyardError
        ├── ProjectInvalid, FunctionNotFound, …      (modelyard.projects)
        ├── ModelNotFound, TrackingUnavailable, …    (modelyard.tracking)
        ├── GateFailed, UserFunctionFailed, …        (modelyard.training)
        └── ForeignError                             an error that came over a process border

    Parameters
    ----------
    what
        One sentence: what happened, with the offending value.
    where
        The place: a file and line, a field, a step, a run.
    mend
        One sentence that says how to put it right.
    facts
        JSON values for programs; no secrets.

    Examples
    --------
    >>> try:
    ...     raise ModelyardError("the port 80 is taken", where="deploy.port", mend="Choose another, or 0.")
    ... except ModelyardError as error:
    ...     print(error)
    deploy.port: the port 80 is taken. Choose another, or 0.
    """

    kind: ClassVar[ErrorKind] = ErrorKind.INTERNAL

    def __init__(self, what: str, *, where: str = "", mend: str = "", facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend
        self.facts: dict[str, Any] = dict(facts or {})

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of this very error (a foreign error carries its own)."""
        return type(self).kind

    @property
    def outcome(self) -> Outcome:
        """How this error looks from each door."""
        return outcome_of(self.error_kind)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        sentence = self.what if self.what.endswith((".", "!", "?")) else f"{self.what}."
        return f"{place}{sentence} {self.mend}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (self.record(),))

    def record(self) -> ErrorRecord:
        """Return the error as a record that JSON can carry."""
        return ErrorRecord(
            type=type(self).__name__,
            kind=self.error_kind,
            message=self.what,
            where=self.where,
            mend=self.mend,
            facts=self.facts,
        )


class ForeignError(ModelyardError):
    """Raised when the work failed in another process; it keeps the type name, kind and facts of the original."""

    def __init__(self, record: ErrorRecord) -> None:
        super().__init__(record.message, where=record.where, mend=record.mend, facts=record.facts)
        self.original = record

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of the error that happened on the other side."""
        return self.original.kind

    def record(self) -> ErrorRecord:
        """Return the record of the original error."""
        return self.original


def _restored(record: ErrorRecord) -> ForeignError:
    return ForeignError(record)


def near_name(name: str, known: Mapping[str, object] | list[str] | tuple[str, ...]) -> str:
    """Return a sentence that names the nearest known name, or lists the known ones.

    Examples
    --------
    >>> near_name("trian", ["train", "evaluate"])
    'Did you mean train?'
    >>> near_name("x", ["train", "evaluate"])
    'Known: evaluate, train.'
    >>> near_name("x", [])
    'None is defined.'
    """
    names = sorted(known)
    if not names:
        return "None is defined."
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(names)}."
