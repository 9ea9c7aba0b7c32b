"""What the jobs of a CI host do of a workflow: each takes what the jobs before have left, and leaves its own."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from modelyard.errors import ErrorRecord, ModelyardError
from modelyard.operations import NoProgress, Progress
from modelyard.workflows.definition import Loop, Workflow
from modelyard.workflows.engines.jobs.folder import RunFolder
from modelyard.workflows.engines.jobs.plan import Job, JobPlan
from modelyard.workflows.engines.local import LocalEngine
from modelyard.workflows.engines.progression import Progression, Ready
from modelyard.workflows.engines.step_ends import StepEnd, ended, follow, give_up
from modelyard.workflows.errors import StepFailed, WorkflowInvalid
from modelyard.workflows.outcome import WorkflowOutcome, instance_name

__all__ = ["JobRun", "PartState", "definition_digest"]

PartState = Literal["succeeded", "skipped"]
"""How the part of a job ended that did not fail."""

_LOST = "its job has left no result: it was cancelled, ran out of time, or lost its machine"


def definition_digest(workflow: Workflow) -> str:
    """Return what tells one definition from another: files that were made of a workflow name it.

    Examples
    --------
    >>> from modelyard.workflows.definition import Step
    >>> one, two = Workflow("main", (Step("a", "call"),)), Workflow("main", (Step("b", "call"),))
    >>> definition_digest(one) == definition_digest(two), len(definition_digest(one))
    (False, 16)
    """
    return hashlib.sha256(workflow.encoded()).hexdigest()[:16]


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """One run of a workflow, as one of its jobs sees it.

    Parameters
    ----------
    workflow, inputs
        What runs, and all of its inputs.
    folder
        What came from other jobs, and where this one leaves its own.
    workflow_run
        Names the run, the same in all of its jobs.
    project, project_name, environment
        Where the steps work.
    files
        Paths in the project whose files later jobs need.
    redact
        Strikes secrets out of JSON: what is left here is kept where others may read it.
    log, progress
        Where to tell how it goes.
    """

    workflow: Workflow
    inputs: Mapping[str, Any]
    folder: RunFolder
    workflow_run: str
    project: str
    project_name: str
    environment: str = ""
    files: Sequence[str] = ()
    redact: Callable[[Any], Any] = _as_it_is
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("modelyard.workflows"))
    progress: Progress = field(default_factory=NoProgress)

    def do(self, part: str) -> PartState:
        """Do one part of the workflow: a step, or a loop.

        Parameters
        ----------
        part
            A step with the positions of its items, such as ``score[0]``, or a loop that is one job.

        Returns
        -------
        str
            ``skipped`` where the branch that it stands in is not taken.

        Raises
        ------
        StepNotFound
            The workflow has no such part.
        StepFailed
            It failed.
        WorkflowInvalid
            What it needs is not there, or its result holds a secret.
        """
        plan = JobPlan(self.workflow)
        job = plan.job(part)
        known = [each.name for each in plan.before(job)]
        self.folder.clear(job.name)
        self.folder.restore(known)
        before = self.folder.seen(self.files)
        progression = Progression(self.workflow, self.inputs)
        waiting = follow(progression, lambda name: self.folder.end(known, name))
        progression.ready += waiting.values()
        left: dict[str, dict[str, Any]] = {}
        engine = self._engine
        engine.advance(progression, only=job.does, ended=lambda name, end: self._keep(job, name, end, left))
        state = self._state(progression, job)
        self.folder.hand_on(job.name, self.files, before)
        engine.acknowledge(WorkflowOutcome({}, left))
        return state

    def finish(self) -> WorkflowOutcome:
        """Do what comes last: sum up the run, run its exit handler, and leave the outcome.

        Raises
        ------
        StepFailed
            A step, or the exit handler, failed; it is the first in the order of the workflow.
        """
        plan = JobPlan(self.workflow)
        known = [each.name for each in plan.jobs]
        self.folder.clear(plan.finish)
        self.folder.restore(known)
        progression = Progression(self.workflow, self.inputs)

        def end_of(name: str) -> StepEnd | None:
            return self.folder.end(known, name)

        give_up(progression, follow(progression, end_of), end_of, _LOST)
        left: dict[str, dict[str, Any]] = {}

        def do(ready: Ready) -> dict[str, Any]:
            left[ready.name] = self._engine.work(ready, alone=True).run()
            return left[ready.name]

        outcome, error = ended(self.workflow, self.inputs, progression, self.workflow_run, do)
        outcome = self._redacted(outcome)
        self.folder.write_outcome(plan.finish, outcome)
        self._engine.acknowledge(WorkflowOutcome({}, left))
        exit_error = {self.workflow.on_exit.name: error} if self.workflow.on_exit and error else {}
        for name, failed in {**progression.errors, **exit_error}.items():
            raise StepFailed(self.workflow.name, self.workflow_run, name, failed, outcome) from failed
        return outcome

    @property
    def _engine(self) -> LocalEngine:
        return LocalEngine(
            project=self.project,
            project_name=self.project_name,
            environment=self.environment,
            workflow_run=self.workflow_run,
            log=self.log,
            progress=self.progress,
        )

    def _keep(self, job: Job, name: str, end: dict[str, Any] | ModelyardError, left: dict[str, dict[str, Any]]) -> None:
        if isinstance(end, ModelyardError):
            self.folder.write_end(job.name, name, StepEnd(error=self._error(end)))
            return
        left[name] = end
        plain = msgspec.json.decode(msgspec.json.encode(end))
        if self.redact(plain) == plain:
            self.folder.write_end(job.name, name, StepEnd(end))
            return
        told = WorkflowInvalid(
            "its result holds a secret, and would be kept where others may read it",
            where=f"step {name}",
            mend="Return what it is for, or where it lies, instead.",
        )
        self.folder.write_end(job.name, name, StepEnd(error=told.record()))
        # Nothing will take it: another attempt is to do the step anew.
        self._engine.acknowledge(WorkflowOutcome({}, left))
        raise told

    def _error(self, error: ModelyardError) -> ErrorRecord:
        return msgspec.convert(self.redact(msgspec.to_builtins(error.record())), ErrorRecord)

    def _redacted(self, outcome: WorkflowOutcome) -> WorkflowOutcome:
        return msgspec.convert(self.redact(msgspec.to_builtins(outcome)), WorkflowOutcome)

    def _state(self, progression: Progression, job: Job) -> PartState:
        """Return how the part of a job ended, or raise why it did not end well."""
        for name, error in progression.errors.items():
            if _is_about(name, job, self.workflow):
                raise StepFailed(self.workflow.name, self.workflow_run, name, error, progression.outcome()) from error
        # A step of a loop that never began is known by its name alone, or by the turns around that loop.
        names = [instance_name(job.steps[0].name, job.position[:depth]) for depth in range(len(job.position) + 1)]
        state = next((progression.states[name] for name in reversed(names) if name in progression.states), None)
        if state in ("succeeded", "skipped"):
            return "skipped" if state == "skipped" else "succeeded"
        if isinstance(job.node, Loop) and progression.items(job.node.name, job.position) is not None:
            return "succeeded"
        if state == "blocked":
            mend = "Look at the job that failed."
            raise WorkflowInvalid(f"{job.part} cannot start: something that it needs failed", mend=mend)
        raise WorkflowInvalid(
            f"{job.part} cannot start: the results that it needs are not there",
            where=str(self.folder.path),
            mend="Put what the jobs before have left into this folder.",
        )


def _is_about(name: str, job: Job, workflow: Workflow) -> bool:
    """Whether an error is of a job's own steps or loops, or of a choice that they stand in."""
    plain, *position = name.replace("]", "").split("[")
    inside = {each.name for each, _ in Workflow("", (job.node,)).walk()}
    around = {place.block.name for node, places in workflow.walk() if node.name == job.node.name for place in places}
    shared = tuple(map(int, position))[: len(job.position)]
    return plain in inside | around and shared == job.position[: len(shared)]
