"""The decorator ``@task.modelyard``: a function of a DAG file as a piece of work of a project."""

import ast
import builtins
import inspect
import symtable
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.sdk import Context
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory

from modelyard.operations import ParameterInvalid
from modelyard.operators.airflow.function_errors import FunctionNotContained, FunctionUnreadable
from modelyard.operators.airflow.operation import OperationOperator
from modelyard.operators.airflow.place import Place
from modelyard.operators.airflow.values import plain

if TYPE_CHECKING:
    from modelyard.projects.dispatch import Completed
    from modelyard.projects.source_code import FunctionSource

__all__ = ["ModelyardDecoratedOperator", "modelyard_task"]

_CONTEXT = ("ds", "ds_nodash", "ts", "ts_nodash", "run_id", "params", "logical_date")
_INTERVAL = ("data_interval_start", "data_interval_end")
_GIVEN = (*_CONTEXT, *_INTERVAL)
"""What a function gets of Airflow's context if it has a parameter of that name: dates as ISO text."""


class ModelyardDecoratedOperator(DecoratedOperator, OperationOperator):
    """Runs a function of the DAG file in the project's interpreter; made by ``@task.modelyard``.

    The function is run from its source: it imports inside itself what it needs, the project's own modules included,
    and takes and returns JSON. Everything else is as for all operators of ours: see `OperationOperator`.

    Parameters
    ----------
    **kwargs
        What Airflow hands to the operator of a decorated function, and what `OperationOperator` takes.
    """

    operation_name: ClassVar[str] = "call"
    custom_operator_name: str = "@task.modelyard"
    template_fields: Sequence[str] = ("op_args", "op_kwargs", *OperationOperator.template_fields)  # pyright: ignore[reportIncompatibleVariableOverride]
    template_fields_renderers: ClassVar[dict[str, str]] = {"op_args": "py", "op_kwargs": "py"}
    shallow_copy_attrs: Sequence[str] = ("python_callable",)

    def __init__(self, *, python_callable: Callable[..., Any], **kwargs: Any) -> None:
        if not kwargs.get("wait_for_completion", True):
            raise ParameterInvalid("wait_for_completion", "true for a function of the DAG file", False)
        self._source = source_of(python_callable)
        kwargs.setdefault("multiple_outputs", False)
        super().__init__(python_callable=python_callable, **kwargs)
        self._asked_of_context: dict[str, Any] = {}

    def execute(self, context: Context) -> Any:
        """Run the function, and return what it returned; raises as `OperationOperator.execute`."""
        facts = cast("Mapping[str, Any]", context)
        asked = inspect.signature(self.python_callable).parameters
        wanted = [name for name in _GIVEN if name in asked and name not in self.op_kwargs]
        self._asked_of_context = {name: facts.get(name) for name in wanted}
        return super().execute(context)

    def _parameters(self, place: Place) -> dict[str, Any]:
        import msgspec

        from modelyard.projects.source_code import HANDLER

        del place
        named = {**self._asked_of_context, **self.op_kwargs}
        names = list(inspect.signature(self.python_callable).parameters)
        # What *more takes has its name, too.
        positional = [_checked(names[min(at, len(names) - 1)], value) for at, value in enumerate(self.op_args)]
        parameters = {
            "source": msgspec.to_builtins(self._source),
            "positional": positional,
            "named": {name: _checked(name, value) for name, value in named.items()},
        }
        return {"function": HANDLER, "parameters": parameters}

    def _published(self, context: Context, place: Place, done: "Completed") -> Any:
        from modelyard.projects.dispatch import acknowledge

        value = place.mask.hide(done.result["value"]["returned"])
        facts = cast("Mapping[str, Any]", context)
        if self.do_xcom_push:
            fields = value if self.multiple_outputs and isinstance(value, dict) else {}
            self._publish(facts["ti"], done, value, fields)
        self._tell_outlets(facts, place, done, value if isinstance(value, dict) else {"value": value})
        acknowledge(done)
        return value


def modelyard_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool | None = None, **kwargs: Any
) -> TaskDecorator:
    """Make a task of a function: ``@task.modelyard``, with or without arguments.

    Parameters
    ----------
    python_callable
        The function.
    multiple_outputs
        Whether each key of a returned mapping goes to XCom by its name, too; by default if the function is annotated to
        return a mapping.
    **kwargs
        What `OperationOperator` takes.

    Raises
    ------
    FunctionUnreadable
        It is no function that is written in Python.
    """
    if python_callable is None:
        return cast("TaskDecorator", partial(modelyard_task, multiple_outputs=multiple_outputs, **kwargs))
    if not inspect.isfunction(python_callable):
        name = getattr(python_callable, "__name__", None) or repr(python_callable)
        raise FunctionUnreadable(name, f"task {name}", "it is no function that is written in Python")
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=ModelyardDecoratedOperator,
        **kwargs,
    )


def source_of(function: Callable[..., Any]) -> "FunctionSource":
    """Return the source of a function that can run from it alone.

    Raises
    ------
    FunctionUnreadable
        There is no source, or it is no function written with ``def``.
    FunctionNotContained
        It uses names from outside of itself.
    """
    from modelyard.projects.source_code import FunctionSource, contained

    name = getattr(function, "__name__", repr(function))
    try:
        lines, line = inspect.getsourcelines(function)
        file = inspect.getsourcefile(function) or ""
        source = FunctionSource(name, "".join(lines), file, line)
        tree = contained(source)
    except (OSError, TypeError, SyntaxError) as error:
        raise FunctionUnreadable(name, f"task {name}", str(error)) from error
    outside = _outside(ast.unparse(tree), name)
    if outside:
        raise FunctionNotContained(name, f"{file}:{line}", outside)
    return source


def _outside(text: str, name: str) -> list[str]:
    """Return the names that a function uses and nobody defines: neither it nor Python."""
    known: Collection[str] = {*dir(builtins), name, "__name__"}
    found: set[str] = set()
    tables = [symtable.symtable(text, name, "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        top = table.get_type() == "module"
        found |= {
            each.get_name()
            for each in table.get_symbols()
            if each.is_referenced() and (each.is_global() or top) and not (top and each.is_assigned())
        }
    return sorted(found - set(known))


def _checked(name: str, value: Any) -> Any:
    import msgspec

    given = plain(value)
    try:
        return msgspec.json.decode(msgspec.json.encode(given))
    except (TypeError, ValueError, OverflowError) as error:
        raise ParameterInvalid(name, "of JSON values", type(given).__name__) from error
