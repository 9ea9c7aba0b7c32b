"""Scores a whole dataset into a writer: shard by shard, within the threshold of bad rows, and on after a kill."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction

import msgspec

from modelyard.batch.errors import RowsRejected
from modelyard.batch.scoring import Columns, Scorer, ScoringModel
from modelyard.data import ColumnAllNull, Dataset, DatasetChanged, ShardWriter
from modelyard.data.pieces import Chunk, Refusal
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations import NoProgress, Progress

__all__ = ["Settings", "kept_for_a_retry", "score_dataset"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to score.

    Parameters
    ----------
    key_columns
        The columns that identify a row.
    batch_rows
        How many rows are scored at a time.
    shard_rows
        How many rows of the dataset go into one file.
    probabilities
        Whether to write the probability of each class.
    reject_threshold
        The share of rows that may be bad.
    """

    key_columns: tuple[str, ...] = ()
    batch_rows: int = 65_536
    shard_rows: int = 1_000_000
    probabilities: bool = True
    reject_threshold: float = 0.0


def score_dataset(
    dataset: Dataset,
    model: ScoringModel,
    writer: ShardWriter,
    settings: Settings,
    *,
    version: str,
    dtypes: Sequence[str] = (),
    progress: Progress | None = None,
) -> int:
    """Score what the writer has not finished yet; nothing is committed.

    Parameters
    ----------
    dataset
        What is scored.
    model
        What scores it.
    writer
        Where the rows go.
    settings
        How to score.
    version
        The model's exact reference.
    dtypes
        The Arrow types on which the model was fitted; empty if nobody knows.
    progress
        Where to tell how far it is.

    Returns
    -------
    int
        How many rows of the dataset were worked on now, those of an earlier attempt left out.

    Raises
    ------
    RowsRejected
        More rows are bad than the settings allow.
    ColumnMissing, ColumnTypeWrong, ColumnAllNull, FeaturesUnknown, OutputColumnTaken
        The dataset does not fit the model.
    PredictionsWrong
        The model does not give one prediction per row.
    DatasetChanged
        Somebody wrote the dataset meanwhile.
    """
    columns = Columns.of(dataset, model, settings.key_columns, dtypes, version)
    scorer = Scorer(model, columns, version=version, probabilities=settings.probabilities, uri=dataset.uri)
    fingerprint = dataset.fingerprint()
    limit = _Limit(dataset, writer, settings.reject_threshold)
    start = min(len(writer.finished) * settings.shard_rows, dataset.num_rows)
    chunks = dataset.chunks(
        columns.read, rows=settings.batch_rows, start=start, every=settings.shard_rows, kinds=columns.kinds
    )
    with (progress or NoProgress()).track("scoring", total=dataset.num_rows, unit="rows") as track:
        track.advance(start)
        for index, group in itertools.groupby(chunks, key=lambda chunk: chunk.start // settings.shard_rows):
            with writer.shard(index) as shard:
                for chunk in group:
                    scored = scorer.score(chunk, limit.left)
                    shard.write(scored.batch)
                    shard.refuse(chunk.source, scored.refusals)
                    shard.counts.update(scorer.values_since(shard.counts, chunk))
                    limit.take(chunk, scored.refusals)
                    track.advance(chunk.rows)
    _check_values(dataset, writer, columns)
    if dataset.fingerprint() != fingerprint:
        raise DatasetChanged(dataset.uri)
    return dataset.num_rows - start


class _Limit:
    """How many more rows may be bad."""

    def __init__(self, dataset: Dataset, writer: ShardWriter, threshold: float) -> None:
        self._dataset = dataset
        self._writer = writer
        self._threshold = threshold
        # as it is written: in binary, 0.29 of 100 rows would be 28
        self._allowed = int(dataset.num_rows * Fraction(str(threshold)))
        self._refused = sum(record.refused for record in writer.finished)

    @property
    def left(self) -> int:
        """How many more rows may be bad before the run fails."""
        return self._allowed - self._refused

    def take(self, chunk: Chunk, refusals: Sequence[Refusal]) -> None:
        """Count bad rows.

        Raises
        ------
        RowsRejected
            They are too many.
        """
        self._refused += len(refusals)
        if self._refused > self._allowed:
            raise RowsRejected(
                self._dataset.uri,
                rejected=self._refused,
                rows=chunk.start + chunk.rows,
                threshold=self._threshold,
                reason=f"row {refusals[0].row + 1} of {chunk.source}: {refusals[0].reason}",
                quarantine=self._writer.quarantine,
            )


def _check_values(dataset: Dataset, writer: ShardWriter, columns: Columns) -> None:
    """Refuse a feature that turned out to have no value at all."""
    for feature in columns.uncounted:
        if not any(record.counts.get(feature) for record in writer.finished):
            raise ColumnAllNull(dataset.uri, feature)


@contextmanager
def kept_for_a_retry(writer: ShardWriter) -> Iterator[None]:
    """Remove what the writer wrote if the block fails for good; keep it if trying again may help.

    The rejected rows stay when there were too many of them, so that people can look at them.
    """
    try:
        yield
    except BaseException as error:
        passing = isinstance(error, ModelyardError) and error.error_kind in (ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT)
        if not passing:
            with suppress(Exception):
                writer.abort(keep_quarantine=isinstance(error, RowsRejected))
        raise
