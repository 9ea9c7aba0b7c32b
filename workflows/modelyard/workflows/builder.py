"""Traces a Python function of operation calls into a workflow."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_type_hints, overload

import msgspec

from modelyard.errors import ModelyardError
from modelyard.operations import DeclarationInvalid, OperationSpec
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.docstring import read_docstring
from modelyard.operations.types import type_of
from modelyard.projects import ResourcesDefinition
from modelyard.workflows.definition import Step, Workflow, WorkflowInput
from modelyard.workflows.errors import WorkflowInvalid
from modelyard.workflows.references import InputReference
from modelyard.workflows.tracing import Trace, current_trace, tracing
from modelyard.workflows.validation import check_name, check_workflow
from modelyard.workflows.values import StepHandle, Value, place, plain

__all__ = ["Steps", "steps", "workflow"]


@dataclass(frozen=True)
class Steps:
    """Calls operations inside a function marked with `workflow`: ``steps.train(function=…, dataset=…)``.

    Called itself, it returns one with settings for the next step: ``steps(name="fit", retries=2).train(…)``.
    """

    _settings: Step = field(default=Step("", ""))
    _on_exit: bool = False

    def __call__(
        self,
        *,
        name: str = "",
        after: StepHandle | Sequence[StepHandle] = (),
        retries: int = 0,
        retry_delay: float = 0.0,
        timeout: float | None = None,
        resources: Mapping[str, Any] | None = None,
        launcher: str = "",
        cache: bool | None = None,
        on_exit: bool = False,
    ) -> "Steps":
        """Return steps with settings.

        Parameters
        ----------
        name
            The step's name; the operation's name, numbered where it stands already, if left out.
        after
            Steps that must be over before (succeeded, or skipped), although none of their results is passed on.
        retries
            How often a failed try is followed by another. What the same input would bring back, such as a wrong
            parameter or a gate that did not hold, is not tried again.
        retry_delay
            Seconds between a failed try and the next.
        timeout
            Seconds that one try may take.
        resources
            What it needs of a machine: ``{"cpu": 2, "memory": "4Gi", "gpu": 1}``; for launchers that ask for machines.
        launcher
            ``inline`` or ``process``; the engine chooses if left out.
        cache
            True: take an earlier result for the same parameters, project content and version, because you know that the
            function depends on nothing else. Without it, only operations that declare so are cached.
        on_exit
            Make it the workflow's exit handler: it runs once at the end, when no retry is left, whether the others
            succeeded or not, and may take `exit_status`.

        Raises
        ------
        WorkflowInvalid
            A setting breaks a rule.
        """
        earlier = (after,) if isinstance(after, StepHandle) else tuple(after)
        for each in earlier:
            if not isinstance(each, StepHandle):
                raise WorkflowInvalid(
                    f"after takes steps, got {type(each).__name__}", where=place(), mend="Pass what steps.… returned."
                )
        settings = Step(
            name,
            "",
            after=tuple(each._step for each in earlier),  # noqa: SLF001 - a handle's public names are result fields
            retries=retries,
            retry_delay=retry_delay,
            timeout=timeout,
            resources=_resources(resources),
            launcher=launcher,
            cache=cache,
        )
        return replace(self, _settings=settings, _on_exit=on_exit)

    def __getattr__(self, operation: str) -> Callable[..., StepHandle]:
        if operation.startswith("__"):
            raise AttributeError(operation)

        def call(**parameters: Any) -> StepHandle:
            return self._add(operation, parameters)

        return call

    def _add(self, operation: str, parameters: dict[str, Any]) -> StepHandle:
        trace = current_trace(f"steps.{operation}")
        name = self._settings.name or trace.free_name(operation.replace("_", "-"))
        where = trace.where("step", name)
        values = {key: plain(value, f"{where}, parameter {key}") for key, value in parameters.items()}
        step = msgspec.structs.replace(self._settings, name=name, operation=operation, parameters=values)
        return StepHandle(name, trace.add_exit(step) if self._on_exit else trace.add_step(step))


steps = Steps()
"""Calls operations inside a function marked with `workflow`."""


def _resources(given: Mapping[str, Any] | None) -> ResourcesDefinition | None:
    if given is None:
        return None
    try:
        return msgspec.convert(dict(given), ResourcesDefinition)
    except msgspec.ValidationError as error:
        mend = 'Write {"cpu": 2, "memory": "4Gi", "gpu": 1}, or some of it.'
        raise WorkflowInvalid(f"resources do not fit: {error}", where=place(), mend=mend) from error


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
    It may return a mapping of results, for workflows that `include` this one.

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
    trace = Trace(name, catalogue, {each.name: each for each in inputs})
    with tracing(trace):
        returned = function(**{each.name: Value(InputReference(each.name)) for each in inputs})
    results = _results(returned, where)
    made = Workflow(name, tuple(trace.body), inputs, text.summary, text.description, results, trace.on_exit)
    check_workflow(made, catalogue)
    return made


def _results(returned: Any, where: str) -> dict[str, Any]:
    if returned is None:
        return {}
    if not isinstance(returned, Mapping) or not all(isinstance(key, str) for key in returned):
        raise WorkflowInvalid(
            f"a workflow returns a mapping of names to values, got {type(returned).__name__}",
            where=where,
            mend='Write return {"model": trained.model}, or return nothing.',
        )
    results: dict[str, Any] = plain(dict(returned), f"{where}, result")
    return results


def _inputs(function: Callable[..., Any], docs: dict[str, str], where: str) -> tuple[WorkflowInput, ...]:
    hints = get_type_hints(function, include_extras=True)
    found = []
    for each in inspect.signature(function).parameters.values():
        spot = f"{where}, parameter {each.name}"
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY) or each.name not in hints:
            raise WorkflowInvalid(
                "a workflow's parameters have a name and a type", where=spot, mend="Write name: type = default."
            )
        required = each.default is inspect.Parameter.empty
        default = None if required else each.default
        try:
            type_ = type_of(hints[each.name], spot)
            if not required:
                default = type_.coerce(default, spot)
        except ModelyardError as error:
            mend = "See docs/operations.md for the types." if isinstance(error, DeclarationInvalid) else error.mend
            raise WorkflowInvalid(error.what, where=spot, mend=mend) from error
        found.append(WorkflowInput(each.name, type_, required, default, docs.get(each.name, "")))
    return tuple(found)
