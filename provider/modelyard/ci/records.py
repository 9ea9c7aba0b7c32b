"""What the commands of one CI job leave for each other, as frozen records."""

from typing import Literal

import msgspec

__all__ = [
    "Affected",
    "Baseline",
    "Candidate",
    "DataUse",
    "FailureRecord",
    "GateRecord",
    "MetricRecord",
    "PlanRecord",
    "RunRecord",
    "SliceRecord",
    "WorkflowRecord",
]

Baseline = Literal["champion", "merge-base", "none"]
"""What a candidate is compared with."""


class Affected(msgspec.Struct, frozen=True):
    """Something of the project that a change touches.

    Parameters
    ----------
    name
        Its name in modelyard.yaml.
    reasons
        Why: files that it depends on and that changed, or what else is not known to be the same.
    """

    name: str
    reasons: tuple[str, ...]


class PlanRecord(msgspec.Struct, frozen=True):
    """What a change touches: ``plan.json``.

    Parameters
    ----------
    project
        The project's name.
    base, head
        The commits that are compared; the base is where the two branches part.
    changed
        The files that differ, relative to the repository.
    functions, graphs, workflows
        What the change touches.
    everything
        Why all of the project counts as touched; empty if it does not.
    """

    project: str
    base: str
    head: str
    changed: tuple[str, ...] = ()
    functions: tuple[Affected, ...] = ()
    graphs: tuple[Affected, ...] = ()
    workflows: tuple[Affected, ...] = ()
    everything: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing needs to run."""
        return not (self.functions or self.graphs or self.workflows)

    @property
    def summary(self) -> str:
        """What is touched, in a sentence.

        Examples
        --------
        >>> PlanRecord("flights", "", "", changed=("README.md",)).summary
        '1 changed file touches no function, graph or workflow'
        """
        files = f"{len(self.changed)} changed file{'' if len(self.changed) == 1 else 's'}"
        verb = "touches" if len(self.changed) == 1 else "touch"
        kinds = (("function", self.functions), ("graph", self.graphs), ("workflow", self.workflows))
        parts = [f"{len(found)} {kind}{'' if len(found) == 1 else 's'}" for kind, found in kinds if found]
        return f"{files} {verb} {', '.join(parts) if parts else 'no function, graph or workflow'}"


class MetricRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One metric of a candidate beside its baseline.

    Parameters
    ----------
    name, title
        As in the evaluation, and for people.
    candidate, baseline
        Its values; None where it is not defined.
    greater_is_better
        The good direction; None if it has none.
    """

    name: str
    title: str
    candidate: float | None = None
    baseline: float | None = None
    greater_is_better: bool | None = None

    @property
    def difference(self) -> float | None:
        """Candidate minus baseline."""
        return None if self.candidate is None or self.baseline is None else self.candidate - self.baseline

    @property
    def direction(self) -> Literal["better", "worse", "same", ""]:
        """Whether the candidate is better; empty where nobody can say."""
        change = self.difference
        if change is None or self.greater_is_better is None:
            return ""
        if round(change, 6) == 0:
            return "same"
        return "better" if (change > 0) == self.greater_is_better else "worse"


class GateRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One gate, and what came of it.

    Parameters
    ----------
    gate
        The gate as written.
    held
        Whether it lets the change pass.
    said
        The comparison with the values put in; or why there was none.
    judged
        Whether anything was compared. A gate that names the champion is skipped where there is nothing to compare
        with, and then lets the change pass; where a comparison was asked for and could not be had, it does not.

    Examples
    --------
    >>> GateRecord("roc_auc >= champion", True, "there is no champion yet", judged=False).state
    'skipped'
    """

    gate: str
    held: bool
    said: str
    judged: bool = True

    @property
    def state(self) -> Literal["held", "failed", "skipped", "could not be judged"]:
        """What came of it, in a word."""
        if self.judged:
            return "held" if self.held else "failed"
        return "skipped" if self.held else "could not be judged"


class SliceRecord(msgspec.Struct, frozen=True):
    """The main metric on the rows that have one value of a column."""

    column: str
    value: str
    rows: int
    metric: str
    candidate: float | None = None
    baseline: float | None = None
    greater_is_better: bool | None = None

    @property
    def loss(self) -> float:
        """By how much the candidate is worse here; 0 where it is not."""
        if self.candidate is None or self.baseline is None or self.greater_is_better is None:
            return 0.0
        gain = self.candidate - self.baseline
        return max(0.0, -gain if self.greater_is_better else gain)


class DataUse(msgspec.Struct, frozen=True):
    """A dataset that a candidate and its baseline were made with.

    Parameters
    ----------
    role
        ``training`` or ``validation``.
    name
        The dataset's name.
    digest, baseline_digest
        What exactly it was; empty where it is not known.
    rows, baseline_rows
        How many rows; 0 where it is not known.
    """

    role: str
    name: str
    digest: str = ""
    baseline_digest: str = ""
    rows: int = 0
    baseline_rows: int = 0


class Candidate(msgspec.Struct, frozen=True):
    """A model that a request would bring, and how it did.

    Parameters
    ----------
    workflow, step
        The workflow, and its step that judged.
    model
        The exact version, such as ``models:/flights-delay/4``.
    digest
        The SHA-256 over its files.
    evaluation, evaluation_url
        The run that judged it, and its page on the tracking server; empty where there is none.
    baseline
        The exact version that it was compared with; empty if with none.
    baseline_kind
        What that is.
    baseline_note
        What is to be said about it, such as why it is not the champion.
    metrics, gates, slices, data
        How it did, and on what.
    main_metric
        The metric that matters most.
    rows
        How many rows it was judged on.
    report
        The page about it: a path.
    verdict
        ``better``, ``worse`` or ``even``, by a bootstrap of the main metric; empty where that is not known.
    """

    workflow: str
    step: str
    model: str
    digest: str = ""
    evaluation: str = ""
    baseline: str = ""
    baseline_kind: Baseline = "none"
    baseline_note: str = ""
    metrics: tuple[MetricRecord, ...] = ()
    gates: tuple[GateRecord, ...] = ()
    slices: tuple[SliceRecord, ...] = ()
    data: tuple[DataUse, ...] = ()
    main_metric: str = ""
    rows: int = 0
    report: str = ""
    verdict: str = ""
    evaluation_url: str = ""

    @property
    def failed_gates(self) -> tuple[GateRecord, ...]:
        """The gates that do not hold."""
        return tuple(each for each in self.gates if not each.held)


class FailureRecord(msgspec.Struct, frozen=True):
    """What went wrong in a step.

    Parameters
    ----------
    step, kind, message
        Where, what sort, and in words.
    path, line
        The line of the project that raised, relative to the repository; empty and 0 where it is not known.
    """

    step: str
    kind: str
    message: str
    path: str = ""
    line: int = 0


class WorkflowRecord(msgspec.Struct, frozen=True):
    """What became of one workflow.

    Parameters
    ----------
    name
        Its name in modelyard.yaml.
    states
        The state of each step that ran.
    left_out
        The steps that a request does not run.
    mermaid
        The whole workflow, drawn.
    candidates
        The models that it gave.
    failures
        What went wrong.
    seconds
        How long it took.
    skipped
        Why none of it ran; empty if it did.
    """

    name: str
    states: dict[str, str] = {}
    left_out: tuple[str, ...] = ()
    mermaid: str = ""
    candidates: tuple[Candidate, ...] = ()
    failures: tuple[FailureRecord, ...] = ()
    seconds: float = 0.0
    skipped: str = ""


class RunRecord(msgspec.Struct, frozen=True):
    """What ran for a change: ``run.json``.

    Parameters
    ----------
    project, environment
        Where.
    commit, dirty
        What exactly.
    asked
        The baseline that was asked for.
    workflows
        What became of each workflow.
    graphs
        The graphs that are touched or serve a candidate, drawn, by name.
    failures
        What went wrong outside of workflows.
    """

    project: str
    environment: str = ""
    commit: str = ""
    dirty: bool = False
    asked: Baseline = "champion"
    workflows: tuple[WorkflowRecord, ...] = ()
    graphs: dict[str, str] = {}
    failures: tuple[FailureRecord, ...] = ()

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The models of all workflows."""
        return tuple(candidate for each in self.workflows for candidate in each.candidates)

    @property
    def all_failures(self) -> tuple[FailureRecord, ...]:
        """Everything that went wrong."""
        return (*self.failures, *(failure for each in self.workflows for failure in each.failures))
