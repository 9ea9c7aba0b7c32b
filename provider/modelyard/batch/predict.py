"""The operation ``predict``: scores a dataset with a registered model."""

import hashlib
import json
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.batch.errors import OutputOverlaps
from modelyard.operations import DatasetRef, ModelRef, OperationContext, ParameterInvalid, operation
from modelyard.projects import open_project
from modelyard.projects.loading import import_roots

if TYPE_CHECKING:
    from modelyard.batch.job import Settings
    from modelyard.data import Dataset, Manifest, ShardWriter
    from modelyard.projects import Project
    from modelyard.tracking import ResolvedModel

__all__ = ["PredictResult", "predict"]


class PredictResult(msgspec.Struct, frozen=True):
    """What a batch prediction wrote.

    Attributes
    ----------
    dataset
        The output: a folder of Parquet files and a manifest.
    model
        The exact model version that scored.
    rows
        How many rows were scored.
    rejected
        How many rows are in quarantine instead.
    shards
        How many files hold the scored rows.
    quarantine
        The folder with the rejected rows and the reason for each; None if there are none.
    rows_per_second
        How many rows were scored per second of work, reading and writing included.
    """

    dataset: DatasetRef
    model: ModelRef
    rows: int
    rejected: int
    shards: int
    quarantine: str | None
    rows_per_second: float


@operation(kind="predict", side_effects="storage")
def predict(
    context: OperationContext,
    *,
    model: ModelRef,
    dataset: DatasetRef,
    destination: str,
    key_columns: list[str] = [],  # noqa: B006
    batch_rows: int = 65_536,
    shard_rows: int = 1_000_000,
    probabilities: bool = True,
    reject_threshold: float = 0.0,
    trust: bool = False,
) -> PredictResult:
    r"""Score a dataset with a registered model.

    The output has a row for each row of the dataset: the key columns, or the source file and the row's number in it;
    the prediction; a probability for each class; the exact model version. It becomes visible as a whole, through a
    manifest that is put last; what the folder showed before is replaced at that moment. A run that was killed and is
    started again with the same key goes on after its last finished shard, and gives each row once.

    Rows that cannot be read or at which the model fails go to a quarantine folder with the reason.

    Parameters
    ----------
    model
        The model that scores: models:/name@alias, models:/name/version or runs:/run-id/model.
    dataset
        What is scored: Parquet or CSV, a file or a folder, a path or any fsspec URI.
    destination
        The folder to write to, a path or any fsspec URI: new, empty, or with an earlier output of predict.
    key_columns
        The columns that identify a row; without them the source file and the number of the row in it do.
    batch_rows
        How many rows are scored at a time; more rows need more memory.
    shard_rows
        How many rows of the dataset go into one output file.
    probabilities
        Whether to write a column with the probability of each class, where the model has them.
    reject_threshold
        The share of rows, from 0 to 1, that may be bad; with more the run fails and shows nothing.
    trust
        Load the model even if this environment's registry does not vouch for its files.

    Examples
    --------
    $ modelyard predict --model models:/delays@champion --dataset data/august.parquet --destination scored/august
    $ modelyard predict --model models:/delays/3 --dataset s3://lake/flights --destination s3://lake/scored \
        --key-columns '["flight_id"]' --reject-threshold 0.001
    """
    from modelyard.batch.job import kept_for_a_retry, score_dataset
    from modelyard.data import DatasetEmpty, ShardWriter, open_dataset
    from modelyard.tracking import open_tracking

    settings = _settings(tuple(key_columns), batch_rows, shard_rows, reject_threshold, probabilities=probabilities)
    project = open_project(context.project)
    source, target = open_dataset(project.resolve_uri(dataset)), project.resolve_uri(destination)
    _check_apart(source, target)
    if not source.num_rows:
        raise DatasetEmpty(source.uri)
    tracking = open_tracking(project.environment(context.environment), project.name)
    resolved = tracking.resolve(model)
    facts = _facts(context, project, source, resolved, settings)
    writer = ShardWriter(target, run=_run(facts), writer="predict")
    if writer.committed is not None:
        context.log.info("%s shows this work already", writer.uri)
        writer.sweep()
        return _result(target, resolved, writer, writer.committed)
    with kept_for_a_retry(writer), _importable(project):
        loaded = tracking.load_model(resolved, trust=trust)
        if writer.finished:
            context.log.info("going on after %d finished shards", len(writer.finished))
        begun = time.monotonic()
        rows = score_dataset(
            source,
            loaded,
            writer,
            settings,
            version=resolved.uri,
            dtypes=loaded.card.dtypes,
            progress=context.progress,
        )
        facts["rows_per_second"] = round(rows / max(time.monotonic() - begun, 1e-9), 1)
        manifest = writer.commit(facts)
    context.note_dataset("input", facts["dataset"])
    context.note_dataset("output", _written(target, manifest))
    context.log.info("%d rows scored by %s, %d rejected", manifest.rows, resolved.uri, _rejected(manifest))
    return _result(target, resolved, writer, manifest)


@contextmanager
def _importable(project: "Project") -> Iterator[None]:
    """Let a model find the classes that its project defines: they are stored by name."""
    roots = [str(root) for root in import_roots(project.source)]
    sys.path[:0] = roots
    try:
        yield
    finally:
        for root in roots:
            sys.path.remove(root)


def _settings(
    key_columns: tuple[str, ...], batch_rows: int, shard_rows: int, reject_threshold: float, *, probabilities: bool
) -> "Settings":
    from modelyard.batch.job import Settings

    for name, rows in (("batch_rows", batch_rows), ("shard_rows", shard_rows)):
        if rows < 1:
            raise ParameterInvalid(name, "a whole number above 0", rows)
    if not 0 <= reject_threshold <= 1:
        raise ParameterInvalid("reject_threshold", "a share from 0 to 1", reject_threshold)
    return Settings(
        key_columns=key_columns,
        batch_rows=batch_rows,
        shard_rows=shard_rows,
        probabilities=probabilities,
        reject_threshold=reject_threshold,
    )


def _check_apart(dataset: "Dataset", output: str) -> None:
    """Refuse an output among the data: the next run would read it."""
    from modelyard.data import locate

    place = locate(output)
    if place.overlaps(dataset.location):
        raise OutputOverlaps(place.uri, dataset.uri)


def _facts(
    context: OperationContext, project: "Project", dataset: "Dataset", model: "ResolvedModel", settings: "Settings"
) -> dict[str, Any]:
    """Return what the manifest says about the work, and what makes it this work and no other."""
    return {
        "model": model.uri,
        "digest": model.digest,
        "dataset": msgspec.to_builtins(dataset.source()),
        "settings": msgspec.to_builtins(settings),
        "project": {"name": project.name, **msgspec.to_builtins(project.stamp)},
        # without a key nobody can come back to the work
        "key": context.key or uuid.uuid4().hex,
        "generation": context.generation,
    }


def _run(facts: dict[str, Any]) -> str:
    """Return the name of the work: the same for each attempt at the same rows with the same model."""
    deciding = {name: fact for name, fact in facts.items() if name != "project"}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16]


def _written(output: str, manifest: "Manifest") -> dict[str, Any]:
    """Return what was written, as far as it is known without reading it again."""
    from modelyard.data import open_dataset

    schema = open_dataset(output).schema if manifest.files else ()
    return {"uri": output, "rows": manifest.rows, "schema": {each.name: str(each.type) for each in schema}}


def _rejected(manifest: "Manifest") -> int:
    return sum(shard.rows for shard in manifest.quarantine)


def _result(output: str, model: "ResolvedModel", writer: "ShardWriter", manifest: "Manifest") -> PredictResult:
    return PredictResult(
        dataset=output,
        model=model.uri,
        rows=manifest.rows,
        rejected=_rejected(manifest),
        shards=len(manifest.files),
        quarantine=writer.quarantine if manifest.quarantine else None,
        rows_per_second=float(manifest.metadata["rows_per_second"]),
    )
