"""Reviews: what people see before they let an alias move, and their no.

The two functions are called by name through the operation ``call``, where a front door asks people.
"""

from datetime import UTC, datetime

import msgspec

from modelyard.operations import ModelRef, OperationContext
from modelyard.projects import open_project
from modelyard.tracking import ResolvedModel, Tracking, open_tracking
from modelyard.tracking.references import check_alias
from modelyard.tracking.tags import REJECTION
from modelyard.training.evaluate import REPORT, EvaluateResult
from modelyard.training.finished import FILE, result_of
from modelyard.training.gates import parse_gates
from modelyard.training.promote import Promotion
from modelyard.training.promotion_errors import ModelNotRegistered

__all__ = ["Rejection", "Review", "reject", "review"]


class Review(msgspec.Struct, frozen=True):
    """What is decided by when an alias may move to a version.

    Attributes
    ----------
    model
        The exact version.
    name
        The registered name.
    alias
        The alias.
    current
        The exact version that the alias points to now; empty if it is not set.
    evaluation
        The MLflow run of the evaluation; empty if there is none.
    baseline
        The exact version that the evaluation compared with; empty if with none.
    metrics, baseline_metrics
        The metrics of the version, and the baseline's.
    gates
        Each gate with the values put in; all of them hold.
    report
        Where the page with the plots lies; empty if it is not known.
    artifact
        The same page among the artifacts of the evaluation's run; empty if there is no evaluation.
    """

    model: ModelRef
    name: str
    alias: str
    current: str
    evaluation: str
    baseline: str
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    gates: dict[str, str]
    report: str
    artifact: str


class Rejection(msgspec.Struct, frozen=True):
    """Who refused a version, when and why: the JSON in the version's tag ``modelyard.rejection.<alias>``.

    Attributes
    ----------
    model
        The exact version.
    current
        The exact version that the alias still points to; empty if it is not set.
    at
        When, as an ISO 8601 time.
    by
        Who.
    reason
        Why, in their words.
    evaluation
        The evaluation that they saw; empty if there was none.
    workflow_run
        The workflow run that it was part of.
    """

    model: ModelRef
    current: str
    at: str
    by: str
    reason: str
    evaluation: str = ""
    workflow_run: str = ""


def review(
    context: OperationContext, *, model: str, evaluation: str = "", gates: list[str] | None = None, alias: str
) -> Review:
    """Check that a promotion could be made, and return what it would be decided by; nothing changes.

    Parameters
    ----------
    context
        The operation's context.
    model, evaluation, gates, alias
        As for `modelyard.training.promote.promote`. Without gates, too, the newest finished evaluation is shown.

    Raises
    ------
    ModelyardError
        Whatever promote would raise now, such as `GateFailed`.
    """
    declared = parse_gates(gates or [])
    tracking, candidate = _candidate(context, model, alias)
    weighed = Promotion(context, tracking, candidate, alias, declared).weigh(evaluation)
    judged = weighed.judged
    report, artifact = _pages(tracking, judged.run_id) if judged else ("", "")
    return Review(
        model=candidate.uri,
        name=candidate.name,
        alias=alias,
        current=weighed.current,
        evaluation=judged.run_id if judged else "",
        baseline=judged.baseline if judged else "",
        metrics=judged.metrics if judged else {},
        baseline_metrics=judged.baseline_metrics if judged else {},
        gates=weighed.outcomes,
        report=report,
        artifact=artifact,
    )


def reject(
    context: OperationContext, *, model: str, alias: str, by: str, reason: str, evaluation: str = ""
) -> Rejection:
    """Write down at a version that somebody would not have the alias point to it, and return that.

    Parameters
    ----------
    context
        The operation's context.
    model, alias
        The version that stays what it is.
    by
        Who said no.
    reason
        Why.
    evaluation
        The evaluation that they saw.
    """
    tracking, candidate = _candidate(context, model, alias)
    current = tracking.registry.aliases(candidate.name).get(alias)
    record = Rejection(
        model=candidate.uri,
        current=f"models:/{candidate.name}/{current}" if current else "",
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=by,
        reason=reason,
        evaluation=evaluation,
        workflow_run=context.workflow_run,
    )
    text = msgspec.json.encode(record).decode()
    tracking.registry.tag_version(candidate.name, candidate.version or 0, REJECTION + alias, text)
    context.log.info("%s is not to be %s of %s: %s", record.model, alias, candidate.name, reason)
    return record


def _candidate(context: OperationContext, model: str, alias: str) -> tuple[Tracking, ResolvedModel]:
    check_alias(alias)
    project = open_project(context.project)
    tracking = open_tracking(project.environment(context.environment), project.name)
    candidate = tracking.resolve(model)
    if candidate.version is None:
        raise ModelNotRegistered(model)
    return tracking, candidate


def _pages(tracking: Tracking, run_id: str) -> tuple[str, str]:
    """Return where an evaluation's page lies, and the address of the same page among the run's artifacts."""
    if FILE not in {each.path for each in tracking.client.list_artifacts(run_id)}:
        return "", ""
    folder = tracking.client.get_run(run_id).info.artifact_uri
    return result_of(tracking, run_id, EvaluateResult).report, f"{folder}/{REPORT}"
