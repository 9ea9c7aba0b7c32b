"""Lets models predict the rows of a dataset in batches, and gathers what metrics need."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelyard.data import ColumnAllNull, DatasetEmpty, to_array, to_matrix
from modelyard.graphs import LoadedModel, Predictions

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Scored", "score"]


class Scored(NamedTuple):
    """What is true of some rows, and what models say about them.

    Parameters
    ----------
    truth
        The labels.
    predictions
        What each model says, in the order of the models.
    columns
        Other columns of the same rows.
    unlabelled
        How many rows were left out because they have no label.
    """

    truth: "NDArray[Any]"
    predictions: tuple[Predictions, ...]
    columns: dict[str, "NDArray[Any]"]
    unlabelled: int


def score(
    models: Sequence[LoadedModel],
    batches: "Iterable[pa.RecordBatch]",
    label: str,
    *,
    columns: Sequence[str] = (),
    uri: str = "the data",
    advance: Callable[[int], None] = lambda _: None,
) -> Scored:
    """Let each model predict all rows that have a label, in one pass.

    Parameters
    ----------
    models
        Who predicts; their features are columns of the batches.
    batches
        The rows.
    label
        The column of the truth.
    columns
        Other columns to keep.
    uri
        How errors call the data.
    advance
        Told the number of rows of each batch that is done.

    Raises
    ------
    DatasetEmpty
        There is no row.
    ColumnAllNull
        No row has a label, or a feature has no value in any labelled row.
    PredictionFailed
        A model raised.
    """
    gathered = _Gathered(len(models), columns)
    unseen = [name for model in models for name in model.features]
    for batch in batches:
        rows = _labelled(batch, label)
        gathered.unlabelled += batch.num_rows - rows.num_rows
        unseen = [name for name in unseen if not _has_value(rows.column(name))]
        if rows.num_rows:
            said = [model.predict(to_matrix(rows, model.features, model.card.dtypes, source=uri)) for model in models]
            gathered.add(rows, label, said)
        advance(batch.num_rows)
    if not gathered.truth:
        raise ColumnAllNull(uri, label) if gathered.unlabelled else DatasetEmpty(uri)
    if unseen:
        raise ColumnAllNull(uri, unseen[0])
    return gathered.scored()


def _has_value(column: "pa.Array") -> bool:
    import pyarrow.compute

    pc: Any = pyarrow.compute  # its functions are made at run time: no type checker knows them
    return not pc.all(pc.is_null(column, nan_is_null=True)).as_py()


def _labelled(batch: "pa.RecordBatch", label: str) -> "pa.RecordBatch":
    import pyarrow.compute

    pc: Any = pyarrow.compute  # its functions are made at run time: no type checker knows them
    return batch.filter(pc.invert(pc.is_null(batch.column(label), nan_is_null=True)))


class _Gathered:
    """The parts of `Scored`, batch by batch."""

    def __init__(self, models: int, columns: Sequence[str]) -> None:
        self.truth: list[Any] = []
        self.labels: list[list[Any]] = [[] for _ in range(models)]
        self.probabilities: list[list[Any]] = [[] for _ in range(models)]
        self.columns: dict[str, list[Any]] = {name: [] for name in columns}
        self.unlabelled = 0

    def add(self, rows: "pa.RecordBatch", label: str, said: Sequence[Predictions]) -> None:
        self.truth.append(to_array(rows.column(label)))
        for name, parts in self.columns.items():
            parts.append(to_array(rows.column(name)))
        for index, each in enumerate(said):
            self.labels[index].append(np.asarray(each.labels))
            if each.probabilities is not None:
                self.probabilities[index].append(np.asarray(each.probabilities, dtype=np.float64))

    def scored(self) -> Scored:
        predictions = tuple(
            Predictions(np.concatenate(labels), np.concatenate(probabilities) if probabilities else None)
            for labels, probabilities in zip(self.labels, self.probabilities, strict=True)
        )
        columns = {name: _joined(parts) for name, parts in self.columns.items()}
        return Scored(_joined(self.truth), predictions, columns, self.unlabelled)


def _joined(parts: list[Any]) -> "NDArray[Any]":
    """Join arrays; batches with and without gaps may differ in type, then objects hold them all."""
    kinds = {part.dtype.kind for part in parts}
    if len(kinds) > 1 and "O" in kinds:
        parts = [part.astype(object) for part in parts]
    return np.concatenate(parts)
