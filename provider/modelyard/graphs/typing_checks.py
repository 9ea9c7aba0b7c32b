"""Checks at compile time that neighbours fit: what one step gives is what the next one takes."""

import inspect
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, is_typeddict

from modelyard.graphs.calls import StepCall
from modelyard.graphs.checks import Shape
from modelyard.graphs.context import Response
from modelyard.graphs.event import Event

__all__ = ["GraphTypes", "check_types", "fits", "types_of"]

_NO_TYPE = ("merge", "batch", "unbatch", "queue", "model", "router", "ensemble", "graph")
"""Kinds that take whatever comes."""
_GATHERED = {"batch": list, "merge": dict}
_PLAIN = (bool, int, float, str, bytes, list, dict, tuple, set)


def check_types(shape: Shape, calls: Mapping[str, StepCall]) -> None:
    """Refuse neighbours whose annotations contradict each other.

    Raises
    ------
    GraphInvalid
        A step gives what the next one does not take.
    """
    pairs = [(source.partition(":")[0], name) for name, node in shape.nodes.items() for source in node.after]
    pairs += [(name, cycle.to) for name, node in shape.nodes.items() for cycle in node.cycles]
    for origin, name in pairs:
        node, takes = shape.nodes[name], calls[name].takes
        if node.kind in _NO_TYPE or node.settings.input_path or takes is None:
            continue
        gives = _gives(shape, calls, origin)
        if gives is not None and not fits(gives, takes, converted=node.settings.validate):
            rule = f"it takes {_shown(takes)}, and {origin!r} gives {_shown(gives)}"
            raise shape.refuse(rule, name, "Put a step in between that converts it.")


class GraphTypes(NamedTuple):
    """What a graph takes and gives; None where nobody says.

    Parameters
    ----------
    takes
        The type that its first step, with ``validate``, makes of the body.
    gives
        The annotated type of the reply; of each reply, where it streams.
    """

    takes: Any = None
    gives: Any = None


def types_of(shape: Shape, calls: Mapping[str, StepCall], *, handled: bool) -> GraphTypes:
    """Return what the graph takes, where that is checked, and what it gives, where nothing else can answer."""
    first = [shape.nodes[name] for name in shape.followers.get("", ())]
    checked = len(first) == 1 and first[0].settings.validate and not first[0].settings.input_path
    takes = calls[first[0].name].takes if checked else None
    last = list(shape.responders)
    gives = _gives(shape, calls, last[0]) if len(last) == 1 and not handled else None
    return GraphTypes(takes, None if Response in (gives, *get_args(gives)) else gives)


def _gives(shape: Shape, calls: Mapping[str, StepCall], name: str) -> Any:
    node = shape.nodes.get(name)
    if node is None:
        return None
    if node.kind in ("filter", "choice") and len(node.after) == 1:
        return _gives(shape, calls, node.after[0].partition(":")[0])
    if node.kind in _GATHERED:
        return list if node.options.get("into") == "list" else _GATHERED[node.kind]
    settings = node.settings
    if settings.result_path:
        return dict
    changed = settings.fallback or settings.condition is not None
    if node.kind not in ("call", "flat_map") or changed:
        return None
    gives = calls[name].gives
    if node.kind == "flat_map" or calls[name].yields:
        return _item_of(gives)
    # An event is an envelope: what the next step gets is the body in it
    return None if Event in (gives, *get_args(gives)) else gives


def _item_of(several: Any) -> Any:
    """Return the type of the items of a list, an iterator or the like; None if nothing is said."""
    items = get_args(several)
    return items[0] if items and items[0] is not Any and get_origin(several) is not tuple else None


def fits(gives: Any, takes: Any, *, converted: bool = False) -> bool:
    """Whether a value of the first type may be one of the second; what is not known fits.

    Parameters
    ----------
    gives, takes
        Annotations.
    converted
        Whether the value is converted before the step gets it: then a mapping may become a struct, and text a date.

    Examples
    --------
    >>> fits(int, float), fits(str, int), fits(int | None, int), fits(list[int], list[str])
    (True, False, True, False)
    """
    gives, takes = _bare(gives), _bare(takes)
    if gives is Any or takes is Any or takes is object:
        return True
    for one, other in ((gives, True), (takes, False)):
        if get_origin(one) in (Union, UnionType):
            parts = get_args(one)
            return any(
                fits(part, takes, converted=converted) if other else fits(gives, part, converted=converted)
                for part in parts
            )
    given, taken = get_origin(gives) or gives, get_origin(takes) or takes
    if not inspect.isclass(given) or not inspect.isclass(taken):
        return True
    if (given, taken) in ((int, float), (bool, int), (bool, float)):
        return True
    if converted and taken not in _PLAIN:
        return True
    if not _related(given, taken):
        return False
    inside = (get_args(gives), get_args(takes))
    if given is not taken or taken not in (list, dict, set, frozenset) or len(inside[0]) != len(inside[1]):
        return True
    return all(fits(one, other, converted=converted) for one, other in zip(*inside, strict=True))


def _bare(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if is_typeddict(kind):
        return dict
    return NoneType if kind is None else kind


def _related(given: type, taken: type) -> bool:
    try:
        return issubclass(given, taken) or issubclass(taken, given)
    except TypeError:  # a protocol that cannot be asked
        return True


def _shown(kind: Any) -> str:
    return kind.__name__ if inspect.isclass(kind) and not get_args(kind) else str(kind)
