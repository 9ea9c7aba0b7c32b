"""What a task of a workflow knows of its run: the inputs, the results before it, where in loops it stands."""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any, cast

from airflow.sdk import BaseOperator, Context

from modelyard.operators.airflow.values import plain, render_typed
from modelyard.workflows.definition import Loop
from modelyard.workflows.engines.airflow_plan import FAILURE_KEY, Plan, Pulled
from modelyard.workflows.errors import WorkflowInvalid
from modelyard.workflows.filling import Filling, Position
from modelyard.workflows.outcome import instance_name

__all__ = ["Circumstances", "circumstances_of"]

_MEMO = "modelyard_circumstances"


class Circumstances:
    """What one try of a task knows of the run, found out once.

    Parameters
    ----------
    plan, name
        The plan, and which of its steps, choices or loops the task is.
    context
        Airflow's context.
    """

    def __init__(self, plan: Plan, name: str, context: Context) -> None:
        facts = cast("Mapping[str, Any]", context)
        self.plan = plan
        self.ti = facts["ti"]
        self.position = self._position(plan.loops(name), facts["task"])
        self.found = Pulled(plan, self._pull, plan.loops(name) if self.position else ())
        self.inputs = _inputs(plan, facts)
        self.filling = Filling(plan.workflow, self.inputs, self.found)

    def _position(self, loops: Sequence[Loop], task: Any) -> Position:
        if not loops or self.ti.map_index is None or self.ti.map_index < 0:
            return ()
        return tuple(task.at) if getattr(task, "at", None) else (int(self.ti.map_index),)

    def _pull(self, task: str, index: int | None, key: str) -> Any:
        if index is None:
            return self.ti.xcom_pull(task_ids=[task], key=key)
        return self.ti.xcom_pull(task_ids=task, key=key, map_indexes=index)

    @cached_property
    def status(self) -> dict[str, str]:
        """Return how the workflow's other tasks ended."""
        states = self.ti.get_task_states(dag_id=self.ti.dag_id, run_ids=[self.ti.run_id]).get(self.ti.run_id, {})
        bad = []
        for node, _ in self.plan.workflow.walk():
            task = self.plan.task_id(node.name)
            turns = [f"{task}_{index}" for index in range(_turns(states, task))]
            for index, each in enumerate(turns) if turns else [(-1, task)]:
                if states.get(each) == "failed":
                    bad.append(self._told(node.name, task, index))
        return {
            "state": "failed" if bad or "upstream_failed" in states.values() else "succeeded",
            "error": "; ".join(bad),
            "workflow_run": f"{self.ti.dag_id}/{self.ti.run_id}",
        }

    def _told(self, name: str, task: str, index: int) -> str:
        failure = self._pull(task, index, FAILURE_KEY)
        shown = instance_name(name, (index,) if index >= 0 else ())
        return f"{shown}: {failure['message']}" if failure else shown


def _turns(states: Mapping[str, Any], task: str) -> int:
    count = 0
    while f"{task}_{count}" in states:
        count += 1
    return count


def _inputs(plan: Plan, facts: Mapping[str, Any]) -> dict[str, Any]:
    from jinja2 import TemplateError

    task, bound = facts["task"], {}
    for each in plan.workflow.inputs:
        if each.name in plan.given:
            try:
                value = _rendered(task, plan.given[each.name], facts)
            except TemplateError as error:
                place = f"parameter {each.name}"
                raise WorkflowInvalid(f"the template cannot be rendered: {error}", where=place) from error
            bound[each.name] = plain(value, each.type)
        elif plan.asks:
            bound[each.name] = facts["params"][each.name]
    return plan.workflow.bind(bound)


def _rendered(task: Any, value: Any, facts: Any) -> Any:
    """Render as our operators do."""
    if isinstance(value, dict):
        return {key: _rendered(task, each, facts) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rendered(task, each, facts) for each in value]
    return render_typed(partial(BaseOperator.render_template, task), value, facts, task.get_template_env(task.dag))


def circumstances_of(plan: Plan, name: str, context: Context) -> Circumstances:
    """Return what one try of a task knows of its run.

    Parameters
    ----------
    plan, name
        The plan, and which of its steps, choices or loops the task is.
    context
        Airflow's context, which keeps what is found out.

    Raises
    ------
    ModelyardError
        An input of the run does not fit.
    """
    memo = cast("dict[str, Any]", context)
    if _MEMO not in memo:
        memo[_MEMO] = Circumstances(plan, name, context)
    found: Circumstances = memo[_MEMO]
    return found
