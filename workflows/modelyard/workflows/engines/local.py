"""Runs a workflow on this machine, one step after the other."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from modelyard.errors import ModelyardError
from modelyard.operations import NoProgress, Progress
from modelyard.operations.keys import RunKey
from modelyard.projects.dispatch import acknowledge, dispatch
from modelyard.workflows.definition import Step, Workflow
from modelyard.workflows.errors import StepFailed, WorkflowInvalid
from modelyard.workflows.outcome import WorkflowOutcome
from modelyard.workflows.references import InputReference, Reference, replace_references

__all__ = ["LocalEngine"]


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Runs the steps in order; a failed one stops the workflow.

    A step's key is made of the project, the workflow run and the step's name. So a run that was killed or failed, when
    started again with the same `workflow_run`, takes the results of the steps that had finished and goes on.

    Parameters
    ----------
    project, environment
        Where the steps work; see `modelyard.operations.OperationContext`.
    project_name
        The project's name, which is part of the steps' keys.
    workflow_run
        Names this run of the workflow.
    launcher
        Where each step runs: ``inline`` or ``process``.
    log, progress
        Where to tell how it goes.
    """

    project: str
    project_name: str
    workflow_run: str
    environment: str = ""
    launcher: str = "inline"
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("modelyard.workflows"))
    progress: Progress = field(default_factory=NoProgress)

    def run(self, workflow: Workflow, inputs: Mapping[str, Any]) -> WorkflowOutcome:
        """Run every step and return what they left.

        Parameters
        ----------
        workflow
            A workflow that was checked.
        inputs
            All of its inputs, as `Workflow.bind` returns them.

        Raises
        ------
        StepFailed
            A step failed; the error names it, and has the kind of the step's own error.
        """
        steps = workflow.ordered()
        states = dict.fromkeys((step.name for step in steps), "queued")
        results: dict[str, dict[str, Any]] = {}
        with self.progress.track(f"workflow {workflow.name}", len(steps), "steps") as track:
            for number, step in enumerate(steps, start=1):
                label = f"step {number}/{len(steps)} {step.name}"
                started = time.monotonic()
                self.log.info("%s: %s", label, step.operation)
                try:
                    results[step.name] = self._run_step(step, inputs, results)
                except ModelyardError as error:
                    states[step.name] = "cancelled" if error.error_kind == "cancelled" else "failed"
                    self.log.info("%s: %s after %.1f s", label, states[step.name], time.monotonic() - started)
                    raise StepFailed(workflow.name, self.workflow_run, step.name, error, states) from error
                states[step.name] = "succeeded"
                self.log.info("%s: succeeded in %.1f s", label, time.monotonic() - started)
                track.advance()
        return WorkflowOutcome(states, results)

    def acknowledge(self, workflow: Workflow) -> None:
        """Say that the workflow's result is kept elsewhere: its steps' keys are free to start anew."""
        for step in workflow.steps:
            acknowledge(self._key(step), project=self.project, environment=self.environment)

    def _run_step(self, step: Step, inputs: Mapping[str, Any], results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        completed = dispatch(
            step.operation,
            replace_references(step.parameters, lambda reference: _filled(reference, inputs, results)),
            project=self.project,
            environment=self.environment,
            key=self._key(step),
            workflow_run=self.workflow_run,
            step=step.name,
            launcher=self.launcher,
            progress=self.progress,
        )
        return completed.result

    def _key(self, step: Step) -> str:
        return RunKey(self.project_name, self.workflow_run, step.name).text


def _filled(
    reference: Reference | InputReference, inputs: Mapping[str, Any], results: Mapping[str, dict[str, Any]]
) -> Any:
    """Return the value that a reference stands for in this run."""
    value = (
        inputs[reference.name] if isinstance(reference, InputReference) else results[reference.step][reference.field]
    )
    for key in reference.path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError) as error:
            raise WorkflowInvalid(
                f"{reference} leads nowhere: there is no {key!r} in {_shortened(value)}",
                mend="Let the step return it, or refer to something that it returns.",
            ) from error
    return value


def _shortened(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else f"{text[:117]}…"
