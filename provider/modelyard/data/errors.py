"""Errors of datasets: their addresses, contents, columns and the storage beneath."""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = [
    "ColumnAllNull",
    "ColumnMissing",
    "ColumnTypeWrong",
    "DatasetChanged",
    "DatasetEmpty",
    "DatasetNotFound",
    "DatasetUnfinished",
    "DatasetUnreadable",
    "HoldoutWrong",
    "LabelMissing",
    "LibraryMissing",
    "OutputChanged",
    "OutputOccupied",
    "ProfileMismatch",
    "StorageDenied",
    "StorageFull",
    "StorageNotFound",
    "StorageUnavailable",
]


class DatasetNotFound(ModelyardError):
    """Raised when there is nothing at a dataset's address."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, uri: str, *, name: str = "", neighbours: Sequence[str] = ()) -> None:
        mend = near_name(name, tuple(neighbours)) if neighbours and len(neighbours) <= 20 else ""
        super().__init__(
            "there is no dataset here", where=uri, mend=mend or "Check the address.", facts={"dataset": uri}
        )


class DatasetUnfinished(ModelyardError):
    """Raised when a dataset's folder has parts, but nobody has finished writing it."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, uri: str) -> None:
        super().__init__(
            "the dataset is not finished: it has parts, but no manifest",
            where=uri,
            mend="Wait for the run that writes it, or start that run again.",
            facts={"dataset": uri},
        )


class DatasetEmpty(ModelyardError):
    """Raised when a dataset has no rows, or no file at all."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, what: str = "rows") -> None:
        super().__init__(
            f"the dataset has no {what}",
            where=uri,
            mend="Give one with rows, as Parquet or CSV." if what == "rows" else "Give Parquet or CSV files.",
            facts={"dataset": uri},
        )


class DatasetUnreadable(ModelyardError):
    """Raised when a dataset's content or address cannot be understood."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, reason: str, mend: str = "") -> None:
        super().__init__(
            reason,
            where=uri,
            mend=mend or "Give a Parquet or CSV file, or a folder of them.",
            facts={"dataset": uri},
        )


class DatasetChanged(ModelyardError):
    """Raised when a dataset's files change while they are being read."""

    kind = ErrorKind.CONFLICT

    def __init__(self, uri: str) -> None:
        super().__init__(
            "the dataset changed while it was being read",
            where=uri,
            mend="Start again when nobody writes it.",
            facts={"dataset": uri},
        )


class ColumnMissing(ModelyardError):
    """Raised when a dataset lacks a column."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, column: str, known: Sequence[str]) -> None:
        super().__init__(
            f"there is no column {column!r}",
            where=uri,
            mend=near_name(column, tuple(known)),
            facts={"dataset": uri, "column": column},
        )


class ColumnTypeWrong(ModelyardError):
    """Raised when a column is of a type that cannot be used for its purpose."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, column: str, found: str, needed: str, mend: str = "") -> None:
        super().__init__(
            f"the column {column!r} is {found}, it must be {needed}",
            where=uri,
            mend=mend or "Convert the column, or leave it out.",
            facts={"dataset": uri, "column": column, "type": found},
        )


class ColumnAllNull(ModelyardError):
    """Raised when a column that is needed has no value in any row."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, column: str) -> None:
        super().__init__(
            f"the column {column!r} has no value in any row",
            where=uri,
            mend="Fill the column, or leave it out.",
            facts={"dataset": uri, "column": column},
        )


class LabelMissing(ModelyardError):
    """Raised when some rows have no label."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, column: str, missing: int, rows: int) -> None:
        super().__init__(
            f"{missing} of {rows} rows have no label in {column!r}",
            where=uri,
            mend="Remove these rows from the dataset, or fill in the label.",
            facts={"dataset": uri, "column": column, "missing": missing, "rows": rows},
        )


class HoldoutWrong(ModelyardError):
    """Raised when the share of rows to hold out leaves nothing to train on."""

    kind = ErrorKind.INVALID

    def __init__(self, holdout: float, rows: int) -> None:
        super().__init__(
            f"cannot hold out {holdout:g} of {rows} rows",
            where="holdout",
            mend="Give a share from 0 up to, but not including, 1 that leaves at least one row.",
            facts={"holdout": holdout, "rows": rows},
        )


class OutputOccupied(ModelyardError):
    """Raised when the place of an output holds something that is not an earlier output."""

    kind = ErrorKind.CONFLICT

    def __init__(self, uri: str, found: str) -> None:
        super().__init__(
            f"the output's place holds {found}, which is no earlier output",
            where=uri,
            mend="Give a folder that is empty or does not exist yet.",
            facts={"output": uri, "found": found},
        )


class OutputChanged(ModelyardError):
    """Raised when somebody removes or replaces what is being written."""

    kind = ErrorKind.CONFLICT

    def __init__(self, uri: str, file: str) -> None:
        super().__init__(
            f"somebody else removed or replaced {file} while it was being written",
            where=uri,
            mend="Let one run at a time write to a folder, then start again.",
            facts={"output": uri, "file": file},
        )


class ProfileMismatch(ModelyardError):
    """Raised when two profiles cannot be merged because they count different things."""

    kind = ErrorKind.INVALID

    def __init__(self, column: str, difference: str) -> None:
        super().__init__(
            f"the profiles differ in {difference}",
            where=f"column {column}" if column else "profile",
            mend="Take both profiles with the layout of the same reference.",
            facts={"column": column},
        )


class StorageFull(ModelyardError):
    """Raised when there is no space left for what is being written."""

    kind = ErrorKind.EXHAUSTED

    def __init__(self, uri: str, reason: str = "no space left") -> None:
        super().__init__(
            f"the storage is full ({reason})",
            where=uri,
            mend="Free some space, or write to another place; nothing of this output was kept.",
            facts={"uri": uri},
        )


class StorageNotFound(ModelyardError):
    """Raised when the bucket or folder to write to does not exist."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(
            f"the bucket or folder to write to does not exist ({reason})",
            where=uri,
            mend="Create it, or write to another place.",
            facts={"uri": uri},
        )


class StorageDenied(ModelyardError):
    """Raised when the storage does not allow the access."""

    kind = ErrorKind.DENIED

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(
            f"access is denied ({reason})", where=uri, mend="Check permissions and credentials.", facts={"uri": uri}
        )


class StorageUnavailable(ModelyardError):
    """Raised when the storage does not answer, or fails while it is used."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(
            f"the storage fails ({reason})",
            where=uri,
            mend="Check the address and the connection, then try again.",
            facts={"uri": uri},
        )


class LibraryMissing(ModelyardError):
    """Raised when a library that data needs is not installed."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, library: str, purpose: str, extra: str = "ml") -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed",
            mend=f'Install it: pip install "modelyard[{extra}]".' if extra else f"Install it: pip install {library}.",
            facts={"library": library, "extra": extra},
        )
