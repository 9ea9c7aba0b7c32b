"""What a project's training function gets: the rows of a dataset as features and labels."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from modelyard.data.dataset import Dataset
from modelyard.data.errors import (
    ColumnAllNull,
    ColumnTypeWrong,
    DatasetEmpty,
    HoldoutWrong,
    LabelMissing,
    LibraryMissing,
)
from modelyard.data.matrix import to_array, to_matrix
from modelyard.data.schemas import check_columns, check_features, kind_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["TrainingSet"]


class TrainingSet:
    r"""The rows that a function trains on, in the order of the dataset.

    The data is read once, when it is first asked for, and stays in memory.

    Parameters
    ----------
    dataset
        Where the rows come from.
    label_column
        The column to be predicted.
    feature_columns
        The columns to predict from, in the order that the model will know; empty: all but the label.

    Raises
    ------
    DatasetEmpty
        The dataset has no rows.
    ColumnMissing
        A column is not there; the error names the nearest.
    ColumnTypeWrong
        A feature is neither number, boolean nor text.
    ColumnAllNull
        A column has no value in any row.

    Examples
    --------
    >>> import fsspec
    >>> from modelyard.data import open_dataset
    >>> fsspec.filesystem("memory").pipe_file("/t.csv", b"x,y,late\n1,2,0\n3,,1\n5,6,1\n")
    >>> rows = TrainingSet(open_dataset("memory://t.csv"), "late")
    >>> rows.feature_columns, rows.labels()
    (('x', 'y'), array([0, 1, 1]))
    >>> train, held_out = rows.split(0.3)
    >>> train.matrix()
    array([[ 1.,  2.],
           [ 3., nan]])
    """

    def __init__(self, dataset: Dataset, label_column: str, feature_columns: Sequence[str] = ()) -> None:
        schema = dataset.schema
        check_columns(schema, [label_column], dataset.uri)
        names = tuple(feature_columns) or tuple(name for name in schema.names if name != label_column)
        if label_column in names:
            raise ColumnTypeWrong(dataset.uri, label_column, "the label", "no feature", "Take it out of the features.")
        if not names:
            raise DatasetEmpty(dataset.uri, "columns besides the label")
        check_columns(schema, names, dataset.uri)
        if dataset.num_rows == 0:
            raise DatasetEmpty(dataset.uri)
        check_features(schema, names, dataset.uri)
        if kind_of(schema.field(label_column).type) == "other":
            found = str(schema.field(label_column).type)
            raise ColumnTypeWrong(dataset.uri, label_column, found, "a number, a boolean or text")
        for name in (label_column, *names):
            if kind_of(schema.field(name).type) == "null" or dataset.nulls(name) == dataset.num_rows:
                raise ColumnAllNull(dataset.uri, name)
        self.dataset = dataset
        self.label_column = label_column
        self.feature_columns = names
        self._rows = _Rows(dataset, (*names, label_column))
        self._start, self._stop = 0, dataset.num_rows

    def __len__(self) -> int:
        return self._stop - self._start

    def __repr__(self) -> str:
        return f"<training set of {len(self)} rows of {self.dataset.uri}>"

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The Arrow name of each feature's type."""
        return tuple(str(self.dataset.schema.field(name).type) for name in self.feature_columns)

    def table(self) -> pa.Table:
        """Return the features and the label as an Arrow table."""
        return self._rows.table.slice(self._start, len(self))

    def matrix(self) -> "NDArray[Any]":
        """Return the features as an array, exactly as batch scoring and serving will give them to the model.

        It is float64 if all features are numbers or booleans, and nothing is nan; otherwise of objects, and nothing
        is None.
        """
        return to_matrix(self.table(), self.feature_columns, source=self.dataset.uri)

    def labels(self) -> "NDArray[Any]":
        """Return the label of each row.

        Raises
        ------
        LabelMissing
            Some rows have none.
        """
        column = self.table().column(self.label_column)
        if column.null_count:
            raise LabelMissing(self.dataset.uri, self.label_column, column.null_count, len(column))
        return to_array(column)

    def frame(self) -> "pd.DataFrame":
        """Return the features as a pandas frame.

        Raises
        ------
        LibraryMissing
            pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise LibraryMissing("pandas", "a data frame") from error
        frame: pd.DataFrame = self.table().select(list(self.feature_columns)).to_pandas()
        return frame

    def head(self, rows: int) -> "TrainingSet":
        """Return the first `rows` rows, or all if there are fewer."""
        return self._part(self._start, min(self._start + max(rows, 0), self._stop))

    def split(self, holdout: float) -> "tuple[TrainingSet, TrainingSet]":
        """Return the first rows, and the last ones to be held out.

        The rows are not shuffled: in a dataset ordered by time the held-out rows are the latest.

        Parameters
        ----------
        holdout
            The share of rows to hold out, from 0 up to, but not including, 1; at least one row if it is not 0.

        Raises
        ------
        HoldoutWrong
            The share is out of range, or leaves no row to train on.
        """
        if not 0 <= holdout < 1:
            raise HoldoutWrong(holdout, len(self))
        held = max(round(len(self) * holdout), 1) if holdout else 0
        if held >= len(self):
            raise HoldoutWrong(holdout, len(self))
        border = self._stop - held
        return self._part(self._start, border), self._part(border, self._stop)

    def _part(self, start: int, stop: int) -> "TrainingSet":
        part = object.__new__(TrainingSet)
        part.__dict__.update(self.__dict__)
        part._start, part._stop = start, stop
        return part


class _Rows:
    """The rows of a dataset, read when first asked for; all parts of a training set look at the same."""

    def __init__(self, dataset: Dataset, columns: tuple[str, ...]) -> None:
        self._dataset = dataset
        self._columns = columns

    @cached_property
    def table(self) -> pa.Table:
        """The columns as a table."""
        return self._dataset.table(self._columns)
