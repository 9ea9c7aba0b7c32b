"""The tasks of a workflow: its steps, its choices, its loops."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, cast

import msgspec
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
from modelyard.operators.airflow.outlets import Origin, written_out
from modelyard.workflows.conditions import holds
from modelyard.workflows.definition import Choice, Loop, Step
from modelyard.workflows.engines.airflow.circumstances import circumstances_of
from modelyard.workflows.engines.airflow_plan import FAILURE_KEY, TABLE_KEY, Plan
from modelyard.workflows.errors import StepTimeout
from modelyard.workflows.filling import Filling
from modelyard.workflows.references import AnyReference, InputReference, Reference, as_json
from modelyard.workflows.retrying import is_worth_another_try

__all__ = [
    "ChoiceOperator",
    "LoopOperator",
    "StepFields",
    "StepParameter",
    "StepTask",
    "block_operator",
    "settings_of",
    "step_operator",
]


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
            known = circumstances_of(self._plan, self._step.name, context)
            filling = known.filling
            if self._exiting:
                filling = Filling(self._plan.workflow, known.inputs, known.found, known.status)
            return filling.value(self._value, "" if self._exiting else self._step.name, known.position)
        except ModelyardError as error:
            return _Unfilled(error)

    def foreseen(self) -> str | Origin | None:
        """Return what the step is given in every run, if that is known: a text, or whose result it is."""
        value = self._value
        if isinstance(value, Reference) and not value.path and value.otherwise is msgspec.UNSET:
            source = next(each for each in self._plan.workflow.steps if each.name == value.step)
            return Origin(StepFields(self._plan, source), value.field)
        if isinstance(value, InputReference) and not value.path:
            return self._given(value.name)
        return value if isinstance(value, str) else None

    def _given(self, name: str) -> str | Origin | None:
        if name in self._plan.given:
            return written_out(self._plan.given[name])
        if self._plan.asks:
            return None
        default = next(each.default for each in self._plan.workflow.inputs if each.name == name)
        return default if isinstance(default, str) else None

    def __str__(self) -> str:
        return str(as_json(self._value))


class StepFields:
    """The operation and the parameters of a step, as attributes.

    Parameters
    ----------
    plan, step
        The step and the plan that it is part of.
    exiting
        Whether it is the exit handler.
    """

    def __init__(self, plan: Plan, step: Step, *, exiting: bool = False) -> None:
        self.operation_name = step.operation
        parameters = load_catalogue().spec(step.operation).parameters
        vars(self).update({each.name: each.default for each in parameters})
        for name, value in step.parameters.items():
            setattr(self, name, StepParameter(plan, step, value, exiting=exiting))


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
            known = circumstances_of(self.plan, self.step.name, context)
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
    names = (each.name for each in spec.parameters)
    fields = tuple(dict.fromkeys((*names, *OperationOperator.template_fields, *base.template_fields)))
    body = {
        **vars(StepFields(plan, step, exiting=exiting)),
        "plan": plan,
        "step": step,
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
            known = circumstances_of(self.plan, self.choice.name, context)

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
            known = circumstances_of(self.plan, self.loop.name, context)
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
