"""The tasks of a workflow: its steps, its choices, its loops."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, cast

from airflow.sdk import BaseOperator, Context
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from modelyard.errors import ModelyardError
from modelyard.operations import OperationSpec
from modelyard.operations.catalogue import load_catalogue
from modelyard.operators import airflow as generated
from modelyard.operators.airflow import OperationOperator
from modelyard.operators.airflow.masking import Mask
from modelyard.operators.airflow.values import is_template, keep_type, plain
from modelyard.workflows.conditions import holds
from modelyard.workflows.definition import Choice, Loop, Step
from modelyard.workflows.engines.airflow_plan import FAILURE_KEY, TABLE_KEY, Plan, Pulled
from modelyard.workflows.errors import StepTimeout, WorkflowInvalid
from modelyard.workflows.filling import Filling, Position
from modelyard.workflows.outcome import instance_name
from modelyard.workflows.references import AnyReference, as_json
from modelyard.workflows.retrying import is_worth_another_try

__all__ = [
    "ChoiceOperator",
    "LoopOperator",
    "StepParameter",
    "StepTask",
    "block_operator",
    "settings_of",
    "step_operator",
]

_MEMO = "modelyard_circumstances"


class _Circumstances:
    """What one try of a task knows of the run, found out once."""

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
    """Render as our operators do: a text without marks stays as it is, an expression keeps the type of its value."""
    if isinstance(value, dict):
        return {key: _rendered(task, each, facts) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rendered(task, each, facts) for each in value]
    jinja_env = task.get_template_env(task.dag)
    if not isinstance(value, str):
        return BaseOperator.render_template(task, value, facts, jinja_env)
    if not is_template(value, jinja_env):
        return value
    return keep_type(value, lambda text, env: BaseOperator.render_template(task, text, facts, env), jinja_env)


def _circumstances(plan: Plan, name: str, context: Context) -> _Circumstances:
    memo = cast("dict[str, Any]", context)
    if _MEMO not in memo:
        memo[_MEMO] = _Circumstances(plan, name, context)
    found: _Circumstances = memo[_MEMO]
    return found


class _Unfilled:
    """Stands in a field whose value could not be found out: the task says so when it starts."""

    def __init__(self, error: ModelyardError) -> None:
        self.error = error


class StepParameter:
    """What a step's parameter is filled with when its task starts; results are never read as templates.

    Parameters
    ----------
    plan, step
        Whose parameter it is.
    value
        JSON with references.
    """

    def __init__(self, plan: Plan, step: Step, value: Any, *, exiting: bool) -> None:
        self._plan = plan
        self._step = step
        self._value = value
        self._exiting = exiting

    def resolve(self, context: Context) -> Any:
        """Return the value; Airflow calls this where it renders templates."""
        try:
            known = _circumstances(self._plan, self._step.name, context)
            filling = known.filling
            if self._exiting:
                filling = Filling(self._plan.workflow, known.inputs, known.found, known.status)
            return filling.value(self._value, "" if self._exiting else self._step.name, known.position)
        except ModelyardError as error:
            return _Unfilled(error)

    def __str__(self) -> str:
        return str(as_json(self._value))


class StepTask(OperationOperator):
    """A step of a workflow as a task: an operator of ours whose parameters come from the workflow.

    Parameters
    ----------
    at
        Where in nested loops a mapped task stands.
    **kwargs
        What `OperationOperator` takes.
    """

    plan: ClassVar[Plan]
    step: ClassVar[Step]

    def __init__(self, *, at: Sequence[int] | None = None, **kwargs: Any) -> None:
        # The operation's own operator takes its parameters here; ours are filled in when the task starts.
        OperationOperator.__init__(self, **kwargs)
        self.at = at

    def execute(self, context: Context) -> dict[str, Any]:
        """Do the step's work, unless it stands in a branch that is not taken.

        Raises
        ------
        AirflowSkipException
            Its branch, inside a loop, is not taken.
        AirflowFailException, AirflowException
            The step failed, for good or perhaps not.
        """
        try:
            known = _circumstances(self.plan, self.step.name, context)
            if not self.plan.is_due(self.step.name, known.position, known.filling):
                raise AirflowSkipException("its branch is not taken")
            for each in self.template_fields:
                value = getattr(self, each)
                if isinstance(value, _Unfilled):
                    raise value.error
        except ModelyardError as error:
            raise self.failure(context, error, Mask(), killed=False) from error
        try:
            return super().execute(context)
        except AirflowTaskTimeout:
            self._publish_failure(context, StepTimeout(self.step.name, self.step.timeout or 0), Mask())
            raise

    def failure(self, context: Context, error: ModelyardError, mask: Mask, *, killed: bool) -> AirflowException:
        """Publish why the step failed, and decide whether it may have another try."""
        self._publish_failure(context, error, mask)
        again = killed or is_worth_another_try(error)
        return (AirflowException if again else AirflowFailException)(mask.hide(str(error)))

    @staticmethod
    def _publish_failure(context: Context, error: ModelyardError, mask: Mask) -> None:
        ti = cast("Mapping[str, Any]", context)["ti"]
        ti.xcom_push(FAILURE_KEY, {"kind": str(error.error_kind), "message": mask.hide(str(error))})


def step_operator(plan: Plan, step: Step, *, exiting: bool = False, base: type[StepTask] = StepTask) -> type[StepTask]:
    """Return the operator class of one step: the operation's own operator, with the step's parameters.

    Parameters
    ----------
    plan, step
        The step and the plan that it is part of.
    exiting
        Whether it is the exit handler.
    base
        What the step's task is besides.
    """
    spec = load_catalogue().spec(step.operation)
    name = "".join(part.capitalize() for part in step.operation.split("_")) + "Operator"
    own = getattr(generated, name) if name in generated.__all__ else OperationOperator
    parameters: dict[str, Any] = {each.name: each.default for each in spec.parameters}
    for key, value in step.parameters.items():
        parameters[key] = StepParameter(plan, step, value, exiting=exiting)
    fields = tuple(dict.fromkeys((*parameters, *OperationOperator.template_fields, *base.template_fields)))
    body = {
        **parameters,
        "plan": plan,
        "step": step,
        "operation_name": spec.name,
        "result_fields": tuple(each.name for each in spec.results),
        "template_fields": fields,
        "template_fields_renderers": _renderers(spec),
        "custom_operator_name": name,
        "__module__": __name__,
        "__doc__": base.__doc__,
    }
    bases = (base,) if issubclass(base, own) else (base, own)
    return cast("type[StepTask]", type(f"StepTask_{step.name.replace('-', '_')}", bases, body))


def _renderers(spec: OperationSpec) -> dict[str, str]:
    return {each.name: "json" for each in spec.parameters if each.type.kind in ("list", "mapping", "any")}


def settings_of(step: Step, launcher: str) -> dict[str, Any]:
    """Return what a step's settings are in Airflow's words."""
    chosen = step.launcher or ("process" if step.timeout else launcher)
    return {
        "retries": step.retries,
        "retry_delay": timedelta(seconds=step.retry_delay),
        "execution_timeout": None if step.timeout is None else timedelta(seconds=step.timeout),
        "launcher": chosen,
        "trigger_rule": "none_failed",
    }


class ChoiceOperator(BaseOperator, SkipMixin):
    """Decides which branch a run takes, and skips the tasks of the other.

    Parameters
    ----------
    **kwargs
        What Airflow's BaseOperator takes.
    """

    ui_color: str = "#f5efd6"
    plan: ClassVar[Plan]
    choice: ClassVar[Choice]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.members: dict[str, list[str]] = {"then": [], "otherwise": []}

    @property
    def inherits_from_skipmixin(self) -> bool:
        """Whether the scheduler asks this task which tasks to skip."""
        return True

    def execute(self, context: Context) -> None:
        """Decide, publish the decision, skip.

        Raises
        ------
        AirflowFailException
            The condition cannot be decided.
        """
        facts = cast("Mapping[str, Any]", context)
        try:
            known = _circumstances(self.plan, self.choice.name, context)

            def fill(reference: AnyReference) -> Any:
                return known.filling.value(reference, self.choice.name)

            decision = holds(self.choice.condition, fill)
        except ModelyardError as error:
            raise _failed(facts["ti"], error) from error
        facts["ti"].xcom_push("return_value", {"holds": decision})
        left = self.members["otherwise" if decision else "then"]
        self.skip(facts["ti"], [facts["dag"].task_dict[each] for each in left])


class LoopOperator(BaseOperator):
    """Finds the items of a loop, of all turns of the loops around it, for the tasks that are mapped over them.

    Parameters
    ----------
    **kwargs
        What Airflow's BaseOperator takes.
    """

    ui_color: str = "#e6e6f2"
    plan: ClassVar[Plan]
    loop: ClassVar[Loop]

    def execute(self, context: Context) -> list[list[int]]:
        """Publish positions and items; return the positions, which Airflow maps over.

        Raises
        ------
        AirflowFailException
            There is no list.
        """
        facts = cast("Mapping[str, Any]", context)
        try:
            known = _circumstances(self.plan, self.loop.name, context)
            table = self.plan.table(self.loop, known.found, known.filling)
        except ModelyardError as error:
            raise _failed(facts["ti"], error) from error
        facts["ti"].xcom_push(TABLE_KEY, [[list(at), item] for at, item in table])
        return [list(at) for at, _ in table]


def _failed(ti: Any, error: ModelyardError) -> AirflowFailException:
    ti.xcom_push(FAILURE_KEY, {"kind": str(error.error_kind), "message": str(error)})
    return AirflowFailException(str(error))


def block_operator(plan: Plan, block: Choice | Loop) -> type[BaseOperator]:
    """Return the operator class of one choice or loop."""
    if isinstance(block, Choice):
        own: type = type("ChoiceOperator", (ChoiceOperator,), {"plan": plan, "choice": block})
    else:
        own = type("LoopOperator", (LoopOperator,), {"plan": plan, "loop": block})
    return own
