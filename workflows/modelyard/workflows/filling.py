"""Filling: turns the references of a workflow into the values that a run has for them, the same way in every engine."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from modelyard.workflows.definition import Place, Workflow
from modelyard.workflows.errors import ValueMissing, WorkflowInvalid
from modelyard.workflows.references import (
    AnyReference,
    Collection,
    InputReference,
    ItemReference,
    Path,
    Reference,
    StatusReference,
    replace_references,
)
from modelyard.workflows.scopes import loops_of, rest_of

__all__ = ["Filling", "Found", "Position", "inside"]

Position = tuple[int, ...]
"""Which item of each loop around something, the outermost first."""


class Found(Protocol):
    """What a run has so far; each engine keeps it in its own way."""

    def result(self, step: str, position: Position) -> Mapping[str, Any] | None:
        """Return the result of a step; None where it was skipped."""
        ...

    def items(self, loop: str, position: Position) -> Sequence[Any] | None:
        """Return the items of a loop, at a position of the loops around it; None where it was skipped."""
        ...


class Filling:
    """Fills in references.

    Parameters
    ----------
    workflow
        The workflow that is running.
    inputs
        All of its inputs.
    found
        What the run has so far.
    status
        How the run ended; empty until it has.

    Examples
    --------
    >>> from modelyard.workflows.definition import Step
    >>> class Nothing:
    ...     def result(self, step, position): return None
    ...     def items(self, loop, position): return None
    >>> flow = Workflow("w", (Step("a", "train"),))
    >>> Filling(flow, {"month": 7}, Nothing()).value([InputReference("month"), Reference("a", "model", otherwise="m")])
    [7, 'm']
    """

    def __init__(
        self, workflow: Workflow, inputs: Mapping[str, Any], found: Found, status: Mapping[str, Any] | None = None
    ) -> None:
        self._places = {node.name: around for node, around in workflow.walk()}
        self._inputs = inputs
        self._found = found
        self._status = status or {}

    def value(self, value: Any, name: str = "", position: Position = ()) -> Any:
        """Return a value with its references filled in.

        Parameters
        ----------
        value
            JSON with references.
        name
            The step or block that it belongs to; empty for the exit handler.
        position
            Where in its loops that is.

        Raises
        ------
        ValueMissing
            A reference leads to nothing in the value that there is.
        """
        around = self._places.get(name, ())
        return replace_references(value, lambda reference: self._filled(reference, around, position))

    def _filled(self, reference: AnyReference, around: Sequence[Place], position: Position) -> Any:
        if isinstance(reference, InputReference):
            return inside(self._inputs[reference.name], reference.path, reference)
        if isinstance(reference, StatusReference):
            return inside(self._status, reference.path, reference)
        if isinstance(reference, ItemReference):
            return inside(self._item(reference.loop, around, position), reference.path, reference)
        if isinstance(reference, Collection):
            return self._all(reference, around, position)
        return self._one(reference, position[: len(loops_of(self._places[reference.step]))], around, position)

    def _one(self, reference: Reference, at: Position, around: Sequence[Place], position: Position) -> Any:
        result = self._found.result(reference.step, at)
        if result is None:
            return self._standby(reference, around, position)
        return inside(result[reference.field], reference.path, reference)

    def _standby(self, reference: Reference | Collection, around: Sequence[Place], position: Position) -> Any:
        if reference.otherwise is msgspec.UNSET:
            raise WorkflowInvalid(f"there is no {reference}: its step was skipped", mend="Give it an or_else(…).")
        return replace_references(reference.otherwise, lambda each: self._filled(each, around, position))

    def _item(self, loop: str, around: Sequence[Place], position: Position) -> Any:
        depth = [each.name for each in loops_of(around)].index(loop)
        items = self._found.items(loop, position[:depth])
        assert items is not None  # noqa: S101 - who stands in a loop has its items
        return items[position[depth]]

    def _all(self, reference: Collection, around: Sequence[Place], position: Position) -> Any:
        places = self._places[reference.of.step]
        rest = rest_of(places, around)
        loops = [each.name for each in loops_of(rest)]
        start = position[: len(loops_of(places)) - len(loops)]
        if self._found.items(loops[0], start) is None:
            return self._standby(reference, around, position)

        def gathered(depth: int, at: Position) -> Any:
            if depth == len(loops):
                return self._one(reference.of, at, around, position)
            # A loop inside a branch that this item did not take gives an empty list.
            items = self._found.items(loops[depth], at) or ()
            return [gathered(depth + 1, (*at, index)) for index in range(len(items))]

        return inside(gathered(0, start), reference.path, reference)


def inside(value: Any, path: Path, reference: AnyReference) -> Any:
    """Return what lies at a path inside a value.

    Raises
    ------
    ValueMissing
        Nothing lies there.
    """
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueMissing(str(reference), key, value) from error
    return value
