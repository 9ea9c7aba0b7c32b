"""Checks at compile time that neighbours fit: what one step gives is what the next one takes."""

import inspect
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from modelyard.graphs.calls import StepCall
from modelyard.graphs.checks import Shape
from modelyard.graphs.event import Event

__all__ = ["check_types", "fits"]


def check_types(shape: Shape, calls: Mapping[str, StepCall]) -> None:
    """Refuse neighbours whose annotations contradict each other.

    Raises
    ------
    GraphInvalid
        A step gives what the next one does not take.
    """
    for name, node in shape.nodes.items():
        takes = calls[name].takes
        if node.kind in ("merge", "batch", "unbatch", "queue", "model") or node.settings.input_path or takes is None:
            continue
        for source in node.after:
            origin = source.partition(":")[0]
            gives = _gives(shape, calls, origin)
            if gives is not None and not fits(gives, takes):
                rule = f"it takes {_shown(takes)}, and {origin!r} gives {_shown(gives)}"
                raise shape.refuse(rule, name, "Put a step in between that converts it.")


def _gives(shape: Shape, calls: Mapping[str, StepCall], name: str) -> Any:
    node = shape.nodes.get(name)
    if node is None:
        return None
    if node.kind in ("filter", "choice") and len(node.after) == 1:
        return _gives(shape, calls, node.after[0].partition(":")[0])
    settings = node.settings
    changed = settings.result_path or settings.fallback or settings.condition is not None
    if node.kind != "call" or changed or calls[name].yields:
        return None
    gives = calls[name].gives
    # An event is an envelope: what the next step gets is the body in it
    return None if Event in (gives, *get_args(gives)) else gives


def fits(gives: Any, takes: Any) -> bool:
    """Whether a value of the first type may be one of the second; what is not known fits.

    Examples
    --------
    >>> fits(int, float), fits(str, int), fits(int | None, int), fits(dict[str, int], dict)
    (True, False, True, True)
    """
    if gives is Any or takes is Any or takes is object:
        return True
    for one, other in ((gives, True), (takes, False)):
        if get_origin(one) in (Union, UnionType):
            parts = get_args(one)
            return any(fits(part, takes) if other else fits(gives, part) for part in parts)
    given, taken = get_origin(gives) or gives, get_origin(takes) or takes
    given, taken = (NoneType if each is None else each for each in (given, taken))
    if not inspect.isclass(given) or not inspect.isclass(taken):
        return True
    if (given, taken) in ((int, float), (bool, int), (bool, float)):
        return True
    return issubclass(given, taken) or issubclass(taken, given)


def _shown(kind: Any) -> str:
    return kind.__name__ if inspect.isclass(kind) and not get_args(kind) else str(kind)
