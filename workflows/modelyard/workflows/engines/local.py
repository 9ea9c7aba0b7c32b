"""Runs a workflow on this machine: side by side where it allows, and on from where it was."""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.operations import NoProgress, Progress
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.keys import RunKey
from modelyard.projects import open_project
from modelyard.projects.dispatch import acknowledge
from modelyard.workflows.cache import CachedResult, ResultCache, may_be_cached
from modelyard.workflows.definition import Step, Workflow
from modelyard.workflows.engines.capacity import Capacity
from modelyard.workflows.engines.progression import Progression, Ready
from modelyard.workflows.engines.work import Work
from modelyard.workflows.errors import StepFailed
from modelyard.workflows.filling import Filling
from modelyard.workflows.outcome import Failure, WorkflowOutcome

__all__ = ["LocalEngine"]

Ended = Callable[[str, dict[str, Any] | ModelyardError], None]


def _any(ready: Ready) -> bool:
    del ready
    return True


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Runs steps as soon as all that they need is there; a failed one stops what needs it, and fails the workflow.

    A step that has company runs in a process of its own; one that is alone runs in this process, where the libraries
    are loaded already. A step's key is made of the project, the workflow run, the step's name and the positions of its
    items. So a run that was killed or failed, when started again with the same `workflow_run`, takes the results of the
    steps that had finished and goes on.

    Parameters
    ----------
    project, environment
        Where the steps work; see `modelyard.operations.OperationContext`.
    project_name
        The project's name, which is part of the steps' keys.
    workflow_run
        Names this run of the workflow.
    launcher
        Where steps that are alone run: ``inline`` or ``process``.
    workers
        How many steps may run at a time; 0 for as many as there are processors, two at least.
    capacity
        What the machine has; a step that asks for more processors or memory than are free waits for others to end. What
        it cannot give is said once, as a warning.
    log, progress
        Where to tell how it goes.
    """

    project: str
    project_name: str
    workflow_run: str
    environment: str = ""
    launcher: str = "inline"
    workers: int = 0
    capacity: Capacity = field(default_factory=Capacity.of_machine)
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
            A step failed; the error names the first in the order of the workflow, has the kind of its error, and tells
            the state of every step.
        """
        for matter in self.capacity.misfits(workflow.steps):
            self.log.warning("%s", matter)
        progression = Progression(workflow, inputs)
        with self.progress.track(f"workflow {workflow.name}", workflow.runs_of_steps, "steps") as track:
            self.advance(progression, ended=lambda *_: track.advance())
        outcome, errors = progression.outcome(), progression.errors
        if workflow.on_exit:
            filling = Filling(workflow, inputs, progression, exit_facts(self.workflow_run, outcome.failures))
            outcome, errors = self._exit(workflow.on_exit, filling, outcome, errors)
        for name, error in errors.items():
            raise StepFailed(workflow.name, self.workflow_run, name, error, outcome) from error
        return outcome

    def advance(self, progression: Progression, *, ended: Ended, only: Callable[[Ready], bool] = _any) -> None:
        """Run what can run, until nothing is left, or only what others do.

        Parameters
        ----------
        progression
            How far the run has come.
        ended
            Learns the name of each step that has ended, and its result or its error.
        only
            Tells which steps are to run here.
        """
        _Round(self, progression, ended, only).run()

    def _exit(
        self,
        step: Step,
        filling: Filling,
        outcome: WorkflowOutcome,
        errors: dict[str, ModelyardError],
    ) -> tuple[WorkflowOutcome, dict[str, ModelyardError]]:
        """Run the exit handler, once: what fails there fails the workflow."""
        states, results, failures = dict(outcome.states), dict(outcome.results), outcome.failures
        try:
            work = self.work(Ready(step, (), filling.value(step.parameters)), alone=True)
            results[step.name] = work.run()
            states[step.name] = "succeeded"
            if errors:
                # The run may go on later, and end another time.
                work.release()
        except ModelyardError as error:
            states[step.name] = "failed"
            errors = {**errors, step.name: error}
            failures = (*failures, Failure(step.name, error.error_kind, str(error)))
        return WorkflowOutcome(states, results, failures), errors

    def acknowledge(self, outcome: WorkflowOutcome) -> None:
        """Say that the workflow's result is kept elsewhere: its steps' keys are free to start anew."""
        for name in outcome.results:
            acknowledge(self._key(name), project=self.project, environment=self.environment)

    def work(self, ready: Ready, *, alone: bool) -> Work:
        """Return the work of a step that may start."""
        apart = not alone or ready.step.timeout is not None or self._is_elsewhere(ready)
        return Work(
            step=ready.step,
            name=ready.name,
            parameters=ready.parameters,
            key=self._key(ready.name),
            launcher=ready.step.launcher or ("process" if apart else self.launcher),
            project=self.project,
            environment=self.environment,
            workflow_run=self.workflow_run,
            log=self.log,
            progress=self.progress,
        )

    def _is_elsewhere(self, ready: Ready) -> bool:
        """Return whether the step's function has an interpreter of its own."""
        function = ready.parameters.get("function")
        if not isinstance(function, str):
            return False
        definition = open_project(self.project).definition.functions.get(function)
        return definition is not None and bool(definition.requirements or definition.python)

    def cache(self) -> ResultCache:
        """Return where results are kept by content."""
        project = open_project(self.project)
        environment = project.environment(self.environment)
        return ResultCache(environment.open_state(), project, environment.name)

    def _key(self, name: str) -> str:
        step, bracket, position = name.partition("[")
        return f"{RunKey(self.project_name, self.workflow_run, step).text}{bracket}{position}"


def exit_facts(workflow_run: str, failures: tuple[Failure, ...]) -> dict[str, str]:
    """Return what an exit handler learns."""
    error = "; ".join(f"{each.step}: {each.message}" for each in failures)
    return {"state": "failed" if failures else "succeeded", "error": error, "workflow_run": workflow_run}


class _Round:
    """One go at a workflow's steps: this thread decides, others wait for the steps that have company."""

    def __init__(
        self, engine: LocalEngine, progression: Progression, tell: Ended, only: Callable[[Ready], bool]
    ) -> None:
        self._engine = engine
        self._progression = progression
        self._tell = tell
        self._only = only
        self._workers = engine.workers or max(2, os.cpu_count() or 1)
        self._waiting: list[Ready] = []
        self._running: dict[str, Work] = {}
        self._ended: queue.SimpleQueue[tuple[str, dict[str, Any] | ModelyardError]] = queue.SimpleQueue()
        self._started: dict[str, float] = {}
        self._steps = {step.name: number for number, step in enumerate(progression.workflow.steps, start=1)}

    def run(self) -> None:
        """Run everything that can run."""
        try:
            while not self._progression.over:
                self._waiting += filter(self._only, self._progression.take())
                self._waiting = [each for each in self._waiting if not self._is_cached(each)]
                self._start()
                if self._running:
                    self._take(*self._ended.get())
                elif not self._progression.ready:
                    return
        except BaseException:
            self._stop()
            raise

    def _start(self) -> None:
        alone = len(self._waiting) == 1 and not self._running
        while len(self._running) < self._workers and (ready := self._next()):
            work = self._engine.work(ready, alone=alone)
            self._running[ready.name] = work
            self._say(ready, "%s", ready.step.operation)
            self._started[ready.name] = time.monotonic()
            if alone:
                self._do(ready.name, work)
            else:
                threading.Thread(target=self._do, args=(ready.name, work), name=f"step {ready.name}").start()

    def _next(self) -> Ready | None:
        """Take the first that waits and has room beside what runs."""
        running = [work.step for work in self._running.values()]
        for index, ready in enumerate(self._waiting):
            if self._engine.capacity.has_room(ready.step, running):
                return self._waiting.pop(index)
        return None

    def _do(self, name: str, work: Work) -> None:
        with ExitStack() as shown:
            if len(self._running) > 1:
                shown.enter_context(self._engine.progress.track(f"step {name}"))
            try:
                self._ended.put((name, work.run()))
            except ModelyardError as error:
                self._ended.put((name, error))

    def _take(self, name: str, ended: dict[str, Any] | ModelyardError) -> None:
        work = self._running.pop(name)
        seconds = time.monotonic() - self._started[name]
        self._tell(name, ended)
        if isinstance(ended, ModelyardError):
            state: Any = "cancelled" if ended.error_kind == "cancelled" else "failed"
            self._say(work, "%s after %.1f s", state, seconds)
            self._progression.failed(name, ended, state)
        else:
            self._say(work, "succeeded in %.1f s", seconds)
            if place := self._cached(work):
                place.write(ended)
            self._progression.succeeded(name, ended)

    def _say(self, about: Ready | Work, text: str, *values: object) -> None:
        number = f"step {self._steps[about.step.name]}/{len(self._steps)}"
        self._engine.log.info(f"%s %s: {text}", number, about.name, *values)

    def _is_cached(self, ready: Ready) -> bool:
        """Take a result that is there already."""
        place = self._cached(ready)
        found = place.read() if place else None
        if found is None:
            return False
        self._say(ready, "the result is known already")
        self._tell(ready.name, found)
        self._progression.succeeded(ready.name, found)
        return True

    def _cached(self, about: Ready | Work) -> CachedResult | None:
        """Return the place of a step's result, where it may be kept."""
        spec = load_catalogue().spec(about.step.operation)
        if not may_be_cached(about.step, spec):
            return None
        try:
            return self._engine.cache().place(spec, spec.bind(about.parameters))
        except ModelyardError:
            # What is wrong with it, the step itself will say.
            return None

    def _stop(self) -> None:
        """End what runs, side by side, and wait for it."""
        stoppers = [threading.Thread(target=work.stop) for work in self._running.values()]
        for thread in stoppers:
            thread.start()
        for thread in stoppers:
            thread.join()
