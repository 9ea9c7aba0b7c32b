"""The operation train: fits a project function and records all that is to be known about the model."""

import inspect
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from modelyard.data import DatasetSource, profile_of
from modelyard.graphs import LoadedModel
from modelyard.operations import DatasetRef, ModelRef, OperationContext, operation
from modelyard.projects import Project, open_project
from modelyard.projects.user_code import calling
from modelyard.tracking import LoggedModelInfo, ModelFacts, TrackedRun, open_tracking, run_tags
from modelyard.training.errors import TrainerInvalid
from modelyard.training.finished import keep_result, kept_result
from modelyard.training.fitted import PyfuncEstimator, checked_model
from modelyard.training.metrics import metrics_of
from modelyard.training.outcomes import Task, outcomes_of
from modelyard.training.rows import TrainingRows
from modelyard.training.scoring import Scored, score

__all__ = ["TrainResult", "train"]

PROFILE = "profile"
"""The folder among a run's artifacts that holds the profiles of the features and of the predictions."""

_EXAMPLE_ROWS = 5


class TrainResult(msgspec.Struct, frozen=True):
    """What train returns.

    Attributes
    ----------
    run_id
        The MLflow run.
    model
        The stored model, such as ``models:/m-…``; register it to give it a name and a version.
    digest
        The SHA-256 over the model's files.
    metrics
        The metrics on the held-out rows; those that are not defined there are missing.
    rows
        How many rows it was trained on.
    held_out_rows
        How many rows the metrics are of.
    profile
        Where the reference profile lies among the run's artifacts.
    """

    run_id: str
    model: ModelRef
    digest: str
    metrics: dict[str, float]
    rows: int
    held_out_rows: int
    profile: str


@operation(kind="train", side_effects="tracking")
def train(  # noqa: PLR0913 (an operation's parameters are its interface)
    context: OperationContext,
    *,
    function: str,
    dataset: DatasetRef,
    label_column: str,
    feature_columns: list[str] = [],  # noqa: B006 (copied for each call)
    validation_dataset: DatasetRef | None = None,
    holdout: float = 0.2,
    parameters: dict[str, Any] = {},  # noqa: B006
    task: Literal["auto", "classification", "regression"] = "auto",
    experiment: str = "",
    tags: dict[str, str] = {},  # noqa: B006
) -> TrainResult:
    """Fit a project function on a dataset and record the run, the model and what its data looks like.

    The function is called with a `modelyard.data.TrainingSet` and the parameters, and returns a fitted estimator:
    anything with fit and predict as in scikit-learn, or an ``mlflow.pyfunc.PythonModel``. The last rows of the dataset
    are held out, in its order, and the metrics are of them; or all rows are trained on, and the metrics are of another
    dataset.

    Parameters
    ----------
    function
        The training function: its name in modelyard.yaml, or package.module:name.
    dataset
        The rows to train on: Parquet or CSV.
    label_column
        The column to predict.
    feature_columns
        The columns to predict from; all others if empty.
    validation_dataset
        The rows to measure on, instead of held-out ones.
    holdout
        The share of the rows to hold out, from the end; 0 holds out none and measures nothing.
    parameters
        What the function gets as its second argument.
    task
        What the model does; auto asks the estimator, then the labels.
    experiment
        The MLflow experiment; the project's name if empty.
    tags
        More tags for the run.

    Examples
    --------
    $ modelyard train --function delay-trainer --dataset data/train.parquet --label-column late
    """
    project = open_project(context.project)
    fit = project.load_function(function)
    _check_signature(function, fit)
    rows = TrainingRows.open(project, dataset, label_column, feature_columns, validation_dataset, holdout)
    tracking = open_tracking(project.environment(context.environment), project.name)
    done = kept_result(tracking, context, TrainResult, experiment=experiment)
    if done is not None:
        return done
    run = tracking.start_run(
        f"train {function}",
        tags={**tags, **run_tags(project, context, operation="train", function=function)},
        key=context.key,
        generation=context.generation,
        attempt=context.attempt,
        experiment=experiment,
    )
    with run:
        return _Training(context, project, rows, run, function).run(fit, parameters, task)


def _check_signature(name: str, function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:
        return
    try:
        signature.bind(None, {})
    except TypeError as error:
        raise TrainerInvalid(name, str(error)) from error


class _Training:
    """One training under way, in a run that is open."""

    def __init__(
        self, context: OperationContext, project: Project, rows: TrainingRows, run: TrackedRun, function: str
    ) -> None:
        self.context = context
        self.project = project
        self.rows = rows
        self.record = run
        self.function = function

    def run(self, fit: Callable[..., Any], parameters: dict[str, Any], task: Any) -> TrainResult:
        training, held_out = self.rows
        self._record_inputs(parameters)
        self.context.log.info("fitting %s on %d rows of %s", self.function, len(training), training.dataset.uri)
        with self.context.progress.track(f"fit {self.function}"), calling(self.function, self.project.source):
            returned = fit(training, dict(parameters))
        model = checked_model(self.function, returned, training, task)
        scored = self._scored(model)
        metrics = self._metrics(model, scored) if held_out is not None else {}
        self._record_profile(scored)
        stored = self._store(returned, model)
        self.record.log_metrics(metrics, model_id=stored.model_id)
        result = TrainResult(
            run_id=self.record.run_id,
            model=stored.uri,
            digest=stored.digest,
            metrics=metrics,
            rows=len(training),
            held_out_rows=len(held_out) if held_out is not None else 0,
            profile=f"runs:/{self.record.run_id}/{PROFILE}",
        )
        keep_result(self.record, result)
        self.context.log.info("stored %s%s", stored.uri, "".join(f", {name} {metrics[name]:.4f}" for name in metrics))
        return result

    def _record_inputs(self, parameters: dict[str, Any]) -> None:
        training, held_out = self.rows
        own = {"label_column": training.label_column, "features": len(training.feature_columns)}
        self.record.log_params({**own, **parameters})
        self._record_dataset(training.dataset.source(), "training")
        if held_out is not None and held_out.dataset is not training.dataset:
            self._record_dataset(held_out.dataset.source(), "validation")

    def _record_dataset(self, source: DatasetSource, use: str) -> None:
        self.record.log_dataset(source, use)
        self.context.note_dataset("input", msgspec.to_builtins(source))

    def _scored(self, model: LoadedModel) -> Scored:
        judged = self.rows.judged
        with self.context.progress.track("score", len(judged), "rows") as track:
            return score(
                [model], judged.table().to_batches(), judged.label_column, uri=judged.dataset.uri, advance=track.advance
            )

    def _metrics(self, model: LoadedModel, scored: Scored) -> dict[str, float]:
        task: Task = "regression" if model.task == "regression" else "classification"
        return metrics_of(outcomes_of(scored.truth, scored.predictions[0], task=task, classes=model.classes))

    def _record_profile(self, scored: Scored) -> None:
        said = scored.predictions[0]
        columns: dict[str, Any] = {"prediction": said.labels}
        if said.probability is not None:
            columns["probability"] = said.probability
        parts = {"features": profile_of(self.rows.features()), "predictions": profile_of(columns)}
        for name, profile in parts.items():
            self.record.log_artifact(profile.to_json(), f"{PROFILE}/{name}.json")

    def _store(self, returned: Any, model: LoadedModel) -> LoggedModelInfo:
        card, stamp = model.card, self.project.stamp
        # MLflow holds its own kind of model to the signature, and will hand it numbers that come out of a matrix.
        form = "matrix" if isinstance(model.estimator, PyfuncEstimator) else card.input
        facts = ModelFacts(card.features, card.dtypes, form, card.task, card.classes, card.label)
        return self.record.log_model(
            returned,
            facts=facts,
            input_example=self.rows.features().slice(0, _EXAMPLE_ROWS),
            requirements=self.project.function(self.function).requirements,
            metadata={"project": self.project.name, "commit": stamp.commit, "content": stamp.content},
        )
