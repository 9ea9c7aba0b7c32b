"""The rows of a training: read, checked and split before any work begins."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from modelyard.data import Dataset, LabelMissing, TrainingSet, check_features, open_dataset
from modelyard.projects import Project
from modelyard.training.errors import LabelConstant

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TrainingRows"]


class TrainingRows(NamedTuple):
    """What is trained on, and what is measured on.

    Parameters
    ----------
    training
        The rows for the project's function.
    held_out
        The rows for the metrics; None if there are none.
    """

    training: TrainingSet
    held_out: TrainingSet | None

    @classmethod
    def open(
        cls,
        project: Project,
        dataset: str,
        label_column: str,
        feature_columns: Sequence[str],
        validation_dataset: str | None,
        holdout: float,
    ) -> "TrainingRows":
        """Open, check and split the data of a training.

        Raises
        ------
        DatasetNotFound, DatasetEmpty, ColumnMissing, ColumnTypeWrong, ColumnAllNull
            The data cannot be trained on.
        LabelMissing
            Some rows have no label.
        LabelConstant
            All rows, or all that remain to train on, have the same label.
        HoldoutWrong
            The share to hold out is none, or leaves nothing to train on.
        """
        every = _opened(open_dataset(project.resolve_uri(dataset)), label_column, feature_columns)
        if validation_dataset is None:
            training, held_out = every.split(holdout)
            if len(training) < len(every):
                _check_labels(training, "training")
            return cls(training, held_out if len(held_out) else None)
        other = open_dataset(project.resolve_uri(validation_dataset))
        check_features(other.schema, every.feature_columns, other.uri, every.dtypes)
        return cls(every, TrainingSet(other, label_column, every.feature_columns))

    @property
    def judged(self) -> TrainingSet:
        """The rows to look at the predictions of: the held-out ones, or those trained on if none are held out."""
        return self.training if self.held_out is None else self.held_out

    def features(self) -> "pa.Table":
        """Return the features of the rows that are trained on."""
        return self.training.table().select(list(self.training.feature_columns))


def _opened(dataset: Dataset, label_column: str, feature_columns: Sequence[str]) -> TrainingSet:
    rows = TrainingSet(dataset, label_column, feature_columns)
    _check_labels(rows, "")
    return rows


def _check_labels(rows: TrainingSet, part: str) -> None:
    labels = rows.labels()
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise LabelMissing(rows.dataset.uri, rows.label_column, int(np.isnan(labels).sum()), len(labels))
    first = labels[0]
    if bool(np.all(labels == first)):
        raise LabelConstant(rows.label_column, str(first), len(labels), part)
