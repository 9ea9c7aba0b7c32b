"""Reads what an evaluation found, for a record that outlives the job."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from modelyard.ci.records import Baseline, Candidate, DataUse, GateRecord, MetricRecord, SliceRecord
from modelyard.errors import ModelyardError
from modelyard.projects import Project
from modelyard.projects.credentials import without_credentials

if TYPE_CHECKING:
    from modelyard.tracking import Tracking
    from modelyard.training.gates import Gate
    from modelyard.training.metrics import MetricFacts

__all__ = ["candidate_of", "trained_candidate"]


def candidate_of(
    project: Project,
    tracking: "Tracking",
    *,
    workflow: str,
    step: str,
    result: Mapping[str, Any],
    gates: Iterable[str],
    own_metrics: Iterable[str],
    kind: Baseline,
    note: str,
    required: bool,
) -> Candidate:
    """Return the record of one evaluated model.

    Parameters
    ----------
    project, tracking
        Where it was evaluated.
    workflow, step
        Which step of which workflow did.
    result
        What the step returned.
    gates
        What is asked of the model.
    own_metrics
        The project's metric functions that were used.
    kind, note
        What it was compared with, and what is to be said of that.
    required
        Whether a comparison was asked for: gates that need one do not hold where there is none.

    Raises
    ------
    GateInvalid
        A gate is not written by the grammar.
    """
    from modelyard.training.gates import parse_gates

    found = _details(tracking, str(result["evaluation"]))
    comparison = found.get("comparison") or {}
    facts = _Facts(project, own_metrics)
    metrics = tuple(_metrics(result, facts))
    main = str(comparison.get("metric") or (metrics[0].name if metrics else ""))
    model, baseline = str(result["model"]), str(result.get("baseline") or "")
    return Candidate(
        workflow=workflow,
        step=step,
        model=model,
        digest=_digest(tracking, model),
        evaluation=str(result["evaluation"]),
        baseline=baseline,
        baseline_kind=kind if baseline else "none",
        baseline_note=note,
        metrics=metrics,
        gates=tuple(_judged(parse_gates(gates), result, note, required=required)),
        slices=tuple(_slices(found.get("slices") or {}, main, facts)),
        data=_data(tracking, model, baseline),
        main_metric=main,
        rows=int(result.get("rows") or 0),
        report=str(result.get("report") or ""),
        verdict=str(comparison.get("verdict") or ""),
        evaluation_url=_page(tracking, str(result["evaluation"])),
    )


def trained_candidate(
    workflow: str, step: str, result: Mapping[str, Any], registered: Iterable[Mapping[str, Any]], gates: Iterable[str]
) -> Candidate:
    """Return the record of a model that nothing has measured but its own training, on the rows that it held out.

    Parameters
    ----------
    workflow, step
        Which step of which workflow made it.
    result
        What the step returned.
    registered
        What steps that registered models returned: the name of this one may be among them.
    gates
        What is asked of the model.

    Raises
    ------
    GateInvalid
        A gate is not written by the grammar.
    """
    from modelyard.training.gates import parse_gates
    from modelyard.training.metrics import facts_of

    note = "Measured only on the rows that its training held out."
    metrics = tuple(
        MetricRecord(name, facts_of(name).title, value, None, facts_of(name).greater_is_better)
        for name, value in result["metrics"].items()
    )
    named = next((each for each in registered if each.get("digest") == result["digest"]), None)
    return Candidate(
        workflow=workflow,
        step=step,
        model=str(named["model"] if named else result["model"]),
        digest=str(result["digest"]),
        baseline_note=note,
        metrics=metrics,
        gates=tuple(_judged(parse_gates(gates), result, note)),
        main_metric=metrics[0].name if metrics else "",
        rows=int(result["held_out_rows"]),
    )


class _Facts:
    """Title and good direction of metrics, the project's own among them."""

    def __init__(self, project: Project, own: Iterable[str]) -> None:
        from modelyard.training.own_metrics import OwnMetric

        self._own = []
        for name in own:
            try:
                self._own.append(OwnMetric(name, project.load_function(name), project.source))
            except ModelyardError:
                continue  # it was there when the step ran; only its direction is missed

    def of(self, name: str) -> "MetricFacts":
        from modelyard.training.metrics import METRICS, facts_of

        if name in METRICS:
            return facts_of(name)
        for each in self._own:
            if each.short == name:
                return each.facts_of(name)
        return facts_of(name)


def _metrics(result: Mapping[str, Any], facts: _Facts) -> Iterable[MetricRecord]:
    mine, theirs = result["metrics"], result.get("baseline_metrics") or {}
    for name in dict.fromkeys([*mine, *theirs]):
        known = facts.of(name)
        yield MetricRecord(name, known.title, mine.get(name), theirs.get(name), known.greater_is_better)


def _judged(
    gates: "Iterable[Gate]", result: Mapping[str, Any], note: str, *, required: bool = False
) -> Iterable[GateRecord]:
    from modelyard.training.gates import judge

    baseline = (result.get("baseline_metrics") or {}) if result.get("baseline") else None
    for gate in gates:
        outcome = judge(gate, result["metrics"], baseline)
        if gate.champion and baseline is None and outcome.held:
            told = f"{result['metrics'][gate.metric]:.6g}. {note or 'There is nothing to compare with.'}"
            yield GateRecord(gate.text, not required, told, judged=False)
        else:
            yield GateRecord(gate.text, outcome.held, outcome.said)


def _slices(tables: Mapping[str, Any], metric: str, facts: _Facts) -> Iterable[SliceRecord]:
    greater = facts.of(metric).greater_is_better
    for column, rows in tables.items():
        for each in rows:
            one, other = each["metrics"].get(metric), each["baseline_metrics"].get(metric)
            yield SliceRecord(column, str(each["value"]), int(each["rows"]), metric, one, other, greater)


def _details(tracking: "Tracking", run_id: str) -> dict[str, Any]:
    """Return what the evaluation kept for programs; nothing if that cannot be had."""
    with TemporaryDirectory() as scratch:
        try:
            file = tracking.client.download_artifacts(run_id, "evaluation.json", scratch)
            found: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
        except Exception:  # noqa: BLE001 - whatever the store raises: the metrics are known without it
            return {}
        return found


def _page(tracking: "Tracking", run_id: str) -> str:
    """Return the page of a run on the tracking server; empty if it has none, or does not tell."""
    server = without_credentials(tracking.uri).rstrip("/")
    if not server.startswith(("http://", "https://")):
        return ""
    try:
        experiment = tracking.client.get_run(run_id).info.experiment_id
    except Exception:  # noqa: BLE001 - whatever the store raises: a link is missed, and nothing else
        return ""
    return f"{server}/#/experiments/{experiment}/runs/{run_id}"


def _digest(tracking: "Tracking", model: str) -> str:
    try:
        return tracking.resolve(model).digest
    except ModelyardError:
        return ""


def _data(tracking: "Tracking", model: str, baseline: str) -> tuple[DataUse, ...]:
    """Return the datasets that the candidate was made with, each beside the baseline's of the same role."""
    mine, theirs = _inputs(tracking, model), _inputs(tracking, baseline) if baseline else {}
    return tuple(
        DataUse(role, name, digest, theirs.get(role, ("", "", 0))[1], rows, theirs.get(role, ("", "", 0))[2])
        for role, (name, digest, rows) in mine.items()
    )


def _inputs(tracking: "Tracking", model: str) -> dict[str, tuple[str, str, int]]:
    try:
        run_id = tracking.resolve(model).run_id
        inputs: Any = tracking.client.get_run(run_id).inputs if run_id else None
    except Exception:  # noqa: BLE001 - a model that another store made; the report does without
        return {}
    found = {}
    for each in inputs.dataset_inputs if inputs else ():
        role = next((tag.value for tag in each.tags if tag.key == "mlflow.data.context"), "")
        rows = json.loads(each.dataset.profile or "{}").get("num_rows") or 0
        found[role] = (each.dataset.name, each.dataset.digest, int(rows))
    return found
