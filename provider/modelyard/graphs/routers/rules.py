"""The router by content: rules, as data, about the fields of the body."""

import re
from collections.abc import Callable, Mapping, Sequence
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple

from modelyard.errors import ErrorKind, ModelyardError, near_name
from modelyard.graphs.bodies import part_of
from modelyard.graphs.failures import PathMissing
from modelyard.graphs.group_errors import RouteMissing
from modelyard.graphs.groups import RouterStrategy
from modelyard.graphs.routers.routes import checked_route

__all__ = ["ByRules", "RuleUnfit"]

_ABSENT = object()
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
    "in": lambda found, value: found in value,
    "not in": lambda found, value: found not in value,
    "contains": lambda found, value: value in found,
    "matches": lambda found, value: value.search(found) is not None,
}
_PRESENCE = ("exists", "missing")
_ORDER = ("<", "<=", ">", ">=")
OPERATORS = (*_COMPARE, *_PRESENCE)


class RuleUnfit(ModelyardError):
    """Raised when a field's value cannot be compared as a rule wants it."""

    kind = ErrorKind.INVALID

    def __init__(self, field: str, op: str, value: object, found: object) -> None:
        super().__init__(
            f"the field {field!r} is {found!r:.80}, which cannot be compared: {op} {value!r:.80}",
            facts={"field": field, "op": op},
        )


class _Condition(NamedTuple):
    field: str
    op: str
    value: Any
    told: Any

    def holds(self, body: Any) -> bool:
        """Whether the body fulfils it; a field that is not there fulfils nothing but ``missing``."""
        try:
            found = part_of(body, self.field)
        except PathMissing:
            return self.op == "missing"
        if self.op in _PRESENCE:
            return self.op == "exists"
        try:
            return bool(_COMPARE[self.op](found, self.value))
        except TypeError:
            raise RuleUnfit(self.field, self.op, self.told, found) from None


class _Rule(NamedTuple):
    route: str
    conditions: tuple[_Condition, ...]
    quantifier: Callable[[Any], bool]

    def holds(self, body: Any) -> bool:
        return self.quantifier(condition.holds(body) for condition in self.conditions)


class ByRules(RouterStrategy):
    """Takes the route of the first rule that holds for the body.

    A rule is a mapping: ``{"field": "age", "op": "<", "value": 18, "route": "young"}``, or several conditions with one
    route: ``{"all": [{…}, {…}], "route": …}`` or ``{"any": […], "route": …}``. Operators: ``==``, ``!=``, ``<``,
    ``<=``, ``>``, ``>=``, ``in`` and ``not in`` a list, ``contains``, ``matches`` (a regular expression, found
    anywhere in the text), ``exists``, ``missing``. A condition about a field that is not there does not hold, except
    ``missing``.

    Parameters
    ----------
    rules
        The rules, in order.
    default
        The route where no rule holds; empty refuses such bodies.

    Raises
    ------
    TypeError, ValueError
        A rule is none: it names the rule, the field and the value.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("flights")
    >>> routes = {"long": lambda body: "long haul", "short": lambda body: "short haul"}
    >>> rules = [{"field": "distance", "op": ">", "value": 1500, "route": "long"}]
    >>> step = graph.router(ByRules, routes=routes, rules=rules, default="short")
    >>> graph.test({"distance": 2475}), graph.test({"distance": 300})
    ('long haul', 'short haul')
    """

    def __init__(self, rules: Sequence[Mapping[str, Any]], default: str = "", *, members: tuple[str, ...] = ()) -> None:
        if isinstance(rules, str | Mapping) or not rules:
            raise ValueError(f"rules is a list of at least one rule, not {rules!r:.80}")
        self.default = checked_route("default", default, members)
        self._rules = tuple(_rule(f"rules[{index}]", rule, members) for index, rule in enumerate(rules))
        self._members = members

    def select_body(self, body: Any) -> str:
        """Return the route.

        Raises
        ------
        RouteMissing
            No rule holds, and there is no default.
        RuleUnfit
            A field's value cannot be compared.
        """
        for rule in self._rules:
            if rule.holds(body):
                return rule.route
        if not self.default:
            raise RouteMissing("no rule holds for it", self._members)
        return self.default


def _rule(place: str, rule: Any, members: Sequence[str]) -> _Rule:
    if not isinstance(rule, Mapping):
        raise TypeError(f"{place} is a mapping, not {rule!r:.80}")
    route = rule.get("route", "")
    if not checked_route(f"{place}.route", route, members):
        raise ValueError(f"{place} says no route")
    kinds = [key for key in ("all", "any", "field") if key in rule]
    if len(kinds) != 1:
        raise ValueError(f"{place} has either field, all or any, it has: {', '.join(rule)}")
    kind = kinds[0]
    unknown = [
        key for key in rule if key not in (("field", "op", "value", "route") if kind == "field" else (kind, "route"))
    ]
    if unknown:
        raise ValueError(f"{place} has no {unknown[0]!r}")
    if kind == "field":
        return _Rule(route, (_condition(place, rule),), all)
    given = rule[kind]
    if isinstance(given, str | Mapping) or not given:
        raise ValueError(f"{place}.{kind} is a list of at least one condition, not {given!r:.80}")
    conditions = tuple(_condition(f"{place}.{kind}[{index}]", each) for index, each in enumerate(given))
    return _Rule(route, conditions, all if kind == "all" else any)


def _condition(place: str, given: Any) -> _Condition:
    if not isinstance(given, Mapping):
        raise TypeError(f"{place} is a mapping, not {given!r:.80}")
    field, op = given.get("field"), given.get("op", "==")
    if not isinstance(field, str) or not field:
        raise ValueError(f"{place}.field names a field of the body, it is {field!r}")
    if op not in OPERATORS:
        raise ValueError(
            f"{place}.op is one of {', '.join(OPERATORS)}, not {op!r}. {near_name(str(op), list(OPERATORS))}"
        )
    value = given.get("value", _ABSENT)
    if (value is _ABSENT) != (op in _PRESENCE):
        rule = "has no value" if op in _PRESENCE else "needs a value"
        raise ValueError(f"{place}: {op} {rule}")
    if op in ("in", "not in") and not isinstance(value, list | tuple):
        raise ValueError(f"{place}.value is a list for {op!r}, not {value!r:.80}")
    if op in _ORDER and (isinstance(value, bool) or not isinstance(value, int | float | str)):
        raise ValueError(f"{place}.value is a number or a text for {op!r}, not {value!r:.80}")
    if op != "matches":
        return _Condition(field, op, value, value)
    if not isinstance(value, str):
        raise ValueError(f"{place}.value is a regular expression for 'matches', not {value!r:.80}")  # noqa: TRY004
    try:
        return _Condition(field, op, re.compile(value), value)
    except re.error as error:
        raise ValueError(f"{place}.value is no regular expression: {error}") from None
