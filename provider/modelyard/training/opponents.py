"""Finds the models that an evaluation judges: the candidate, and the baseline it is compared with."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from modelyard.data import ColumnAllNull, Dataset, DatasetEmpty, check_features
from modelyard.graphs import LoadedModel
from modelyard.tracking import AliasNotFound, ResolvedModel, Tracking
from modelyard.training.errors import BaselineUnlikeModel, FeaturesUnknown
from modelyard.training.outcomes import Task

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CHAMPION", "NONE", "Opponent", "find_baseline", "open_opponent"]

CHAMPION = "champion"
NONE = "none"


@dataclass(frozen=True)
class Opponent:
    """A model that is about to be judged.

    Parameters
    ----------
    resolved
        What exactly it is.
    model
        The model itself.
    """

    resolved: ResolvedModel
    model: LoadedModel

    @property
    def title(self) -> str:
        """How people call it."""
        if self.resolved.name:
            return f"{self.resolved.name} version {self.resolved.version}"
        return f"model {self.resolved.model_id or self.resolved.uri}"

    def task(self, label: "pa.DataType") -> Task:
        """Return what the model does; if it does not say, its classes and the type of the label do."""
        import pyarrow as pa

        if self.model.task in ("classification", "regression"):
            return cast("Task", self.model.task)
        classifies = self.model.classes or hasattr(self.model.estimator, "predict_proba")
        return "regression" if not classifies and pa.types.is_floating(label) else "classification"

    def facts(self, tracking: Tracking) -> dict[str, str]:
        """Return what a report says about the model besides its metrics."""
        resolved, card = self.resolved, self.model.card
        created = datetime.fromtimestamp(resolved.created / 1000, UTC) if resolved.created else None
        known = {
            "Made at": created.strftime("%Y-%m-%d %H:%M UTC") if created else "",
            "Trained on": _trained_on(tracking, resolved.run_id),
            "Training run": resolved.run_id,
            "Features": str(len(card.features)) if card.features else "",
            "Digest": resolved.digest or self.model.digest,
        }
        return {name: value for name, value in known.items() if value}


def _trained_on(tracking: Tracking, run_id: str) -> str:
    if not run_id:
        return ""
    inputs: Any = tracking.client.get_run(run_id).inputs
    for each in inputs.dataset_inputs if inputs else []:
        if any(tag.key == "mlflow.data.context" and tag.value == "training" for tag in each.tags):
            return f"{each.dataset.name}, {each.dataset.digest[:12]}…"
    return ""


def open_opponent(tracking: Tracking, resolved: ResolvedModel, dataset: Dataset, *, trust: bool) -> Opponent:
    """Load a model and check that the dataset has what it needs.

    Raises
    ------
    FeaturesUnknown
        The model does not say what it predicts from.
    ModelNotTrusted
        The environment's registry does not vouch for it, and nobody else does.
    DatasetEmpty, ColumnMissing, ColumnTypeWrong, ColumnAllNull
        The dataset lacks a feature of it.
    """
    model = tracking.load_model(resolved, trust=trust)
    if not model.features:
        raise FeaturesUnknown(resolved.uri)
    check_features(dataset.schema, model.features, dataset.uri, model.card.dtypes)
    if not dataset.num_rows:
        raise DatasetEmpty(dataset.uri)
    for name in model.features:
        # Known beforehand of some files only; where it is not, scoring finds out.
        if dataset.nulls(name) == dataset.num_rows:
            raise ColumnAllNull(dataset.uri, name)
    return Opponent(resolved, model)


def find_baseline(tracking: Tracking, candidate: ResolvedModel, asked: str) -> tuple[ResolvedModel | None, str]:
    """Return the model to compare with, or None and the reason.

    Parameters
    ----------
    tracking
        The environment's tracking.
    candidate
        Who is judged.
    asked
        An alias of the candidate's registered name, a model reference, or ``none``.

    Raises
    ------
    AliasNotFound
        There is no such alias; a missing champion is no error, because every first model is without.
    BaselineUnlikeModel
        An alias is asked for, but the candidate is not registered.
    """
    if asked in (NONE, ""):
        return None, ""
    if asked.startswith(("models:/", "runs:/")):
        return tracking.resolve(asked), ""
    if not candidate.name:
        if asked == CHAMPION:
            return None, "It is not registered under a name, so there is no champion to compare with."
        raise BaselineUnlikeModel(asked, f"{candidate.uri} is not registered, so it has no alias {asked!r}")
    try:
        return tracking.resolve(f"models:/{candidate.name}@{asked}"), ""
    except AliasNotFound:
        if asked != CHAMPION:
            raise
        return None, "There is no champion yet to compare with."
