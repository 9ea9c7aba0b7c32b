"""Errors of batch scoring."""

from modelyard.errors import ErrorKind, ModelyardError

__all__ = ["FeaturesUnknown", "OutputColumnTaken", "OutputOverlaps", "PredictionsWrong", "RowsRejected"]


class RowsRejected(ModelyardError):
    """Raised when more rows are bad than the threshold allows."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, *, rejected: int, rows: int, threshold: float, reason: str, quarantine: str) -> None:
        super().__init__(
            f"{rejected} of the first {rows} rows are bad, above the threshold {threshold:g}, such as {reason}",
            where=uri,
            mend=f"Mend the rows in {quarantine}, or raise reject_threshold; nothing was written.",
            facts={
                "dataset": uri,
                "rejected": rejected,
                "rows": rows,
                "threshold": threshold,
                "reason": reason,
                "quarantine": quarantine,
            },
        )


class FeaturesUnknown(ModelyardError):
    """Raised when a model does not say which columns it predicts from."""

    kind = ErrorKind.INVALID

    def __init__(self, model: str) -> None:
        super().__init__(
            "the model does not say which columns it predicts from",
            where=model,
            mend="Log it with the train operation, or with a signature that names the columns.",
            facts={"model": model},
        )


class PredictionsWrong(ModelyardError):
    """Raised when a model answers with something that is not one prediction per row."""

    kind = ErrorKind.USER_CODE

    def __init__(self, model: str, rule: str) -> None:
        super().__init__(rule, where=model, mend="Check the model's predict.", facts={"model": model})


class OutputColumnTaken(ModelyardError):
    """Raised when a key column has the name of a column that scoring adds."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, column: str) -> None:
        super().__init__(
            f"the key column {column!r} has the name of a column that is added to the output",
            where=uri,
            mend="Rename the column in the dataset.",
            facts={"dataset": uri, "column": column},
        )


class OutputOverlaps(ModelyardError):
    """Raised when the output would lie in the dataset's folder, or the dataset in the output's."""

    kind = ErrorKind.INVALID

    def __init__(self, output: str, dataset: str) -> None:
        super().__init__(
            f"the output and the dataset {dataset} lie in one folder",
            where=output,
            mend="Give a folder beside the dataset.",
            facts={"output": output, "dataset": dataset},
        )
