"""Reads what a DAG run has left of a workflow."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelyard.errors import ErrorKind
from modelyard.workflows.definition import Choice, Loop, Node, Step
from modelyard.workflows.engines.airflow_plan import FAILURE_KEY, Plan, Pull, Pulled
from modelyard.workflows.filling import Position
from modelyard.workflows.outcome import Failure, WorkflowOutcome, instance_name

__all__ = ["outcome_of_run"]

_STATES = {
    "success": "succeeded",
    "failed": "failed",
    "skipped": "skipped",
    "upstream_failed": "blocked",
    "running": "running",
    "removed": "skipped",
}
StateOf = Callable[[str, int], str | None]


def outcome_of_run(plan: Plan, states: Mapping[tuple[str, int], str | None], pull: Pull) -> WorkflowOutcome:
    """Return the states, results and failures of a workflow's steps from those of its tasks.

    Parameters
    ----------
    plan
        The workflow as tasks.
    states
        Airflow's state of each task instance, by task id and map index (-1 where it is not mapped).
    pull
        Reads what a task has published.
    """
    reading = _Reading(plan, states, pull)
    reading.nodes(plan.workflow.body, ())
    if plan.workflow.on_exit:
        reading.step(plan.workflow.on_exit, ())
    return WorkflowOutcome(reading.states, reading.results, tuple(reading.failures))


class _Reading:
    def __init__(self, plan: Plan, states: Mapping[tuple[str, int], str | None], pull: Pull) -> None:
        self._plan = plan
        self._given = states
        self._pull = pull
        self._found = Pulled(plan, pull, plan.loops(""))
        self.states: dict[str, str] = {}
        self.results: dict[str, dict[str, Any]] = {}
        self.failures: list[Failure] = []

    def nodes(self, nodes: Sequence[Node], position: Position) -> None:
        for node in nodes:
            if isinstance(node, Step):
                self.step(node, position)
            elif isinstance(node, Choice):
                self._told(node.name, node.name, -1)
                self.nodes((*node.then, *node.otherwise), position)
            else:
                self._loop(node, position)

    def _loop(self, loop: Loop, position: Position) -> None:
        state = self._told(loop.name, loop.name, -1) or self._static_state(loop)
        items = self._found.items(loop.name, position)
        if state in ("skipped", "upstream_failed", "failed") or items is None:
            self._mark(loop.body, (), "skipped" if state in (None, "skipped") else "blocked")
            return
        for index in range(len(items)):
            self.nodes(loop.body, (*position, index))
        if not items and position and not self._went_in(loop, position):
            self._mark(loop.body, position, "skipped")

    def _static_state(self, loop: Loop) -> str | None:
        """Return the state of a loop that has no task: blocked where none of its steps could begin."""
        if self._plan.static_items(loop) is None:
            return None
        tasks = {self._plan.task_id(node.name) for node, _ in self._plan.workflow.walk_within(loop)}
        states = {state for (task, _), state in self._given.items() if task in tasks}
        return "upstream_failed" if states and states <= {"upstream_failed"} else None

    def _went_in(self, loop: Loop, position: Position) -> bool:
        """Return whether a loop over nothing stands in branches that were taken."""
        return not self._plan.gates(loop.name) or any(at[:-1] == position for at in self._found.positions(loop))

    def _mark(self, nodes: Sequence[Node], position: Position, state: str) -> None:
        for node in nodes:
            if isinstance(node, Step):
                self.states[instance_name(node.name, position)] = state
            else:
                members = node.body if isinstance(node, Loop) else (*node.then, *node.otherwise)
                self._mark(members, position, state)

    def step(self, step: Step, position: Position) -> None:
        """Read one step at one position."""
        loops = self._plan.loops(step.name)
        index = self._found.index(loops, position) if loops else -1
        name = instance_name(step.name, position)
        state = self._told(name, step.name, index)
        self.states[name] = _STATES.get(state or "", "queued")
        if state == "success":
            self.results[name] = dict(self._found.result(step.name, position) or {})

    def _told(self, shown: str, name: str, index: int) -> str | None:
        """Return the state of a task instance, and take down why it failed."""
        task = self._plan.task_id(name)
        state = self._given.get((task, index))
        if state is None and index >= 0:
            # What waits for something that failed is never mapped.
            state = self._given.get((task, -1))
        if state == "failed":
            told = self._pull(task, index, FAILURE_KEY) or {"kind": "lost", "message": "its worker left no word"}
            self.failures.append(Failure(shown, ErrorKind(told["kind"]), str(told["message"])))
        return state
