"""Conditions: what decides, while a workflow runs, which of two branches it takes."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import msgspec

from modelyard.workflows.errors import ConditionUndecidable
from modelyard.workflows.references import AnyReference, as_json, references_in, replace_references, revived

__all__ = [
    "AllOf",
    "AnyOf",
    "Comparison",
    "Condition",
    "Not",
    "Operator",
    "condition_from",
    "condition_references",
    "described",
    "holds",
    "mapped",
]

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
OPERATORS = get_args(Operator)


class Comparison(msgspec.Struct, frozen=True, tag="compare", tag_field="is"):
    """Compares two values: references, numbers, text, true and false."""

    left: Any
    operator: Operator
    right: Any


class AllOf(msgspec.Struct, frozen=True, tag="all", tag_field="is"):
    """Holds where all parts hold; those after the first that does not are not looked at."""

    parts: "tuple[Condition, ...]"


class AnyOf(msgspec.Struct, frozen=True, tag="any", tag_field="is"):
    """Holds where one part holds; those after the first that does are not looked at."""

    parts: "tuple[Condition, ...]"


class Not(msgspec.Struct, frozen=True, tag="not", tag_field="is"):
    """Holds where its part does not."""

    part: "Condition"


Condition = Comparison | AllOf | AnyOf | Not


def holds(condition: Condition, fill: Callable[[AnyReference], Any]) -> bool:
    """Decide a condition.

    Numbers compare as numbers (1 equals 1.0), text by its characters, true and false with each other. Values of
    different sorts are never equal (1 is not true, "1" is not 1) and cannot be ordered.

    Parameters
    ----------
    condition
        What to decide.
    fill
        Returns the value of a reference.

    Raises
    ------
    ConditionUndecidable
        Two values are to be ordered that have no order.

    Examples
    --------
    >>> good = Comparison(0.8, ">=", 0.7)
    >>> holds(AllOf((good, Not(Comparison("a", "==", "b")))), lambda reference: None)
    True
    """
    if isinstance(condition, AllOf):
        return all(holds(each, fill) for each in condition.parts)
    if isinstance(condition, AnyOf):
        return any(holds(each, fill) for each in condition.parts)
    if isinstance(condition, Not):
        return not holds(condition.part, fill)
    left, right = (replace_references(each, fill) for each in (condition.left, condition.right))
    return _compared(left, condition.operator, right, condition)


def _compared(left: Any, operator: Operator, right: Any, condition: Comparison) -> bool:
    same = _sort(left) == _sort(right)
    if operator in ("==", "!="):
        return (same and left == right) is (operator == "==")
    if not same or _sort(left) not in ("number", "text"):
        raise ConditionUndecidable(described(condition), left, right)
    if operator in ("<", ">="):
        return bool(left < right) is (operator == "<")
    return bool(left > right) is (operator == ">")


def _sort(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else type(value).__name__


def condition_references(condition: Condition) -> Iterator[AnyReference]:
    """Yield every reference in a condition, in reading order."""
    for each in comparisons_in(condition):
        yield from references_in(each.left)
        yield from references_in(each.right)


def comparisons_in(condition: Condition) -> Iterator[Comparison]:
    """Yield every comparison of a condition, in reading order."""
    if isinstance(condition, Comparison):
        yield condition
    else:
        for part in (condition.part,) if isinstance(condition, Not) else condition.parts:
            yield from comparisons_in(part)


def mapped(condition: Condition, change: Callable[[Any], Any]) -> Condition:
    """Return the condition with both sides of every comparison changed."""
    if isinstance(condition, Comparison):
        return Comparison(change(condition.left), condition.operator, change(condition.right))
    if isinstance(condition, Not):
        return Not(mapped(condition.part, change))
    return type(condition)(tuple(mapped(each, change) for each in condition.parts))


def condition_from(plain: Condition) -> Condition:
    """Return a decoded condition with its references as references again."""
    return mapped(plain, revived)


def described(condition: Condition) -> str:
    """Return a condition in words, for people.

    Examples
    --------
    >>> described(Not(AnyOf((Comparison(1, "<", 2), Comparison("a", "==", True)))))
    'not (1 < 2 or "a" == true)'
    """
    if isinstance(condition, Comparison):
        return f"{_operand(condition.left)} {condition.operator} {_operand(condition.right)}"
    if isinstance(condition, Not):
        return f"not {_bracketed(condition.part)}"
    word = " and " if isinstance(condition, AllOf) else " or "
    return word.join(_bracketed(each) for each in condition.parts)


def _bracketed(condition: Condition) -> str:
    text = described(condition)
    return f"({text})" if isinstance(condition, AllOf | AnyOf) else text


def _operand(value: Any) -> str:
    if isinstance(value, AnyReference):
        return str(value)
    return msgspec.json.encode(as_json(value)).decode()
