"""The operation evaluate: measures a model beside the champion and writes a page about it."""

import errno
import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from modelyard.data import Dataset, StorageFull, check_columns, open_dataset
from modelyard.graphs import Predictions
from modelyard.operations import DatasetRef, ModelRef, OperationContext, ParameterInvalid, operation
from modelyard.operations.atomic import write_atomically
from modelyard.projects import Project, open_project
from modelyard.tracking import ResolvedModel, TrackedRun, Tracking, open_tracking, run_tags
from modelyard.tracking.evaluations import BASELINE_PREFIX
from modelyard.tracking.tags import BASELINE, BASELINE_ASKED, EVALUATED_MODEL
from modelyard.training.comparison import compare
from modelyard.training.curves_file import CURVES, curves_document
from modelyard.training.errors import (
    BaselineUnlikeModel,
    LabelUnknown,
    MetricNameTaken,
    ReportNotWritten,
    ThresholdInvalid,
)
from modelyard.training.evaluation import Evaluation, Judged
from modelyard.training.finished import keep_result, kept_result
from modelyard.training.metrics import MetricFacts, metrics_of
from modelyard.training.opponents import Opponent, find_baseline, open_opponent
from modelyard.training.outcomes import outcomes_of
from modelyard.training.own_metrics import OwnMetric
from modelyard.training.report import render_report, whole
from modelyard.training.scoring import Scored, score
from modelyard.training.slices import slice_by

__all__ = ["EvaluateResult", "evaluate"]

REPORT = "report.html"


class EvaluateResult(msgspec.Struct, frozen=True):
    """What evaluate returns.

    Attributes
    ----------
    evaluation
        The MLflow run of the evaluation; promote judges by it.
    model
        The exact model that was judged.
    baseline
        The exact model it was compared with; none if there was none.
    metrics
        The metrics of the model; those that are not defined on these rows are missing.
    baseline_metrics
        The same of the baseline.
    rows
        How many rows were judged.
    report
        Where the report lies.
    """

    evaluation: str
    model: ModelRef
    baseline: str | None
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    rows: int
    report: str


class _Request(NamedTuple):
    """What an evaluation was asked for, checked."""

    dataset: Dataset
    label: str
    slices: list[str]
    own: list[OwnMetric]
    threshold: float
    baseline: str
    report: str

    @property
    def label_type(self) -> Any:
        """The Arrow type of the label."""
        return self.dataset.schema.field(self.label).type


@operation(kind="evaluate", side_effects="tracking")
def evaluate(
    context: OperationContext,
    *,
    model: ModelRef,
    dataset: DatasetRef,
    label_column: str = "",
    baseline: str = "champion",
    slices: list[str] = [],  # noqa: B006 (copied for each call)
    metrics: list[str] = [],  # noqa: B006
    threshold: float = 0.5,
    report: str = "",
    trust: bool = False,
) -> EvaluateResult:
    """Measure a model on a dataset, beside the champion, and write a page about it.

    The metrics are those of the model's task and the project's own. Both models predict the same rows; rows without a
    label are left out and counted. The page is one HTML file that needs no network.

    Parameters
    ----------
    model
        The model to judge, such as ``models:/delays/3``.
    dataset
        The rows to judge on: Parquet or CSV.
    label_column
        The column with the truth; the model's own label if empty.
    baseline
        What to compare with: an alias of the same registered model, another model's reference, or none.
    slices
        Columns by whose values the metrics are split.
    metrics
        Metric functions of the project, each called with the labels and the predictions.
    threshold
        With two classes: the probability from which a row counts as positive.
    report
        The path of the page; in the environment's state folder if empty.
    trust
        Load the model although this environment's registry does not vouch for it.

    Examples
    --------
    $ modelyard evaluate --model models:/delays/3 --dataset data/july.parquet --slices carrier --slices origin
    """
    if not 0 <= threshold <= 1:
        raise ThresholdInvalid(threshold)
    if "://" in report:
        raise ParameterInvalid("report", "a path", report)
    project = open_project(context.project)
    if report and not _writable(Path(project.resolve_uri(report))):
        raise ParameterInvalid("report", "a path where a file can be written", report)
    own = [OwnMetric(name, project.load_function(name), project.source) for name in metrics]
    rows = open_dataset(project.resolve_uri(dataset))
    check_columns(rows.schema, [*slices, *([label_column] if label_column else [])], rows.uri)
    tracking = open_tracking(project.environment(context.environment), project.name)
    done = kept_result(tracking, context, EvaluateResult)
    if done is not None:
        return done
    resolved = tracking.resolve(model)
    other, reason = find_baseline(tracking, resolved, baseline)
    candidate = open_opponent(tracking, resolved, rows, trust=trust)
    request = _Request(rows, _label_of(candidate, label_column, rows), slices, own, threshold, baseline, report)
    opponent = _opponent(tracking, candidate, other, request, trust=trust)
    run = tracking.start_run(
        f"evaluate {candidate.title}",
        tags={**run_tags(project, context, operation="evaluate"), **_judging_tags(candidate, other, baseline)},
        key=context.key,
        generation=context.generation,
        attempt=context.attempt,
    )
    with run:
        return _Judging(context, project, tracking, run, request).run(candidate, opponent, reason)


def _writable(file: Path) -> bool:
    """Return whether a file can be put there, its missing folders made: asked before any work, not after it."""
    if file.exists():
        return file.is_file() and os.access(file, os.W_OK)
    nearest = next(each for each in file.parents if each.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)


def _label_of(candidate: Opponent, asked: str, dataset: Dataset) -> str:
    label = asked or candidate.model.card.label
    if not label:
        raise LabelUnknown(candidate.resolved.uri, dataset.column_names)
    check_columns(dataset.schema, [label], dataset.uri)
    return label


def _opponent(
    tracking: Tracking, candidate: Opponent, other: ResolvedModel | None, request: _Request, *, trust: bool
) -> Opponent | None:
    if other is None:
        return None
    if other.uri == candidate.resolved.uri:
        return candidate
    opponent = open_opponent(tracking, other, request.dataset, trust=trust)
    mine, theirs = candidate.task(request.label_type), opponent.task(request.label_type)
    if mine != theirs:
        raise BaselineUnlikeModel(other.uri, f"the baseline does {theirs}, the candidate {mine}")
    return opponent


def _judging_tags(candidate: Opponent, other: ResolvedModel | None, asked: str) -> dict[str, str]:
    tags = {EVALUATED_MODEL: candidate.resolved.uri, BASELINE_ASKED: asked, BASELINE: other.uri if other else ""}
    return {name: value for name, value in tags.items() if value}


class _Judging:
    """One evaluation under way, in a run that is open."""

    def __init__(
        self, context: OperationContext, project: Project, tracking: Tracking, run: TrackedRun, request: _Request
    ) -> None:
        self.context = context
        self.project = project
        self.tracking = tracking
        self.record = run
        self.request = request
        self.own_facts: dict[str, MetricFacts] = {}

    def run(self, candidate: Opponent, baseline: Opponent | None, reason: str) -> EvaluateResult:
        sides = [candidate] if baseline in (None, candidate) else [candidate, baseline]
        scored = self._scored([each for each in sides if each is not None])
        judged = [
            self._judged(side, scored, said)
            for side, said in zip(sides, scored.predictions, strict=True)
            if side is not None
        ]
        other = None if baseline is None else judged[-1]
        made = self._evaluation(judged[0], other, scored, reason)
        report = self._report(made)
        self._record(made, candidate)
        result = EvaluateResult(
            evaluation=self.record.run_id,
            model=candidate.resolved.uri,
            baseline=baseline.resolved.uri if baseline else None,
            metrics=dict(judged[0].metrics),
            baseline_metrics=dict(other.metrics) if other else {},
            rows=len(scored.truth),
            report=str(report),
        )
        keep_result(self.record, result)
        self.context.log.info("judged %s on %d rows: %s", candidate.resolved.uri, result.rows, result.report)
        return result

    def _scored(self, sides: list[Opponent]) -> Scored:
        request = self.request
        models = [side.model for side in sides]
        needed = dict.fromkeys([*(name for model in models for name in model.features), request.label, *request.slices])
        rows = request.dataset.num_rows
        self.context.log.info("scoring %d rows of %s", rows, request.dataset.uri)
        with self.context.progress.track("score", rows, "rows") as track:
            return score(
                models,
                request.dataset.batches(list(needed)),
                request.label,
                columns=request.slices,
                uri=request.dataset.uri,
                advance=track.advance,
            )

    def _judged(self, side: Opponent, scored: Scored, said: Predictions) -> Judged:
        outcomes = outcomes_of(
            scored.truth,
            said,
            task=side.task(self.request.label_type),
            classes=side.model.classes,
            threshold=self.request.threshold,
        )
        return Judged(
            title=side.title,
            uri=side.resolved.uri,
            outcomes=outcomes,
            metrics={**metrics_of(outcomes), **self._own_metrics(scored.truth, said)},
            facts=side.facts(self.tracking),
        )

    def _own_metrics(self, truth: Any, said: Predictions) -> dict[str, float]:
        found: dict[str, float] = {}
        for metric in self.request.own:
            values = metric(truth, said)
            for name in values:
                if name in found:
                    raise MetricNameTaken(metric.name, name)
                self.own_facts[name] = metric.facts_of(name)
            found.update({name: value for name, value in values.items() if math.isfinite(value)})
        return found

    def _evaluation(self, candidate: Judged, baseline: Judged | None, scored: Scored, reason: str) -> Evaluation:
        other = baseline.outcomes if baseline else None
        asked = self.request.baseline
        return Evaluation(
            project=self.project.name,
            label=self.request.label,
            candidate=candidate,
            baseline=baseline,
            baseline_role=asked if ":/" not in asked else "baseline",
            no_baseline=reason,
            comparison=compare(candidate.outcomes, other) if other is not None else None,
            slices=tuple(
                slice_by(name, scored.columns[name], candidate.outcomes, other) for name in self.request.slices
            ),
            own_facts=self.own_facts,
            source=self.request.dataset.source(),
            notes=_notes(self.request.dataset),
            unlabelled=scored.unlabelled,
            threshold=self.request.threshold,
            lineage=self._lineage(),
            made_at=datetime.now(UTC),
        )

    def _lineage(self) -> dict[str, str]:
        stamp, context = self.project.stamp, self.context
        known = {
            "Run": self.record.run_id,
            "Environment": self.tracking.environment.name,
            "Commit": f"{stamp.commit[:12]}{', with changes' if stamp.dirty else ''}" if stamp.commit else "",
            "Code": stamp.content[:16],
            "Workflow run": context.workflow_run,
            "Step": context.step,
        }
        return {name: value for name, value in known.items() if value}

    def _report(self, made: Evaluation) -> Path:
        page = render_report(made)
        self.record.log_artifact(page, REPORT)
        curves = curves_document(made.candidate.outcomes)
        path = self._report_path(made)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, page.encode())
            if curves is not None:
                write_atomically(path.with_suffix(CURVES), curves)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(str(path)) from error
            raise ReportNotWritten(str(path), error) from error
        return path

    def _report_path(self, made: Evaluation) -> Path:
        if self.request.report:
            return Path(self.project.resolve_uri(self.request.report))
        name = made.candidate.title.replace(" ", "-")
        return self.tracking.environment.open_state() / "reports" / f"{name}-{self.record.run_id[:8]}.html"

    def _record(self, made: Evaluation, candidate: Opponent) -> None:
        metrics = dict(made.candidate.metrics)
        if made.baseline:
            metrics |= {f"{BASELINE_PREFIX}{name}": value for name, value in made.baseline.metrics.items()}
        self.record.log_params({"label_column": made.label, "threshold": made.threshold})
        self.record.log_dataset(made.source, "evaluation")
        self.context.note_dataset("input", msgspec.to_builtins(made.source))
        if candidate.resolved.model_id:
            self.record.log_model_input(candidate.resolved.model_id)
        self.record.log_metrics(metrics)
        slices = {table.column: [each._asdict() for each in table.slices] for table in made.slices}
        comparison = made.comparison._asdict() if made.comparison else None
        self.record.log_artifact(msgspec.json.encode({"comparison": comparison, "slices": slices}), "evaluation.json")


def _notes(dataset: Dataset) -> dict[str, str]:
    return {name: whole(value) if isinstance(value, int) else str(value) for name, value in dataset.notes.items()}
