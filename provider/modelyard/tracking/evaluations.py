"""Evaluations as promotions read them: runs that say which exact version they judged, and against which."""

from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.tracking.connection import border
from modelyard.tracking.listings import quoted
from modelyard.tracking.tags import BASELINE, BASELINE_ASKED, EVALUATED_MODEL
from modelyard.tracking.translation import is_not_found

if TYPE_CHECKING:
    from modelyard.tracking.references import ResolvedModel
    from modelyard.tracking.tracking import Tracking

__all__ = ["BASELINE_PREFIX", "Evaluation", "Evaluations"]

BASELINE_PREFIX = "champion."
"""Before the name of a metric: the baseline's value of it."""


class Evaluation(msgspec.Struct, frozen=True):
    """One evaluation of one model version.

    Parameters
    ----------
    run_id
        The MLflow run.
    status
        MLflow's status of it.
    model
        The exact version that was judged; empty if the run is no evaluation.
    baseline
        The exact version that it was compared with; empty if with none.
    asked
        What the evaluation was asked to compare with: an alias, a reference or ``none``; empty if unknown.
    metrics
        The candidate's metrics.
    baseline_metrics
        The baseline's metrics.
    """

    run_id: str
    status: str
    model: str
    baseline: str
    asked: str
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]


class Evaluations:
    """The evaluations of one environment.

    Parameters
    ----------
    tracking
        The environment's tracking.
    """

    def __init__(self, tracking: "Tracking") -> None:
        self.tracking = tracking
        self.uri = tracking.uri

    @border
    def get(self, run_id: str) -> Evaluation | None:
        """Return the evaluation of that run; None if there is no such run."""
        from mlflow.exceptions import MlflowException

        try:
            return _evaluation(self.tracking.client.get_run(run_id))
        except MlflowException as error:
            if is_not_found(error) or error.error_code == "INVALID_PARAMETER_VALUE":
                return None
            raise

    @border
    def newest(self, model: "ResolvedModel") -> Evaluation | None:
        """Return the newest finished evaluation of that exact version, or None.

        It is looked for in the project's own experiment and in that of the run which made the model.
        """
        found = self.tracking.client.search_runs(
            self._experiments(model),
            f"tags.`{EVALUATED_MODEL}` = {quoted(model.uri)} and attributes.status = 'FINISHED'",
            max_results=1,
            order_by=["attributes.end_time DESC"],
        )
        return _evaluation(found[0]) if found else None

    def _experiments(self, model: "ResolvedModel") -> list[str]:
        from mlflow.exceptions import MlflowException

        client = self.tracking.client
        own = client.get_experiment_by_name(self.tracking.project_name)
        ids = [str(own.experiment_id)] if own else []
        if model.run_id:
            try:
                ids.append(str(client.get_run(model.run_id).info.experiment_id))
            except MlflowException as error:
                if not is_not_found(error):
                    raise
        return sorted(set(ids))


def _evaluation(run: Any) -> Evaluation:
    tags, metrics = run.data.tags, run.data.metrics
    start = len(BASELINE_PREFIX)
    return Evaluation(
        run_id=run.info.run_id,
        status=run.info.status,
        model=tags.get(EVALUATED_MODEL, ""),
        baseline=tags.get(BASELINE, ""),
        asked=tags.get(BASELINE_ASKED, ""),
        metrics={name: value for name, value in metrics.items() if not name.startswith(BASELINE_PREFIX)},
        baseline_metrics={name[start:]: value for name, value in metrics.items() if name.startswith(BASELINE_PREFIX)},
    )
