"""Turns a workflow into tasks of the DAG, or task group, that is being defined."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TaskGroup, XComArg
from airflow.sdk.definitions._internal.expandinput import DictOfListsExpandInput
from airflow.sdk.definitions.taskgroup import MappedTaskGroup

from modelyard.operators.airflow.outlets import declared_outlets
from modelyard.workflows.definition import Choice, Loop, Node, Step
from modelyard.workflows.engines.airflow.approvals import Approvals, ApprovedStepTask
from modelyard.workflows.engines.airflow.operators import (
    ChoiceOperator,
    StepFields,
    StepTask,
    block_operator,
    settings_of,
    step_operator,
)
from modelyard.workflows.engines.airflow_plan import Plan

__all__ = ["Rendering"]


@dataclass(frozen=True)
class _Ends:
    """The tasks of a node: those that wait for what it needs, and all, which others wait for."""

    first: tuple[Any, ...]
    all: tuple[Any, ...]


class Rendering:
    """Makes the tasks of a plan.

    Parameters
    ----------
    plan
        What to render.
    settings
        What every step's operator gets: project, environment, launcher, python.
    approvals
        The steps that ask people first.
    """

    def __init__(self, plan: Plan, settings: dict[str, Any], approvals: Approvals) -> None:
        self._plan = plan
        self._approvals = approvals
        self._launcher = settings.pop("launcher")
        self._settings = settings
        self._found: dict[str, Any] = {}
        self.tasks: list[Any] = []

    def render(self) -> None:
        """Make all tasks, and what they wait for."""
        self._body(self._plan.workflow.body, None)
        self._inputs_first()
        if self._plan.workflow.on_exit:
            self._exit(self._plan.workflow.on_exit)

    def _inputs_first(self) -> None:
        """Let the tasks wait for those whose results are given as inputs."""
        sources = [
            task
            for value in self._plan.given.values()
            if isinstance(value, XComArg)
            for task, _ in value.iter_references()
        ]
        for task in self.tasks:
            if sources and not set(task.upstream_task_ids) & {each.task_id for each in self.tasks}:
                task.set_upstream(sources)

    def _exit(self, step: Step) -> None:
        operator = step_operator(self._plan, step, exiting=True)
        settings = settings_of(step, self._launcher)
        task = operator(task_id=self._plan.task_id(step.name), **self._settings, **settings)
        task.as_teardown()
        task.set_upstream(self.tasks)
        # A teardown that fails is passed over by Airflow; for this one's sake the run shall fail.
        EmptyOperator(task_id=self._plan.task_id(f"{step.name}-done"), trigger_rule="none_failed").set_upstream(task)

    def _body(self, nodes: Sequence[Node], loop: Loop | None) -> tuple[Any, ...]:
        """Make the tasks of nodes side by side; return them all."""
        ends: dict[str, _Ends] = {}
        owner: dict[str, str] = {}
        for node in nodes:
            made = self._node(node, loop)
            for name in [node.name, *_names(node)]:
                owner[name] = node.name
            ends[node.name] = made
            for name in dict.fromkeys(owner[each] for each in node.needs if each in owner):
                _link(ends[name].all, made.first)
        return tuple(task for each in ends.values() for task in each.all)

    def _node(self, node: Node, loop: Loop | None) -> _Ends:
        if isinstance(node, Step):
            task = self._step(node, loop)
            return _Ends((task,), (task,))
        if isinstance(node, Loop):
            return self._loop(node)
        return self._choice(node, loop)

    def _step(self, step: Step, loop: Loop | None) -> Any:
        base = ApprovedStepTask if step.name in self._approvals else StepTask
        operator = step_operator(self._plan, step, base=base)
        settings = {**self._settings, **settings_of(step, self._launcher), "task_id": self._plan.task_id(step.name)}
        settings.update(self._approvals.get(step.name, {}))
        parallel = max((each.parallel for each in self._plan.loops(step.name)), default=0)
        if parallel:
            settings["max_active_tis_per_dagrun"] = parallel
        if loop is None or self._plan.is_leaf(self._outermost(step)):
            task: Any = operator(**settings)
        else:
            if outlets := declared_outlets(StepFields(self._plan, step)):
                settings["outlets"] = outlets
            task = operator.partial(**settings).expand(at=self._positions(loop))
        self.tasks.append(task)
        return task

    def _outermost(self, step: Step) -> Loop:
        return self._plan.loops(step.name)[0]

    def _positions(self, loop: Loop) -> Any:
        items = self._plan.static_items(loop)
        if items is not None:
            return [[index] for index in range(len(items))]
        return self._found[loop.name].output

    def _loop(self, loop: Loop) -> _Ends:
        first: tuple[Any, ...] = ()
        if self._plan.static_items(loop) is None:
            operator = block_operator(self._plan, loop)
            task = operator(task_id=self._plan.task_id(loop.name), trigger_rule="none_failed")
            self._found[loop.name] = task
            self.tasks.append(task)
            first = (task,)
        with self._group(loop):
            members = self._body(loop.body, loop)
        for each in first:
            _link((each,), members)
        return _Ends(first or members, (*first, *members))

    def _group(self, loop: Loop) -> AbstractContextManager[Any]:
        name = self._plan.task_id(f"{loop.name}-items").replace(".", "-")
        if not self._plan.is_leaf(loop):
            return TaskGroup(name, prefix_group_id=False)
        expand_input = DictOfListsExpandInput({"at": self._positions(loop)})
        return MappedTaskGroup(group_id=name, prefix_group_id=False, expand_input=expand_input)

    def _choice(self, choice: Choice, loop: Loop | None) -> _Ends:
        if loop is not None:
            # Inside a loop each task finds out by itself: Airflow skips no single turns.
            members = (*self._body(choice.then, loop), *self._body(choice.otherwise, loop))
            return _Ends(members, members)
        operator = block_operator(self._plan, choice)
        gate: Any = operator(task_id=self._plan.task_id(choice.name), trigger_rule="none_failed")
        self.tasks.append(gate)
        assert isinstance(gate, ChoiceOperator)  # noqa: S101 - what block_operator makes of a choice
        members = ()
        for branch, nodes in (("then", choice.then), ("otherwise", choice.otherwise)):
            made = self._body(nodes, None)
            gate.members[branch] = [task.task_id for task in made]
            members = (*members, *made)
        _link((gate,), members)
        return _Ends((gate,), (gate, *members))


def _link(before: Iterable[Any], after: Iterable[Any]) -> None:
    for task in after:
        known = set(task.upstream_task_ids)
        new = [each for each in before if each.task_id not in known and each is not task]
        if new:
            task.set_upstream(new)


def _names(node: Node) -> list[str]:
    if isinstance(node, Step):
        return []
    members = node.body if isinstance(node, Loop) else (*node.then, *node.otherwise)
    return [name for member in members for name in (member.name, *_names(member))]
