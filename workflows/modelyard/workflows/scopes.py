"""Scopes: what a step may refer to from where it stands, and of which type that is."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from modelyard.errors import ModelyardError
from modelyard.operations import OperationSpec, ParameterType
from modelyard.workflows.compatibility import fits, type_inside
from modelyard.workflows.conditions import described
from modelyard.workflows.definition import Choice, Loop, Place, WorkflowInput
from modelyard.workflows.errors import (
    ResultFieldUnknown,
    ResultMaybeMissing,
    StepNotFound,
    TypesMismatch,
    WorkflowInvalid,
)
from modelyard.workflows.references import (
    REFERENCE_MARK,
    AnyReference,
    Collection,
    InputReference,
    ItemReference,
    Path,
    Reference,
    StatusReference,
    contains_reference,
)

__all__ = ["STATUS_FIELDS", "Scope", "loops_of", "rest_of"]

_ANY = ParameterType("any")
STATUS_FIELDS = {
    "state": ParameterType("choice", choices=("succeeded", "failed")),
    "error": ParameterType("string"),
    "workflow_run": ParameterType("string"),
}
"""What an exit handler may ask."""


def rest_of(places: Sequence[Place], seen_from: Sequence[Place]) -> tuple[Place, ...]:
    """Return the blocks around something that are not around the one who looks at it, too; the outermost first."""
    shared = 0
    for mine, theirs in zip(places, seen_from, strict=False):
        if (mine.block.name, mine.branch) != (theirs.block.name, theirs.branch):
            break
        shared += 1
    return tuple(places[shared:])


def loops_of(places: Sequence[Place]) -> tuple[Loop, ...]:
    """Return the loops among blocks, the outermost first."""
    return tuple(each.block for each in places if isinstance(each.block, Loop))


class Scope:
    """What the steps of a workflow may refer to.

    Parameters
    ----------
    specs
        The specifications of the operations of all steps that may be referred to, by step name.
    inputs
        The workflow's inputs by name.
    places
        The blocks around each step, by step name.
    around
        The blocks around the one who refers.
    exiting
        Whether that is the exit handler.
    """

    def __init__(
        self,
        specs: Mapping[str, OperationSpec],
        inputs: Mapping[str, WorkflowInput],
        places: Mapping[str, tuple[Place, ...]],
        around: tuple[Place, ...] = (),
        *,
        exiting: bool = False,
    ) -> None:
        self.specs = specs
        self.inputs = inputs
        self.places = places
        self.around = around
        self.exiting = exiting

    def check(self, value: Any, needed: ParameterType, where: str) -> None:
        """Refuse a value with references inside that can never be of the type `needed`.

        Raises
        ------
        WorkflowInvalid
            It is not, or a reference in it leads nowhere.
        """
        if isinstance(value, AnyReference):
            self._check_reference(value, needed, where)
        elif needed.kind == "any" or not contains_reference(value):
            self._check_plain(value, needed, where)
        elif isinstance(value, list) and needed.kind == "list":
            for index, each in enumerate(value):
                self.check(each, needed.item or _ANY, f"{where}[{index}]")
        elif isinstance(value, dict) and needed.kind == "mapping":
            for key, each in value.items():
                _check_key(key, where)
                self.check(each, needed.item or _ANY, f"{where}.{key}")
        else:
            raise TypesMismatch(where, "it", "a list" if isinstance(value, list) else "a mapping", needed.described())

    def _check_reference(self, reference: AnyReference, needed: ParameterType, where: str) -> None:
        given = self.type_of(reference, where)
        if not fits(given, needed):
            raise TypesMismatch(where, str(reference), given.described(), needed.described())
        if isinstance(reference, Reference | Collection) and reference.otherwise is not msgspec.UNSET:
            self.check(reference.otherwise, needed, f"{where}, where {reference} is skipped")

    def _check_plain(self, value: Any, needed: ParameterType, where: str) -> None:
        if isinstance(value, dict):
            for key in value:
                _check_key(key, where)
        if contains_reference(value) or isinstance(value, list | dict):
            for each in value.values() if isinstance(value, dict) else value:
                self.check(each, _ANY, where)
        if contains_reference(value):
            return
        try:
            needed.coerce(value, where)
        except ModelyardError as error:
            raise WorkflowInvalid(error.what, where=where, facts=error.facts) from error

    def type_of(self, reference: AnyReference, where: str) -> ParameterType:
        """Return the type of what a reference points at.

        Raises
        ------
        WorkflowInvalid
            It points at nothing, or at something that may not be there.
        """
        whole = self._whole(reference, where)
        inside = type_inside(whole, reference.path)
        if inside is None:
            raise WorkflowInvalid(
                f"{reference} leads nowhere: {_without_path(reference)} is {whole.described()}",
                where=where,
                mend="Refer to the whole value, or to what it has inside.",
            )
        return inside

    def _whole(self, reference: AnyReference, where: str) -> ParameterType:
        if isinstance(reference, InputReference):
            if reference.name not in self.inputs:
                raise WorkflowInvalid(f"the workflow has no parameter {reference.name!r}", where=where)
            return self.inputs[reference.name].type
        if isinstance(reference, ItemReference):
            return self._item(reference, where)
        if isinstance(reference, StatusReference):
            return self._status(reference, where)
        if self.exiting:
            raise WorkflowInvalid(
                f"an exit handler cannot take {reference}: the step may have failed",
                where=where,
                mend="Pass it parameters of the workflow and exit_status.",
            )
        if isinstance(reference, Collection):
            return self._collected(reference, where)
        return self._result(reference, where)

    def _item(self, reference: ItemReference, where: str) -> ParameterType:
        for place in self.around:
            if isinstance(place.block, Loop) and place.block.name == reference.loop:
                return self.item_type(place.block.items, where)
        raise WorkflowInvalid(f"{reference} is known only inside that loop", where=where, mend="Use it there.")

    def item_type(self, items: Any, where: str) -> ParameterType:
        """Return the type of the items of a loop's list."""
        if isinstance(items, AnyReference):
            return self.type_of(items, where).item or _ANY
        kinds = {self.value_type(each, where) for each in items}
        return kinds.pop() if len(kinds) == 1 else _ANY

    def value_type(self, value: Any, where: str) -> ParameterType:
        """Return the type of a value, as far as it can be told now."""
        if isinstance(value, AnyReference):
            return self.type_of(value, where)
        for kind, python in (("boolean", bool), ("integer", int), ("number", float), ("string", str)):
            if isinstance(value, python):
                return ParameterType(kind)
        return ParameterType("mapping" if isinstance(value, dict) else "list") if value is not None else _ANY

    def _status(self, reference: StatusReference, where: str) -> ParameterType:
        if not self.exiting:
            mend = "Ask for it in steps(on_exit=True)."
            raise WorkflowInvalid("only the exit handler can know how the workflow ended", where=where, mend=mend)
        if reference.path and reference.path[0] not in STATUS_FIELDS:
            mend = f"Known: {', '.join(STATUS_FIELDS)}."
            raise WorkflowInvalid(f"exit_status has no {reference.path[0]!r}", where=where, mend=mend)
        return ParameterType("mapping", item=ParameterType("string"))

    def _result(self, reference: Reference, where: str) -> ParameterType:
        found = self._field(reference, where)
        rest = rest_of(self.places[reference.step], self.around)
        if loops := loops_of(rest):
            raise ResultMaybeMissing(
                str(reference),
                f"is not one value: {reference.step} runs once for each item of {loops[0].name}",
                where=where,
                mend="Take all of them as a list: collect(…).",
            )
        self._check_skipping(rest, reference, reference.otherwise, where)
        return found

    def _collected(self, reference: Collection, where: str) -> ParameterType:
        found = type_inside(self._field(reference.of, where), reference.of.path)
        if found is None:
            raise WorkflowInvalid(f"{reference.of} leads nowhere", where=where, mend="Collect the whole value.")
        rest = rest_of(self.places[reference.of.step], self.around)
        first = next((index for index, place in enumerate(rest) if isinstance(place.block, Loop)), None)
        if first is None:
            raise WorkflowInvalid(
                f"{reference.of} is one value, not many: its step is in no loop that has ended here",
                where=where,
                mend="Refer to it without collect(…).",
            )
        self._check_skipping(rest[:first], reference, reference.otherwise, where)
        self._check_skipping(rest[first:], reference.of, reference.of.otherwise, where)
        for _ in loops_of(rest):
            found = ParameterType("list", item=found)
        return found

    @staticmethod
    def _check_skipping(rest: Sequence[Place], reference: AnyReference, otherwise: Any, where: str) -> None:
        blocks = [place for place in rest if isinstance(place.block, Choice)]
        if not blocks or otherwise is not msgspec.UNSET:
            return
        block = blocks[0].block
        assert isinstance(block, Choice)  # noqa: S101 - narrows the type for the checker
        word = "only where" if blocks[0].branch == "then" else "only where not"
        raise ResultMaybeMissing(
            str(reference),
            f"may be missing: it is there {word} {described(block.condition)}",
            where=where,
            mend="Say what stands for it otherwise: ….or_else(…).",
        )

    def _field(self, reference: Reference, where: str) -> ParameterType:
        if reference.step not in self.specs:
            raise StepNotFound(reference.step, list(self.specs), where=where)
        spec = self.specs[reference.step]
        for field in spec.results:
            if field.name == reference.field:
                return field.type
        raise ResultFieldUnknown(
            reference.step, spec.name, reference.field, [each.name for each in spec.results], where=where
        )


def _check_key(key: str, where: str) -> None:
    if key == REFERENCE_MARK:
        raise WorkflowInvalid(f"the key {key!r} is reserved for references", where=where, mend="Name it differently.")


def _without_path(reference: AnyReference) -> str:
    nothing: Path = ()
    return str(msgspec.structs.replace(reference, path=nothing))
