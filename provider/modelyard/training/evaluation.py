"""An evaluation as data: what was judged, on what, and how it did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from modelyard.training.comparison import Comparison
from modelyard.training.metrics import MetricFacts, facts_of, main_metric
from modelyard.training.outcomes import Outcomes
from modelyard.training.slices import SliceTable

if TYPE_CHECKING:
    from modelyard.data.sources import DatasetSource

__all__ = ["Evaluation", "Judged"]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One model and how it did.

    Parameters
    ----------
    title
        How people call it, such as ``flights-delay version 3``.
    uri
        The exact reference.
    outcomes
        The rows.
    metrics
        The metrics of the task and the project's own.
    facts
        What else is known about it, by name: digest, training run, …
    """

    title: str
    uri: str
    outcomes: Outcomes
    metrics: Mapping[str, float]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A candidate, and the baseline if there is one, judged on the same rows.

    Parameters
    ----------
    project
        The project's name.
    label
        The column that holds the truth.
    candidate, baseline
        Who is judged.
    baseline_role
        How the baseline is called: ``champion``, or its reference.
    no_baseline
        Why there is none.
    comparison
        How the two differ in the main metric.
    slices
        The metrics per value of some columns.
    own_facts
        Title and direction of the project's own metrics.
    source
        The dataset.
    notes
        What the dataset says about itself.
    unlabelled
        Rows that were left out because they have no label.
    threshold
        The probability from which a row counts as positive.
    lineage
        Where the evaluation comes from: commit, key, workflow run, …
    made_at
        When it was made.
    """

    project: str
    label: str
    candidate: Judged
    source: "DatasetSource"
    made_at: datetime
    baseline: Judged | None = None
    baseline_role: str = "champion"
    no_baseline: str = ""
    comparison: Comparison | None = None
    slices: tuple[SliceTable, ...] = ()
    own_facts: Mapping[str, MetricFacts] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    unlabelled: int = 0
    threshold: float = 0.5
    lineage: Mapping[str, str] = field(default_factory=dict)

    @property
    def main_metric(self) -> str:
        """The metric that heads the report."""
        return self.comparison.metric if self.comparison else main_metric(self.candidate.outcomes)

    def facts_of(self, metric: str) -> MetricFacts:
        """Title, direction and meaning of a metric."""
        return self.own_facts.get(metric) or facts_of(metric)
