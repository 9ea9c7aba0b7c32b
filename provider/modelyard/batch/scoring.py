"""Scores rows: the part of batch prediction that knows neither MLflow nor where the rows come from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from modelyard.batch.errors import FeaturesUnknown, OutputColumnTaken, PredictionsWrong
from modelyard.batch.isolation import Failure, isolate
from modelyard.data import ColumnAllNull, ColumnTypeWrong, Dataset, check_columns, check_features, to_matrix
from modelyard.data.pieces import Chunk, Refusal
from modelyard.data.schemas import Kind, kind_named, kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Answers", "Columns", "Scored", "Scorer", "ScoringModel"]

PREDICTION, PROBABILITY, VERSION = "prediction", "probability", "model_version"
SOURCE, ROW = "source", "row"


class Answers(Protocol):
    """What a model says about some rows."""

    @property
    def labels(self) -> "NDArray[Any]":
        """One per row."""
        ...

    @property
    def probabilities(self) -> "NDArray[np.float64] | None":
        """Rows by classes; None if the model has none."""
        ...


class ScoringModel(Protocol):
    """A model as scoring sees it; `modelyard.graphs.LoadedModel` is one."""

    @property
    def features(self) -> Sequence[str]:
        """The names of the columns, in the model's order."""
        ...

    @property
    def task(self) -> str:
        """``classification`` or ``regression``."""
        ...

    @property
    def classes(self) -> Sequence[Any]:
        """The classes, in the order of the probabilities."""
        ...

    def predict(self, matrix: "NDArray[Any]") -> Answers:
        """Return label and probabilities of each row."""
        ...


class Columns(NamedTuple):
    """What scoring reads of a dataset.

    Parameters
    ----------
    features
        The model's columns, in its order.
    dtypes
        The types on which it was fitted; empty if it does not say.
    keys
        The columns that identify a row; empty: the file and the row's number in it do.
    kinds
        What the cells of some columns must be, where only the cells can tell.
    uncounted
        The features of which only reading all rows tells whether they have any value.
    """

    features: tuple[str, ...]
    dtypes: tuple[str, ...]
    keys: tuple[str, ...]
    kinds: dict[str, Kind]
    uncounted: tuple[str, ...]

    @property
    def read(self) -> list[str]:
        """All columns to read, each once."""
        return list(dict.fromkeys((*self.features, *self.keys)))

    @classmethod
    def of(
        cls, dataset: Dataset, model: ScoringModel, keys: Sequence[str], dtypes: Sequence[str], name: str
    ) -> "Columns":
        """Return what to read, once it is sure that the dataset fits the model.

        Parameters
        ----------
        dataset
            What is to be scored.
        model
            What scores it.
        keys
            The columns that identify a row.
        dtypes
            The types on which the model was fitted.
        name
            How errors call the model.

        Raises
        ------
        FeaturesUnknown
            The model does not name its features.
        ColumnMissing, ColumnTypeWrong, ColumnAllNull
            The dataset does not fit the model.
        OutputColumnTaken
            A key column is called like a column that scoring adds.
        """
        features = tuple(model.features)
        if not features:
            raise FeaturesUnknown(name)
        check_columns(dataset.schema, (*features, *keys), dataset.uri)
        added = {PREDICTION, VERSION, *(_probability(label) for label in model.classes)}
        for key in keys:
            if key in added:
                raise OutputColumnTaken(dataset.uri, key)
        nulls = {feature: dataset.nulls(feature) for feature in features}
        for feature in features:
            if nulls[feature] == dataset.num_rows or kind_of(dataset.schema.field(feature).type) == "null":
                raise ColumnAllNull(dataset.uri, feature)
        known = tuple(dtypes) if len(dtypes) == len(features) else ()
        uncounted = tuple(feature for feature in features if nulls[feature] is None)
        if not dataset.textual:
            check_features(dataset.schema, features, dataset.uri, known)
            return cls(features, known, tuple(keys), {}, uncounted)
        kinds: dict[str, Kind] = {}
        for feature, dtype in zip(features, known, strict=False):
            kind = kind_named(dtype)
            if kind is not None and (kind == "text" or kind_of(dataset.schema.field(feature).type) == "text"):
                kinds[feature] = kind
        return cls(features, known, tuple(keys), kinds, uncounted)


class Scored(NamedTuple):
    """What became of a chunk.

    Parameters
    ----------
    batch
        The rows of the output.
    refusals
        The rows that are none, in their order.
    """

    batch: pa.RecordBatch
    refusals: list[Refusal]


class Scorer:
    """Turns chunks of a dataset into rows of the output.

    Parameters
    ----------
    model
        What scores them.
    columns
        What was read.
    version
        The model's exact reference, for the output.
    probabilities
        Whether to write them.
    uri
        How errors call the dataset.
    """

    def __init__(self, model: ScoringModel, columns: Columns, *, version: str, probabilities: bool, uri: str) -> None:
        self._model = model
        self._columns = columns
        self._version = version
        self._probabilities = probabilities and model.task != "regression"
        self._uri = uri
        self._type = _label_type(model)

    def score(self, chunk: Chunk, most: int) -> Scored:
        """Return the output of a chunk.

        Parameters
        ----------
        chunk
            Rows of the dataset.
        most
            How many more rows may be refused before the whole run fails.

        Raises
        ------
        ColumnTypeWrong
            No cell of a column is what the model needs.
        PredictionsWrong
            The model does not answer with one prediction per row.
        """
        self._check_cells(chunk)
        columns = self._columns
        matrix = to_matrix(chunk.batch, columns.features, columns.dtypes, source=self._uri)
        found = isolate(self._model.predict, matrix, most)
        rows, labels, probabilities = self._assembled(found.answers)
        unusable = _not_finite(rows, labels, probabilities)
        if unusable:
            kept = ~np.isin(rows, [failure.row for failure in unusable])
            rows, labels = rows[kept], labels[kept]
            probabilities = probabilities[kept] if probabilities is not None else None
        refused = [self._refusal(chunk, failure) for failure in (*found.failures, *unusable)]
        refusals = sorted((*chunk.refusals, *refused), key=lambda refusal: refusal.row)
        return Scored(self._output(chunk, rows, labels, probabilities), refusals)

    def values_since(self, counts: Mapping[str, int], chunk: Chunk) -> dict[str, int]:
        """Return how many values the features have of which nobody else knows, added to earlier counts."""
        return {
            feature: counts.get(feature, 0) + chunk.batch.num_rows - chunk.batch.column(feature).null_count
            for feature in self._columns.uncounted
        }

    def _check_cells(self, chunk: Chunk) -> None:
        """Refuse a text file in which a column is of the wrong type altogether: not every row apart."""
        first = {refusal.column for refusal in chunk.refusals}
        if chunk.start == 0 and len(chunk.refusals) == chunk.rows and len(first) == 1 and first != {""}:
            (column,) = first
            kind = self._columns.kinds.get(column, "number")
            raise ColumnTypeWrong(self._uri, column, "text", f"a {kind}, as in training")

    def _assembled(
        self, answers: list[tuple["NDArray[np.intp]", Answers]]
    ) -> tuple["NDArray[np.intp]", "NDArray[Any]", "NDArray[np.float64] | None"]:
        """Return the rows that have an answer, in their order, with labels and probabilities."""
        if not answers:
            return np.empty(0, dtype=np.intp), np.empty(0), None
        labels = [self._labels(answer, len(rows)) for rows, answer in answers]
        probable = [self._probable(answer, len(rows)) for rows, answer in answers]
        if len(answers) == 1:
            return answers[0][0], labels[0], probable[0]
        rows = np.concatenate([rows for rows, _ in answers])
        order = np.argsort(rows)
        known = [each for each in probable if each is not None]
        probabilities = np.concatenate(known)[order] if known else None
        return rows[order], np.concatenate(labels)[order], probabilities

    def _labels(self, answer: Answers, rows: int) -> "NDArray[Any]":
        labels = np.asarray(answer.labels)
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.shape != (rows,):
            rule = f"must predict one label per row, gave the shape {labels.shape} for {rows} rows"
            raise PredictionsWrong(self._version, rule)
        return labels

    def _probable(self, answer: Answers, rows: int) -> "NDArray[np.float64] | None":
        if not self._probabilities or answer.probabilities is None:
            return None
        probabilities = np.asarray(answer.probabilities, dtype=np.float64)
        classes = len(self._model.classes) or probabilities.shape[-1]
        if probabilities.shape != (rows, classes):
            rule = f"must give {classes} probabilities per row, gave the shape {probabilities.shape} for {rows} rows"
            raise PredictionsWrong(self._version, rule)
        return probabilities

    def _refusal(self, chunk: Chunk, failure: Failure) -> Refusal:
        content = chunk.batch.slice(failure.row, 1).to_pylist()[0]
        return Refusal(int(chunk.numbers[failure.row]), "", failure.reason, content)

    def _output(
        self,
        chunk: Chunk,
        rows: "NDArray[np.intp]",
        labels: "NDArray[Any]",
        probabilities: "NDArray[np.float64] | None",
    ) -> pa.RecordBatch:
        output: dict[str, pa.Array] = {}
        if self._columns.keys:
            whole = len(rows) == chunk.batch.num_rows
            kept = chunk.batch if whole else chunk.batch.take(pa.array(rows))
            output.update((key, kept.column(key)) for key in self._columns.keys)
        else:
            output[SOURCE] = pa.repeat(pa.scalar(chunk.source), len(rows))
            output[ROW] = pa.array(chunk.numbers[rows])
        output[PREDICTION] = self._predictions(labels)
        if probabilities is not None:
            names = self._model.classes or range(probabilities.shape[1])
            for index, label in enumerate(names):
                output[_probability(label)] = pa.array(np.ascontiguousarray(probabilities[:, index]))
        output[VERSION] = pa.repeat(pa.scalar(self._version), len(rows))
        return pa.RecordBatch.from_pydict(output)

    def _predictions(self, labels: "NDArray[Any]") -> pa.Array:
        if not len(labels):
            return pa.array([], type=self._type or pa.float64())
        plain = labels if labels.dtype != object else labels.tolist()
        try:
            array = pa.array(plain, type=self._type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            rule = f"must predict {self._type or 'labels of one type'}, gave {labels[0]!r} and others"
            raise PredictionsWrong(self._version, rule) from error
        self._type = array.type
        return array


def _probability(label: Any) -> str:
    return f"{PROBABILITY}_{str(label).lower() if isinstance(label, bool) else label}"


def _label_type(model: ScoringModel) -> pa.DataType | None:
    """Return the type of the predictions, as far as the model says before it predicts."""
    if model.task == "regression":
        return pa.float64()
    if not len(model.classes):
        return None
    try:
        return pa.array(list(model.classes)).type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def _not_finite(
    rows: "NDArray[np.intp]", labels: "NDArray[Any]", probabilities: "NDArray[np.float64] | None"
) -> list[Failure]:
    """Return the rows for which the model has no usable number."""
    wrong = ~np.isfinite(labels) if np.issubdtype(labels.dtype, np.floating) else np.zeros(len(rows), dtype=np.bool_)
    failures = [Failure(int(rows[index]), f"the model predicted {labels[index]}") for index in np.flatnonzero(wrong)]
    if probabilities is None:
        return failures
    unsure = np.flatnonzero(~np.isfinite(probabilities).all(axis=1) & ~wrong)
    return failures + [Failure(int(rows[index]), "the model gave a probability that is no number") for index in unsure]
