"""References: places in a workflow that a run fills with a result, an input, an item of a loop, or the outcome."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

__all__ = [
    "REFERENCE_MARK",
    "AnyReference",
    "Collection",
    "InputReference",
    "ItemReference",
    "Path",
    "Reference",
    "StatusReference",
    "as_json",
    "contains_reference",
    "references_in",
    "replace_references",
    "revived",
]

Path = tuple[str | int, ...]
"""Where inside a value: keys of mappings, positions in lists."""

REFERENCE_MARK = "$"
"""The key that makes a JSON object a reference; no mapping of a workflow may have it."""


class InputReference(msgspec.Struct, frozen=True, omit_defaults=True, tag="input", tag_field=REFERENCE_MARK):
    """Points at a parameter of the workflow, or at something inside it."""

    name: str
    path: Path = ()

    def __str__(self) -> str:
        return f"{self.name}{_shown(self.path)}"


class ItemReference(msgspec.Struct, frozen=True, omit_defaults=True, tag="item", tag_field=REFERENCE_MARK):
    """Points at the item that a loop is at, or at something inside it."""

    loop: str
    path: Path = ()

    def __str__(self) -> str:
        return f"item of {self.loop}{_shown(self.path)}"


class StatusReference(msgspec.Struct, frozen=True, omit_defaults=True, tag="status", tag_field=REFERENCE_MARK):
    """Points at how the workflow ended; only its exit handler can know. See `modelyard.workflows.exit_status`."""

    path: Path = ()

    def __str__(self) -> str:
        return f"status{_shown(self.path)}"


class Reference(msgspec.Struct, frozen=True, omit_defaults=True, tag="step", tag_field=REFERENCE_MARK):
    """Points at a field of a step's result, or at something inside it.

    Parameters
    ----------
    step, field, path
        Which step, which field of its result, and where inside.
    otherwise
        What stands for it where the step was skipped: a JSON value or another reference. Unset where that cannot be.

    Examples
    --------
    >>> str(Reference("prepare", "value", ("train", 0)))
    'prepare.value.train[0]'
    """

    step: str
    field: str
    path: Path = ()
    otherwise: Any = msgspec.UNSET

    def __str__(self) -> str:
        return f"{self.step}.{self.field}{_shown(self.path)}"


class Collection(msgspec.Struct, frozen=True, omit_defaults=True, tag="collection", tag_field=REFERENCE_MARK):
    """Points at the results of a step inside a loop, all of them: a list in the order of the items.

    A step inside nested loops gives a list of lists.

    Parameters
    ----------
    of
        What is collected. Its own ``otherwise`` stands in for items whose step was skipped.
    path
        Where inside the list.
    otherwise
        What stands for the whole list where the loop was skipped.
    """

    of: Reference
    path: Path = ()
    otherwise: Any = msgspec.UNSET

    def __str__(self) -> str:
        return f"all {self.of}{_shown(self.path)}"


AnyReference = InputReference | ItemReference | StatusReference | Reference | Collection


def _shown(path: Path) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def references_in(value: object) -> Iterator[AnyReference]:
    """Yield every reference inside a value, in reading order; those that stand in for others come after them.

    Examples
    --------
    >>> [str(each) for each in references_in({"a": [1, Reference("train", "model")], "b": InputReference("month")})]
    ['train.model', 'month']
    """
    if isinstance(value, AnyReference):
        yield value
        if isinstance(value, Collection):
            yield from references_in(value.of.otherwise)
        if isinstance(value, Reference | Collection):
            yield from references_in(value.otherwise)
    elif isinstance(value, dict):
        for each in value.values():
            yield from references_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from references_in(each)


def contains_reference(value: object) -> bool:
    """Return whether a run has to fill something in."""
    return next(references_in(value), None) is not None


def replace_references(value: Any, fill: Callable[[AnyReference], Any]) -> Any:
    """Return a copy of `value` with every reference replaced by what `fill` returns for it.

    Examples
    --------
    >>> replace_references([1, {"m": InputReference("month")}], lambda reference: 7)
    [1, {'m': 7}]
    """
    if isinstance(value, AnyReference):
        return fill(value)
    if isinstance(value, dict):
        return {key: replace_references(each, fill) for key, each in value.items()}
    if isinstance(value, list):
        return [replace_references(each, fill) for each in value]
    return value


def revived(value: Any) -> Any:
    """Return decoded JSON with its references as references again.

    Examples
    --------
    >>> revived({"model": {"$": "step", "step": "train", "field": "model"}})
    {'model': Reference(step='train', field='model', path=(), otherwise=UNSET)}
    """
    if isinstance(value, list):
        return [revived(each) for each in value]
    if not isinstance(value, dict):
        return value
    if REFERENCE_MARK not in value:
        return {key: revived(each) for key, each in value.items()}
    found: AnyReference = msgspec.convert(value, type=AnyReference)
    if isinstance(found, Collection):
        found = msgspec.structs.replace(found, of=_with_standby(found.of))
    return _with_standby(found) if isinstance(found, Reference | Collection) else found


def _with_standby(reference: Any) -> Any:
    if reference.otherwise is msgspec.UNSET:
        return reference
    return msgspec.structs.replace(reference, otherwise=revived(reference.otherwise))


def as_json(value: Any) -> Any:
    """Return a value for people and programs that show it: a reference becomes ``{"$from": "train.model"}``.

    Examples
    --------
    >>> as_json({"model": Reference("train", "model"), "month": InputReference("month")})
    {'model': {'$from': 'train.model'}, 'month': {'$input': 'month'}}
    """

    def shown(reference: AnyReference) -> dict[str, Any]:
        if isinstance(reference, StatusReference):
            return {"$status": str(reference)}
        if isinstance(reference, ItemReference):
            return {"$item": f"{reference.loop}{_shown(reference.path)}"}
        if isinstance(reference, InputReference):
            return {"$input": str(reference)}
        collected = isinstance(reference, Collection)
        text = f"{reference.of}{_shown(reference.path)}" if isinstance(reference, Collection) else str(reference)
        found: dict[str, Any] = {"$all" if collected else "$from": text}
        if reference.otherwise is not msgspec.UNSET:
            found["else"] = as_json(reference.otherwise)
        return found

    return replace_references(value, shown)
