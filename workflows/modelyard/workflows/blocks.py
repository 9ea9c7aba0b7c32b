"""Branches and loops, as a workflow function writes them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from modelyard.workflows.definition import Choice, Loop
from modelyard.workflows.errors import WorkflowInvalid
from modelyard.workflows.references import ItemReference
from modelyard.workflows.tracing import current_trace
from modelyard.workflows.values import Predicate, Value, condition_of, place, plain

__all__ = ["each", "otherwise", "when"]


@contextmanager
def when(test: Predicate | Value | int, *, name: str = "") -> Iterator[None]:
    """Open a branch that a run takes only where a test holds; else its steps are skipped.

    Parameters
    ----------
    test
        A comparison of results, parameters, numbers, text; joined by ``&``, ``|``, ``~``. Or a value that is true or
        false. (To a type checker a comparison of two parameters of the function is a plain bool; it is none.)
    name
        The choice's name; ``when``, numbered, if left out.

    Raises
    ------
    WorkflowInvalid
        The test cannot be decided in a run.

    Examples
    --------
    >>> from modelyard.workflows import otherwise, steps, when, workflow
    >>> @workflow
    ... def guarded(month: int = 7):
    ...     with when((month >= 6) & (month <= 8)):
    ...         steps(name="summer").call(function="summer")
    ...     with otherwise():
    ...         steps(name="rest").call(function="rest")
    >>> [step.name for step in guarded.steps]
    ['summer', 'rest']
    """
    trace = current_trace("when")
    block = Choice(name or trace.free_name("when"), condition_of(test))
    trace.add_block(block, "choice")
    with trace.within(block, "then"):
        yield


@contextmanager
def otherwise() -> Iterator[None]:
    """Open the other branch of the `when` that has just ended.

    Raises
    ------
    WorkflowInvalid
        No `when` has just ended.
    """
    trace = current_trace("otherwise")
    block = trace.body[-1] if trace.body else None
    if not isinstance(block, Choice) or block.otherwise:
        mend = "Put it directly after the block of a when."
        raise WorkflowInvalid("otherwise follows no when", where=place(), mend=mend)
    with trace.within(block, "otherwise"):
        yield


@contextmanager
def each(items: Sequence[Any] | Value, *, parallel: int = 0, name: str = "") -> Iterator[Value]:
    """Open a loop: its steps run once for each item of a list; items run side by side.

    Parameters
    ----------
    items
        The list: values, a parameter of the workflow, or what a step returned; it may be empty.
    parallel
        How many items may be at work at a time; 0 for as many as the engine likes.
    name
        The loop's name; ``each``, numbered, if left out.

    Yields
    ------
    Value
        The item.

    Raises
    ------
    WorkflowInvalid
        It is no list.

    Examples
    --------
    >>> from modelyard.workflows import collect, each, steps, workflow
    >>> @workflow
    ... def months():
    ...     with each([6, 7, 8]) as month:
    ...         scored = steps(name="score").call(function="score", parameters={"month": month})
    ...     steps(name="report").call(function="report", parameters={"all": collect(scored.value["rows"])})
    >>> [step.needs for step in months.steps]
    [('each',), ('score',)]
    """
    trace = current_trace("each")
    block = Loop(name or trace.free_name("each"), plain(items, place()), (), parallel)
    trace.add_block(block, "loop")
    with trace.within(block):
        yield Value(ItemReference(block.name))
