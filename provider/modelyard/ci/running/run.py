"""Runs what a change needs: each touched workflow cut down, its models measured, everything recorded."""

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.ci.job import CiJob
from modelyard.ci.places import place_of
from modelyard.ci.records import Baseline, Candidate, FailureRecord, PlanRecord, RunRecord, WorkflowRecord
from modelyard.ci.running.baselines import Baselines, Comparison
from modelyard.ci.running.candidates import candidate_of, trained_candidate
from modelyard.ci.running.filling import filled, gates_of
from modelyard.ci.running.slimming import Judged, SlimWorkflow, slim, with_baseline
from modelyard.ci.served import graphs_serving
from modelyard.ci.traces import trace_of
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations import NoProgress, Progress
from modelyard.tracking import open_tracking
from modelyard.workflows import NotAWorkflow, StepFailed, Workflow, WorkflowOutcome, as_mermaid
from modelyard.workflows.engines.local import LocalEngine

if TYPE_CHECKING:
    from modelyard.tracking import Tracking

__all__ = ["RunRequest", "Running"]


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What is asked of a run.

    Parameters
    ----------
    workflows
        The workflows to run; those that the plan names if there is none.
    inputs
        What the workflows get; one that a workflow does not know is not given to it.
    baseline
        What candidates are compared with.
    gates
        More gates than the workflows have.
    environment
        The environment's name.
    """

    workflows: Sequence[str] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    baseline: Baseline = "champion"
    gates: Sequence[str] = ()
    environment: str = ""


class Running:
    """One run for one change.

    Parameters
    ----------
    job
        The CI job.
    plan
        What the change touches.
    request
        What is asked.
    log, progress
        Where to tell how it goes.
    """

    def __init__(
        self,
        job: CiJob,
        plan: PlanRecord,
        request: RunRequest,
        log: logging.Logger | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._job = job
        self._project = job.project
        self._plan = plan
        self._request = request
        self._log = log or logging.getLogger("modelyard.ci")
        self._progress = progress or NoProgress()
        self._baselines = Baselines(job.project, request.environment, plan, request.baseline, self._log)

    def names(self) -> list[str]:
        """Return the workflows that shall run, each once."""
        return list(dict.fromkeys(self._request.workflows or [each.name for each in self._plan.workflows]))

    def slimmed(self, name: str) -> SlimWorkflow:
        """Return what runs of one workflow.

        Raises
        ------
        WorkflowNotFound, NotAWorkflow
            There is no such workflow.
        """
        return slim(self._load(name))

    def _unknown_inputs(self) -> tuple[FailureRecord, ...]:
        """Return the inputs that no workflow of the project has; none where a workflow cannot be loaded."""
        missing = set(self._request.inputs)
        try:
            for name in dict.fromkeys([*self.names(), *self._project.definition.workflows]):
                if not missing or not self.names():
                    return ()
                missing -= {each.name for each in self._load(name).inputs}
        except ModelyardError:
            return ()  # the run tells what is wrong with it
        told = "no workflow of the project has an input of this name"
        return tuple(FailureRecord(f"--input {name}", ErrorKind.INVALID.value, told) for name in sorted(missing))

    def run(self) -> RunRecord:
        """Run everything, whatever fails, and return the record of it."""
        workflows, failures = [], self._unknown_inputs()
        for name in () if failures else self.names():
            self._log.info("workflow %s", name)
            workflows.append(self._workflow(name))
        stamp = self._project.stamp
        return RunRecord(
            project=self._project.name,
            environment=self._project.environment(self._request.environment).name,
            commit=stamp.commit,
            dirty=stamp.dirty,
            asked=self._request.baseline,
            workflows=tuple(workflows),
            graphs=self._graphs([candidate for each in workflows for candidate in each.candidates]),
            failures=failures,
        )

    # --- one workflow -------------------------------------------------------------------------------------------------

    def _workflow(self, name: str) -> WorkflowRecord:
        started = time.monotonic()
        try:
            workflow = self._load(name)
            slimmed = slim(workflow)
            drawn = as_mermaid(workflow)
        except ModelyardError as error:
            return WorkflowRecord(name, failures=(self._failure(name, error),))
        if slimmed.is_empty:
            return WorkflowRecord(name, left_out=slimmed.left_out, mermaid=drawn, skipped="It trains no model.")
        try:
            inputs = workflow.bind(self._inputs(workflow))
            outcome, failures, candidates = self._measured(name, slimmed, inputs)
        except ModelyardError as error:
            outcome, failures, candidates = WorkflowOutcome({}, {}), (self._failure(name, error),), ()
        return WorkflowRecord(
            name=name,
            states=dict(outcome.states),
            left_out=slimmed.left_out,
            mermaid=drawn,
            candidates=candidates,
            failures=failures,
            seconds=round(time.monotonic() - started, 1),
        )

    def _measured(
        self, name: str, slimmed: SlimWorkflow, inputs: dict[str, Any]
    ) -> tuple[WorkflowOutcome, tuple[FailureRecord, ...], tuple[Candidate, ...]]:
        self._check_gates(slimmed.judged, inputs)
        comparison = self._baselines.of(name, slimmed, inputs, self._request.inputs)
        chosen = with_baseline(slimmed.workflow, comparison.by_step)
        engine = LocalEngine(
            project=self._project.reference,
            project_name=self._project.name,
            environment=self._request.environment,
            workflow_run=f"ci-{self._project.stamp.commit[:12] or 'local'}-{name}",
            log=self._log,
            progress=self._progress,
        )
        failures: tuple[FailureRecord, ...] = ()
        try:
            outcome = engine.run(chosen, inputs)
        except StepFailed as error:
            outcome, failures = error.left, self._failures(error)
            for line in trace_of(error, self._job.redaction):
                self._log.error("%s", line)
        candidates = self._candidates(name, slimmed.judged, outcome, inputs, comparison)
        engine.acknowledge(outcome)
        return outcome, failures, candidates

    def _check_gates(self, judged: Sequence[Judged], inputs: Mapping[str, Any]) -> None:
        """Refuse a gate that is not written by the grammar before anything is trained."""
        from modelyard.training.gates import parse_gates

        parse_gates([*self._request.gates, *(gate for each in judged for gate in gates_of(each, inputs))])

    def _candidates(
        self,
        name: str,
        judged: Sequence[Judged],
        outcome: WorkflowOutcome,
        inputs: Mapping[str, Any],
        comparison: Comparison,
    ) -> tuple[Candidate, ...]:
        if not judged:
            return self._trained(name, outcome)
        found = []
        for each in judged:
            for step, result in outcome.results.items():
                if step.partition("[")[0] != each.step.name:
                    continue
                gates = [*self._request.gates, *gates_of(each, inputs)]
                own = filled(each.step.parameters.get("metrics") or [], inputs)
                made = candidate_of(
                    self._project,
                    self._tracking(),
                    workflow=name,
                    step=step,
                    result=result,
                    gates=gates,
                    own_metrics=own if isinstance(own, list) else [],
                    kind=comparison.kind,
                    note=comparison.note,
                    required=comparison.required,
                )
                found.append(self._with_page(made))
        return tuple(found)

    def _trained(self, name: str, outcome: WorkflowOutcome) -> tuple[Candidate, ...]:
        """Return the candidates of a workflow that measures only while it trains."""
        registered = [each for each in outcome.results.values() if {"model", "version", "digest"} <= set(each)]
        found = [
            trained_candidate(name, step, result, registered, self._request.gates)
            for step, result in outcome.results.items()
            if {"model", "metrics", "held_out_rows"} <= set(result)
        ]
        return tuple(found)

    def _with_page(self, candidate: Candidate) -> Candidate:
        """Copy the page about a candidate to the job's files, which are kept."""
        import msgspec

        page = Path(candidate.report)
        if not candidate.report or not page.is_file():
            return candidate
        place = self._job.folder.path / "reports" / page.name
        place.parent.mkdir(parents=True, exist_ok=True)
        if page.resolve() != place.resolve():
            shutil.copyfile(page, place)
        return msgspec.structs.replace(candidate, report=f"reports/{page.name}")

    # --- the rest -----------------------------------------------------------------------------------------------------

    def _load(self, name: str) -> Workflow:
        found = self._project.load_workflow(name)
        if not isinstance(found, Workflow):
            raise NotAWorkflow(name, type(found).__name__)
        return found

    def _inputs(self, workflow: Workflow) -> dict[str, Any]:
        known = {each.name for each in workflow.inputs}
        return {name: value for name, value in self._request.inputs.items() if name in known}

    def _tracking(self) -> "Tracking":
        return open_tracking(self._project.environment(self._request.environment), self._project.name)

    def _graphs(self, candidates: Sequence[Candidate]) -> dict[str, str]:
        """Return the graphs that the change touches or that serve a candidate, drawn."""
        drawn = {}
        touched = [each.name for each in self._plan.graphs]
        for name in dict.fromkeys([*touched, *graphs_serving(self._project, candidates)]):
            try:
                drawn[name] = str(self._project.load_graph(name).show())
            except (ModelyardError, AttributeError):
                continue  # the preview says what is wrong with it
        return drawn

    def _failure(self, step: str, error: ModelyardError) -> FailureRecord:
        path, line = place_of(self._project, f"{error.where} {error.what}")
        return FailureRecord(step, error.error_kind.value, str(error), path, line)

    def _failures(self, error: StepFailed) -> tuple[FailureRecord, ...]:
        found = []
        for each in error.left.failures:
            path, line = place_of(self._project, each.message)
            found.append(FailureRecord(each.step, each.kind.value, each.message, path, line))
        return tuple(found)
