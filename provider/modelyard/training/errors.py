"""Errors of training and evaluation.

::

    ModelyardError
    ├── TrainerInvalid, EstimatorInvalid,
    │   PredictionsNotFinite, MetricInvalid,
    │   MetricNameTaken                        the project's code gave the wrong thing
    ├── LabelConstant                          the data cannot be trained on
    ├── LabelUnknown, FeaturesUnknown,
    │   LabelsUnlikeModel, ThresholdInvalid,
    │   BaselineUnlikeModel                    the model cannot be evaluated so
    └── ReportNotWritten                       the report cannot be put where it should lie
"""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError

__all__ = [
    "BaselineUnlikeModel",
    "EstimatorInvalid",
    "FeaturesUnknown",
    "LabelConstant",
    "LabelUnknown",
    "LabelsUnlikeModel",
    "MetricInvalid",
    "MetricNameTaken",
    "PredictionsNotFinite",
    "ReportNotWritten",
    "ThresholdInvalid",
    "TrainerInvalid",
]


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


class TrainerInvalid(ModelyardError):
    """Raised when a function cannot be called as a training function."""

    kind = ErrorKind.USER_CODE

    def __init__(self, function: str, reason: str) -> None:
        super().__init__(
            f"it cannot be called with a dataset and parameters: {reason}",
            where=function,
            mend="Declare it as def fit(dataset, parameters).",
            facts={"function": function},
        )


class EstimatorInvalid(ModelyardError):
    """Raised when a training function returns something that cannot be used as a model."""

    kind = ErrorKind.USER_CODE

    def __init__(self, function: str, rule: str, mend: str) -> None:
        super().__init__(rule, where=function, mend=mend, facts={"function": function})


class PredictionsNotFinite(ModelyardError):
    """Raised when a model predicts NaN or infinity."""

    kind = ErrorKind.USER_CODE

    def __init__(self, count: int, first: int, rows: int) -> None:
        super().__init__(
            f"the model predicts NaN or infinity for {count} of {rows} rows, the first is row {first}",
            mend="Let the training function give a model that copes with these rows.",
            facts={"count": count, "first": first, "rows": rows},
        )


class MetricInvalid(ModelyardError):
    """Raised when a metric function of the project returns something else than a number or a dict of numbers."""

    kind = ErrorKind.USER_CODE

    def __init__(self, function: str, rule: str) -> None:
        super().__init__(rule, where=function, mend="Return a number, or a dict of names to numbers.")


class MetricNameTaken(ModelyardError):
    """Raised when a metric of the project has the name of another."""

    kind = ErrorKind.USER_CODE

    def __init__(self, function: str, name: str) -> None:
        super().__init__(f"the metric name {name!r} is taken", where=function, mend="Choose another name.")


class LabelConstant(ModelyardError):
    """Raised when all labels are the same, so that there is nothing to learn."""

    kind = ErrorKind.INVALID

    def __init__(self, column: str, value: str, rows: int, part: str = "") -> None:
        super().__init__(
            f"the label column {column!r} has one value only, {value}, in all {rows}{f' {part}' if part else ''} rows",
            where="label_column",
            mend="Take rows that have at least two label values.",
            facts={"column": column, "rows": rows},
        )


class LabelUnknown(ModelyardError):
    """Raised when neither the caller nor the model says which column holds the truth."""

    kind = ErrorKind.INVALID

    def __init__(self, model: str, columns: Sequence[str]) -> None:
        super().__init__(
            f"the model {model} does not say which column is its label",
            where="label_column",
            mend=f"Name it; the dataset has {_listed(columns)}.",
        )


class ThresholdInvalid(ModelyardError):
    """Raised when the probability threshold is not between 0 and 1."""

    kind = ErrorKind.INVALID

    def __init__(self, threshold: float) -> None:
        super().__init__(f"must be between 0 and 1, got {threshold:g}", where="threshold")


class LabelsUnlikeModel(ModelyardError):
    """Raised when the labels of a dataset are of another kind than what the model predicts."""

    kind = ErrorKind.INVALID

    def __init__(self, labels: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(
            f"the labels are {_listed(labels)}, but the model predicts {_listed(classes)}",
            where="label_column",
            mend="Name the column that the model was trained on, or write the labels in the same form.",
            facts={"labels": list(labels[:50]), "classes": list(classes[:50])},
        )


class FeaturesUnknown(ModelyardError):
    """Raised when a model does not say which columns it predicts from."""

    kind = ErrorKind.INVALID

    def __init__(self, model: str) -> None:
        super().__init__(
            f"the model {model} does not name its features",
            where="model",
            mend="Train it with modelyard, or log it in MLflow with a signature of named columns.",
        )


class BaselineUnlikeModel(ModelyardError):
    """Raised when candidate and baseline cannot be compared on the same rows."""

    kind = ErrorKind.INVALID

    def __init__(self, baseline: str, rule: str) -> None:
        super().__init__(rule, where=baseline, mend='Name another baseline, or "none" to evaluate the model alone.')


class ReportNotWritten(ModelyardError):
    """Raised when the report cannot be put where it should lie."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, path: str, cause: OSError) -> None:
        super().__init__(
            f"the report cannot be written: {cause.strerror or cause}", where=path, mend="Name another path as report."
        )
