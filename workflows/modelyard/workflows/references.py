"""References: places in a step's parameters that a run fills with an earlier result or an input."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

__all__ = ["InputReference", "Reference", "as_json", "contains_reference", "references_in", "replace_references"]


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """Points at a field of a step's result, or at something inside it.

    Examples
    --------
    >>> str(Reference("prepare", "value", ("train", 0)))
    'prepare.value.train[0]'
    """

    step: str
    field: str
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        return f"{self.step}.{self.field}{_shown(self.path)}"


class InputReference(msgspec.Struct, frozen=True, omit_defaults=True):
    """Points at a parameter of the workflow, or at something inside it."""

    name: str
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}{_shown(self.path)}"


def _shown(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def references_in(value: object) -> Iterator[Reference | InputReference]:
    """Yield every reference inside a parameter's value, in reading order.

    Examples
    --------
    >>> [str(each) for each in references_in({"a": [1, Reference("train", "model")], "b": InputReference("month")})]
    ['train.model', 'month']
    """
    if isinstance(value, Reference | InputReference):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from references_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from references_in(each)


def contains_reference(value: object) -> bool:
    """Return whether a run has to fill something in."""
    return next(references_in(value), None) is not None


def replace_references(value: Any, fill: Callable[[Reference | InputReference], Any]) -> Any:
    """Return a copy of `value` with every reference replaced by what `fill` returns for it.

    Examples
    --------
    >>> replace_references([1, {"m": InputReference("month")}], lambda reference: 7)
    [1, {'m': 7}]
    """
    if isinstance(value, Reference | InputReference):
        return fill(value)
    if isinstance(value, dict):
        return {key: replace_references(each, fill) for key, each in value.items()}
    if isinstance(value, list):
        return [replace_references(each, fill) for each in value]
    return value


def as_json(value: Any) -> Any:
    """Return a parameter's value for people and programs: a reference becomes ``{"$from": "train.model"}``.

    Examples
    --------
    >>> as_json({"model": Reference("train", "model"), "month": InputReference("month")})
    {'model': {'$from': 'train.model'}, 'month': {'$input': 'month'}}
    """

    def shown(reference: Reference | InputReference) -> dict[str, str]:
        return {"$from" if isinstance(reference, Reference) else "$input": str(reference)}

    return replace_references(value, shown)
