"""Traces a Python function of operation calls into a workflow."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, get_type_hints, overload

from modelyard.errors import ModelyardError
from modelyard.operations import DeclarationInvalid, OperationSpec
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.docstring import read_docstring
from modelyard.operations.types import type_of
from modelyard.workflows.definition import Step, Workflow, WorkflowInput
from modelyard.workflows.errors import ResultFieldUnknown, StepNameTaken, WorkflowInvalid
from modelyard.workflows.references import InputReference, Reference
from modelyard.workflows.validation import check_name, check_step, check_workflow, operation_of

__all__ = ["StepHandle", "Steps", "Value", "steps", "workflow"]


@dataclass
class _Trace:
    """What has been called so far in the function that is being traced."""

    workflow: str
    catalogue: Mapping[str, OperationSpec]
    inputs: dict[str, WorkflowInput]
    steps: list[Step] = field(default_factory=list)
    specs: dict[str, OperationSpec] = field(default_factory=dict)

    def add(self, step: Step, where: str) -> None:
        """Check a step against those before it and take it in."""
        spec = operation_of(step, self.catalogue, where)
        check_step(step, spec, self.specs, self.inputs, where=where)
        self.steps.append(step)
        self.specs[step.name] = spec

    def free_name(self, operation: str) -> str:
        """Return the operation's name, numbered from the second use on."""
        plain = operation.replace("_", "-")
        name, count = plain, 1
        while name in self.specs:
            count += 1
            name = f"{plain}-{count}"
        return name


_TRACE: ContextVar[_Trace | None] = ContextVar("modelyard_workflow_trace", default=None)


class Value:
    """A result or an input that a run will know: pass it to a parameter, or index it for what it has inside.

    It has no value while the workflow is being defined, so it cannot be compared, looped over or put into text.
    """

    __slots__ = ("_reference",)

    def __init__(self, reference: Reference | InputReference) -> None:
        self._reference = reference

    def __getitem__(self, key: str | int) -> "Value":
        reference = self._reference
        path = (*reference.path, key)
        if isinstance(reference, InputReference):
            return Value(InputReference(reference.name, path))
        return Value(Reference(reference.step, reference.field, path))

    def __repr__(self) -> str:
        return f"<{self._reference}, known when the workflow runs>"

    def _refuse(self, what: str) -> WorkflowInvalid:
        return WorkflowInvalid(
            f"{self._reference} is known only when the workflow runs: it cannot be {what} while it is defined",
            where=_place(),
            mend="Do that in a project function and call it: steps.call(function=…).",
        )

    def __str__(self) -> str:
        raise self._refuse("put into text")

    def __bool__(self) -> bool:
        raise self._refuse("a condition")

    def __iter__(self) -> Any:
        raise self._refuse("looped over")

    def __len__(self) -> int:
        raise self._refuse("counted")

    def __eq__(self, other: object) -> bool:
        raise self._refuse("compared")

    def __lt__(self, other: object) -> bool:
        raise self._refuse("compared")

    __gt__ = __le__ = __ge__ = __lt__
    __hash__ = object.__hash__


class StepHandle:
    """A step that was called: its attributes are references to the fields of its result."""

    __slots__ = ("_spec", "_step")

    def __init__(self, step: str, spec: OperationSpec) -> None:
        self._step = step
        self._spec = spec

    def __getattr__(self, name: str) -> Value:
        if name.startswith("__"):
            raise AttributeError(name)
        known = [each.name for each in self._spec.results]
        if name not in known:
            raise ResultFieldUnknown(self._step, self._spec.name, name, known, where=_place())
        return Value(Reference(self._step, name))

    def __repr__(self) -> str:
        return f"<step {self._step}>"


@dataclass(frozen=True)
class Steps:
    """Calls operations inside a function marked with `workflow`: ``steps.train(function=…, dataset=…)``.

    Called itself, it returns one with settings for the next step: ``steps(name="fit", after=[prepared]).train(…)``.
    """

    _name: str = ""
    _after: tuple[StepHandle, ...] = ()

    def __call__(self, *, name: str = "", after: StepHandle | Sequence[StepHandle] = ()) -> "Steps":
        """Return steps with settings.

        Parameters
        ----------
        name
            The step's name; the operation's name, numbered where it stands already, if left out.
        after
            Steps that must have succeeded before, although none of their results is passed on.
        """
        earlier = (after,) if isinstance(after, StepHandle) else tuple(after)
        for each in earlier:
            if not isinstance(each, StepHandle):
                raise WorkflowInvalid(
                    f"after takes steps, got {type(each).__name__}", where=_place(), mend="Pass what steps.… returned."
                )
        return replace(self, _name=name, _after=earlier)

    def __getattr__(self, operation: str) -> Callable[..., StepHandle]:
        if operation.startswith("__"):
            raise AttributeError(operation)

        def call(**parameters: Any) -> StepHandle:
            return self._add(operation, parameters)

        return call

    def _add(self, operation: str, parameters: dict[str, Any]) -> StepHandle:
        trace = _TRACE.get()
        if trace is None:
            raise WorkflowInvalid(
                f"steps.{operation} is called outside a workflow",
                where=_place(),
                mend="Call it inside a function marked with @workflow.",
            )
        name = self._name or trace.free_name(operation)
        where = f"workflow {trace.workflow}, step {name} ({_place()})"
        check_name(name, "step", where)
        if name in trace.specs:
            raise StepNameTaken(name, where=where)
        plain = {key: _plain(value, f"{where}, parameter {key}") for key, value in parameters.items()}
        after = tuple(each._step for each in self._after)  # noqa: SLF001 - a handle's public names are result fields
        trace.add(Step(name, operation, plain, after), where)
        return StepHandle(name, trace.specs[name])


steps = Steps()
"""Calls operations inside a function marked with `workflow`."""


def _plain(value: Any, where: str) -> Any:
    """Return a parameter's value as JSON and references, copied."""
    if isinstance(value, Value):
        return value._reference  # noqa: SLF001 - a value's public names would look like what it has inside
    if isinstance(value, StepHandle):
        fields = [each.name for each in value._spec.results]  # noqa: SLF001
        raise WorkflowInvalid(
            f"{value!r} is a step, not a value", where=where, mend=f"Pass one of its results: {', '.join(fields)}."
        )
    if isinstance(value, list | tuple):
        return [_plain(each, f"{where}[{index}]") for index, each in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise WorkflowInvalid(
        f"{type(value).__name__} is not JSON", where=where, mend="Pass text, numbers, lists or mappings with text keys."
    )


def _place() -> str:
    """Return the file and line of the user's code that called into this module."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{'/'.join(Path(frame.f_code.co_filename).parts[-2:])}:{frame.f_lineno}"


@overload
def workflow(function: Callable[..., Any], /) -> Workflow: ...
@overload
def workflow(
    *, name: str = "", catalogue: Mapping[str, OperationSpec] | None = None
) -> Callable[[Callable[..., Any]], Workflow]: ...


def workflow(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str = "",
    catalogue: Mapping[str, OperationSpec] | None = None,
) -> Workflow | Callable[[Callable[..., Any]], Workflow]:
    """Make a workflow of a function that calls operations; the function runs once, now, and nothing else does.

    The function's parameters become the workflow's, with their types and defaults; its docstring says what they are.

    Parameters
    ----------
    function
        The function, when used as a plain ``@workflow``.
    name
        The workflow's name; the function's name with ``-`` for ``_``, if left out.
    catalogue
        What operations there are; those of the installed distributions, if left out.

    Raises
    ------
    WorkflowInvalid
        The workflow breaks a rule; the error names the line that breaks it.

    Examples
    --------
    >>> from modelyard.workflows import steps, workflow
    >>> @workflow
    ... def nightly(month: int = 7):
    ...     prepared = steps.call(function="prepare", parameters={"month": month})
    ...     steps.call(function="report", parameters={"rows": prepared.value["rows"]})
    >>> [(step.name, step.needs) for step in nightly.steps]
    [('call', ()), ('call-2', ('call',))]
    """

    def trace(traced: Callable[..., Any]) -> Workflow:
        chosen = name or traced.__name__.replace("_", "-")
        return _traced(traced, chosen, load_catalogue() if catalogue is None else catalogue)

    return trace if function is None else trace(function)


def _traced(function: Callable[..., Any], name: str, catalogue: Mapping[str, OperationSpec]) -> Workflow:
    code = function.__code__
    where = f"workflow {name} ({'/'.join(Path(code.co_filename).parts[-2:])}:{code.co_firstlineno})"
    check_name(name, "workflow", where)
    text = read_docstring(function)
    inputs = _inputs(function, text.parameters, where)
    current = _Trace(name, catalogue, {each.name: each for each in inputs})
    token = _TRACE.set(current)
    try:
        function(**{each.name: Value(InputReference(each.name)) for each in inputs})
    finally:
        _TRACE.reset(token)
    made = Workflow(name, tuple(current.steps), inputs, text.summary, text.description)
    check_workflow(made, catalogue)
    return made


def _inputs(function: Callable[..., Any], docs: dict[str, str], where: str) -> tuple[WorkflowInput, ...]:
    hints = get_type_hints(function, include_extras=True)
    found = []
    for each in inspect.signature(function).parameters.values():
        place = f"{where}, parameter {each.name}"
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY) or each.name not in hints:
            raise WorkflowInvalid(
                "a workflow's parameters have a name and a type", where=place, mend="Write name: type = default."
            )
        required = each.default is inspect.Parameter.empty
        default = None if required else each.default
        try:
            type_ = type_of(hints[each.name], place)
            if not required:
                default = type_.coerce(default, place)
        except ModelyardError as error:
            mend = "See docs/operations.md for the types." if isinstance(error, DeclarationInvalid) else error.mend
            raise WorkflowInvalid(error.what, where=place, mend=mend) from error
        found.append(WorkflowInput(each.name, type_, required, default, docs.get(each.name, "")))
    return tuple(found)
