"""What the commands before a report leave, for tests that need no training."""

from modelyard.ci.folder import CiFolder
from modelyard.ci.previews import PreviewRecord, ShadowRecord
from modelyard.ci.records import (
    Affected,
    Candidate,
    DataUse,
    FailureRecord,
    GateRecord,
    MetricRecord,
    PlanRecord,
    RunRecord,
    SliceRecord,
    WorkflowRecord,
)

PLAN = PlanRecord(
    "flights",
    "b" * 40,
    "a" * 40,
    ("flights/training.py", "README.md"),
    functions=(Affected("delay-trainer", ("flights/training.py",)),),
    workflows=(Affected("main", ("function delay-trainer",)),),
)
METRICS = (
    MetricRecord("roc_auc", "ROC AUC", 0.7245, 0.7445, True),
    MetricRecord("log_loss", "Log loss", 0.41, 0.43, False),
    MetricRecord("caught-in-top-tenth", "Caught", 0.31, 0.31, True),
)
HELD = GateRecord("roc_auc >= 0.7", True, "0.7245 >= 0.7: held")
FAILED = GateRecord("roc_auc >= champion - 0.005", False, "0.7245 >= 0.7395 (champion 0.7445 - 0.005): failed")
SLICES = (
    SliceRecord("carrier", "EV", 900, "roc_auc", 0.70, 0.75, True),
    SliceRecord("carrier", "UA", 800, "roc_auc", 0.73, 0.74, True),
    SliceRecord("carrier", "B6", 700, "roc_auc", 0.75, 0.74, True),
)
DATA = (DataUse("training", "train", "c" * 64, "d" * 64, 1000, 900), DataUse("validation", "july", "e" * 64, "e" * 64))


def candidate(*gates: GateRecord, **more: object) -> Candidate:
    """Return a candidate that lost 0.02 of its area under the curve."""
    usual = {"baseline": "models:/flights-delay/3", "baseline_kind": "champion", "verdict": "worse", "data": DATA}
    known = {**usual, **more}
    return Candidate(
        workflow="main",
        step="evaluate",
        model="models:/flights-delay/4",
        digest="f" * 64,
        metrics=METRICS,
        gates=gates,
        slices=SLICES,
        main_metric="roc_auc",
        rows=5_000,
        **known,  # type: ignore[arg-type]
    )


def run_of(*candidates: Candidate, failures: tuple[FailureRecord, ...] = (), commit: str = "a" * 40) -> RunRecord:
    """Return a run of the workflow main."""
    flow = WorkflowRecord(
        "main",
        {"prepare": "succeeded", "train": "succeeded"},
        ("promote", "deploy"),
        'flowchart TD\n    step_0["train"]',
        candidates,
        failures,
    )
    return RunRecord("flights", "dev", commit, workflows=(flow,), graphs={"delays": "flowchart LR\n    a --> b"})


PREVIEW = PreviewRecord(
    "delays",
    "delays-pr-7",
    models={"model": "models:/flights-delay/4"},
    revision="0123456789abcdef",
    smoke_requests=20,
    latency_ms={"p50": 1.2345, "p95": 3.5},
    shadow=ShadowRecord(20, 18, 0, 0, 0.0312),
)


def leave(folder: CiFolder, run: RunRecord | None, plan: PlanRecord | None = PLAN) -> None:
    """Write what the commands before a report leave."""
    if plan:
        folder.write("plan.json", plan)
    if run:
        folder.write("run.json", run)
