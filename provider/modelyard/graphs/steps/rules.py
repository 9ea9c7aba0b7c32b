"""The rules of `Validate`: what a field must be, and how an error says so."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from modelyard.graphs.bodies import part_of
from modelyard.graphs.failures import PathMissing
from modelyard.graphs.steps.checking import Checked, is_nothing, is_number

__all__ = ["FieldRules", "Finding"]


class Finding(NamedTuple):
    """One broken rule."""

    field: str
    rule: str
    value: Any


_TYPES: dict[str, Callable[[Any], bool]] = {
    "number": is_number,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "text": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list | tuple),
    "mapping": lambda value: isinstance(value, Mapping),
}
_KNOWN = ("type", "required", "null", "min", "max", "above", "below", "min_length", "max_length", "pattern", "one_of")

Rule = tuple[str, Callable[[Any], bool]]


class FieldRules:
    """What one field must be.

    Parameters
    ----------
    checked
        Names the block in errors.
    field
        The field (dotted).
    told
        Rule → what it is told.

    Examples
    --------
    >>> rules = FieldRules(Checked("Validate"), "distance", {"type": "number", "min": 0})
    >>> rules.broken({"distance": 5}), rules.broken({"distance": -5})
    ([], [Finding(field='distance', rule='must be at least 0', value=-5)])
    """

    def __init__(self, checked: Checked, field: str, told: Mapping[str, Any]) -> None:
        place = f"rules.{field}"
        known = checked.mapping(place, told, _KNOWN)
        self.field = field
        self._required = bool(known.get("required", True))
        self._null = bool(known.get("null", False))
        self._rules: list[Rule] = []
        if "type" in known:
            name = checked.word(f"{place}.type", known["type"], tuple(_TYPES))
            article = "an" if name == "integer" else "a"
            self._rules.append((f"must be {article} {name}", _TYPES[name]))
        self._bounds(checked, place, known)
        self._lengths(checked, place, known)
        if "pattern" in known:
            self._rules.append(_pattern(checked, f"{place}.pattern", known["pattern"]))
        if "one_of" in known:
            self._rules.append(_one_of(checked, f"{place}.one_of", known["one_of"]))

    def broken(self, body: Any) -> list[Finding]:
        """Return the rules that the field of a body breaks; only the first one, as the others build on it."""
        try:
            value = part_of(body, self.field)
        except PathMissing:
            return [Finding(self.field, "is missing", None)] if self._required else []
        if is_nothing(value):
            return [] if self._null else [Finding(self.field, "must have a value", value)]
        for rule, holds in self._rules:
            if not holds(value):
                return [Finding(self.field, rule, value)]
        return []

    def _bounds(self, checked: Checked, place: str, known: Mapping[str, Any]) -> None:
        tests: dict[str, tuple[str, Callable[[Any, float], bool]]] = {
            "min": ("at least", lambda value, bound: value >= bound),
            "above": ("above", lambda value, bound: value > bound),
            "max": ("at most", lambda value, bound: value <= bound),
            "below": ("below", lambda value, bound: value < bound),
        }
        for name, (word, test) in tests.items():
            if name in known:
                checked.number(f"{place}.{name}", known[name])
                self._rules.append(_bound(word, known[name], test))
        for low, high in ((low, high) for low in ("min", "above") for high in ("max", "below")):
            if low in known and high in known and not self._leave_room(known, low, high):
                raise checked.refuse(f"{place}.{high}", f"must leave room above {low}, {known[low]}", known[high])

    @staticmethod
    def _leave_room(known: Mapping[str, Any], low: str, high: str) -> bool:
        return bool(known[low] <= known[high] if (low, high) == ("min", "max") else known[low] < known[high])

    def _lengths(self, checked: Checked, place: str, known: Mapping[str, Any]) -> None:
        if "min_length" in known:
            least = checked.whole(f"{place}.min_length", known["min_length"], least=0)
            self._rules.append((f"must have a length of at least {least}", _sized(lambda size: size >= least)))
        if "max_length" in known:
            most = checked.whole(f"{place}.max_length", known["max_length"], least=known.get("min_length", 0))
            self._rules.append((f"must have a length of at most {most}", _sized(lambda size: size <= most)))


def _bound(word: str, bound: float, test: Callable[[Any, float], bool]) -> Rule:
    return f"must be {word} {bound}", lambda value: is_number(value) and test(value, bound)


def _sized(test: Callable[[int], bool]) -> Callable[[Any], bool]:
    return lambda value: hasattr(value, "__len__") and test(len(value))


def _pattern(checked: Checked, place: str, told: Any) -> Rule:
    try:
        compiled = re.compile(checked.text(place, told))
    except re.error as error:
        raise checked.refuse(place, f"must be a regular expression ({error})", told) from None
    return f"must match {told}", lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _one_of(checked: Checked, place: str, told: Any) -> Rule:
    if not isinstance(told, list | tuple) or not told:
        raise checked.refuse(place, "must be a list of values", told)
    allowed = [(isinstance(each, bool), each) for each in told]
    shown = ", ".join(str(each) for each in told)
    return f"must be one of {shown}", lambda value: (isinstance(value, bool), value) in allowed
